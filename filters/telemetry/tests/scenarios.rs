//! The scenario files that real Envoys replay, on the fake host: natively, and as wasm32.

use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test(unsupported = test)]
fn every_scenario_is_as_its_file_says() {
    tidegate_testkit::fake::replay_folder::<tidegate_telemetry::Telemetry>("telemetry");
}
