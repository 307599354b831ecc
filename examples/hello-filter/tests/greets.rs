//! How a filter of one's own is tested: no Envoy, no wasm.

use tidegate_hello_filter::Hello;
use tidegate_testkit::fake::{refusal, worker};

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
