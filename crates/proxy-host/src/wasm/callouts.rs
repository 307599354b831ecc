//! Callouts on their way, and the callback that brings their answers.
//!
//! The SDK keeps a table of its own and panics at a token that is not in it; its way to put one there panics at
//! statuses that a host may answer. So the build exports this callback in place of the SDK's.
#![expect(unsafe_code, reason = "the host finds the callback by its name")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use tidegate_filter_api::{CalloutFailure, CalloutResponse, CalloutResult};

use super::{abi, envoy};

/// A stream that waits for an answer.
pub(super) trait Waiting {
    /// The answer has come, and the stream's `context` is the active one.
    fn answer(self: Rc<Self>, context: u32, token: u32, result: CalloutResult);
}

struct Pending {
    context: u32,
    stream: Weak<dyn Waiting>,
}

thread_local! {
    static PENDING: RefCell<BTreeMap<u32, Pending>> = const { RefCell::new(BTreeMap::new()) };
}

/// Notes that the stream of `context` waits for the answer under `token`.
pub(super) fn expect(token: u32, context: u32, stream: Weak<dyn Waiting>) {
    PENDING.with_borrow_mut(|pending| pending.insert(token, Pending { context, stream }));
}

/// Becomes `proxy_on_http_call_response`. Zeroes stand for a timeout, a reset and a truncated answer alike.
#[unsafe(no_mangle)]
extern "C" fn tidegate_on_http_call_response(
    _root: u32,
    token: u32,
    headers: u32,
    body: u32,
    _trailers: u32,
) {
    let Some(pending) = PENDING.with_borrow_mut(|pending| pending.remove(&token)) else { return };
    // The client may have gone in the meantime.
    let Some(stream) = pending.stream.upgrade() else { return };
    // The answer belongs to the root context, whose buffers must be read before the stream becomes the active one.
    let result = if headers == 0 { Err(CalloutFailure::NoAnswer) } else { response(body) };
    if abi::set_effective_context(pending.context).is_ok() {
        stream.answer(pending.context, token, result);
    }
}

fn response(body: u32) -> CalloutResult {
    let headers = envoy::header_block(abi::CALL_RESPONSE_HEADERS).map_err(|_| CalloutFailure::NoAnswer)?;
    let body = match body {
        0 => Vec::new(),
        size => abi::buffer(abi::CALL_RESPONSE_BODY, size as usize)
            .map_err(|_| CalloutFailure::NoAnswer)?
            .into_vec(),
    };
    Ok(CalloutResponse { headers, body })
}
