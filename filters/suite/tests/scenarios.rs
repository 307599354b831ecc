//! The filters' own scenarios, with the filter inside the suite: natively, and as wasm32.

use tidegate_suite::Suite;
use tidegate_testkit::fake::replay_each;
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test(unsupported = test)]
fn each_filter_decides_as_in_a_module_of_its_own() {
    for folder in ["auth", "header-routing", "rate-limit", "telemetry", "suite"] {
        replay_each::<Suite>(folder, |scenario| {
            scenario.suite().ok_or_else(|| "a filter stands twice in the list".to_owned())
        });
    }
}
