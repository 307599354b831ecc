//! How a filter of one's own is tested: no Envoy, no wasm.

use tidegate_hello_filter::Hello;
use tidegate_testkit::fake::{refusal, replay_folder, worker};

#[test]
fn the_upstream_is_greeted() {
    let worker = worker::<Hello>(r#"{"greeting": "hello"}"#);
    assert_eq!(worker.get("/", &[("x-hello", b"from the client")]).upstream("x-hello"), [b"hello"]);
}

#[test]
fn a_greeting_that_splits_a_message_is_refused() {
    assert_eq!(
        refusal::<Hello>(r#"{"greeting": "hello\r\nx: y"}"#),
        "greeting: expected a header value without control characters, found \"hello\\r\\nx: y\""
    );
}

/// The same files as real Envoys replay: `cargo xtask test --tier 2`.
#[test]
fn every_scenario_is_as_its_file_says() {
    replay_folder::<Hello>("hello-filter");
}
