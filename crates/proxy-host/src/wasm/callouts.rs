//! Calls on their way, and the callbacks that bring their ends.
//!
//! The SDK keeps tables of its own and panics at a token that is not in them; its way to put one there panics at
//! statuses that a host may answer. So the build exports these callbacks in place of the SDK's.
#![expect(unsafe_code, reason = "the host finds the callbacks by their names")]

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use tidegate_filter_api::{CallToken, CalloutFailure, CalloutResponse, CalloutResult, HeaderBlock};

use super::{abi, envoy};

/// A stream that waits for the end of a call.
pub(super) trait Waiting {
    /// The call that it made has ended, and the stream's `context` is the active one.
    fn answer(self: Rc<Self>, context: u32, token: CallToken, result: CalloutResult);

    /// The dispatched call that it waits for has ended, and the stream's `context` is the active one.
    fn wake(self: Rc<Self>, context: u32, token: CallToken);
}

/// A plugin that dispatches calls on no stream's behalf.
pub(super) trait Dispatching {
    /// A call has ended, and the plugin's own context is the active one.
    fn dispatched(&self, token: CallToken, result: CalloutResult);
}

struct Pending {
    context: u32,
    stream: Weak<dyn Waiting>,
}

/// Who waits for a call.
enum Waiters {
    /// The stream that made it.
    One(Pending),
    /// The plugin that dispatched it, and any streams that joined.
    Plugin(Vec<Pending>),
}

thread_local! {
    /// In no order: those on their way are few, and a tree's code weighs 8 KiB.
    static CALLS: RefCell<Vec<(CallToken, Waiters)>> = const { RefCell::new(Vec::new()) };
    /// One, or during an update two.
    static PLUGINS: RefCell<Vec<(u32, Weak<dyn Dispatching>)>> = const { RefCell::new(Vec::new()) };
}

/// Notes which plugin lives in the root context `context`.
pub(super) fn adopt(context: u32, plugin: Weak<dyn Dispatching>) {
    PLUGINS.with_borrow_mut(|plugins| {
        plugins.retain(|(other, plugin)| *other != context && plugin.strong_count() > 0);
        plugins.push((context, plugin));
    });
}

/// Notes that the stream of `context` waits for the end of the call under `token`.
pub(super) fn expect(token: CallToken, context: u32, stream: Weak<dyn Waiting>) {
    let pending = Pending { context, stream };
    CALLS.with_borrow_mut(|calls| match calls.iter_mut().find(|(other, _)| *other == token) {
        Some((_, Waiters::Plugin(joined))) => joined.push(pending),
        Some((_, waiters)) => *waiters = Waiters::One(pending),
        None => calls.push((token, Waiters::One(pending))),
    });
}

/// Notes that a plugin has dispatched the call under `token`.
pub(super) fn dispatched(token: CallToken) {
    CALLS.with_borrow_mut(|calls| calls.push((token, Waiters::Plugin(Vec::new()))));
}

/// Whether a dispatched call has not ended yet.
pub(super) fn is_under_way(token: CallToken) -> bool {
    let dispatched =
        |(other, waiters): &(CallToken, Waiters)| *other == token && matches!(waiters, Waiters::Plugin(_));
    CALLS.with_borrow(|calls| calls.iter().any(dispatched))
}

/// Tells those who wait. The answer belongs to the root context, whose buffers must be read before any stream's becomes
/// the active one.
fn ended(root: u32, token: CallToken, result: impl FnOnce() -> CalloutResult) {
    let waiters = CALLS.with_borrow_mut(|calls| {
        let place = calls.iter().position(|(other, _)| *other == token)?;
        Some(calls.swap_remove(place).1)
    });
    match waiters {
        None => {}
        Some(Waiters::One(pending)) => {
            let result = result();
            if let Some(stream) = activate(&pending) {
                stream.answer(pending.context, token, result);
            }
        }
        Some(Waiters::Plugin(joined)) => {
            let plugin = PLUGINS.with_borrow(|plugins| {
                plugins.iter().find(|(context, _)| *context == root).and_then(|(_, plugin)| plugin.upgrade())
            });
            if let Some(plugin) = plugin {
                plugin.dispatched(token, result());
            }
            for pending in joined {
                if let Some(stream) = activate(&pending) {
                    stream.wake(pending.context, token);
                }
            }
        }
    }
}

/// Makes a waiting stream the active one, unless its client has gone in the meantime.
fn activate(pending: &Pending) -> Option<Rc<dyn Waiting>> {
    let stream = pending.stream.upgrade()?;
    abi::set_effective_context(pending.context).is_ok().then_some(stream)
}

/// Becomes `proxy_on_http_call_response`. Zeroes stand for a timeout, a reset and a truncated answer alike.
#[unsafe(no_mangle)]
extern "C" fn tidegate_on_http_call_response(root: u32, token: u32, headers: u32, body: u32, _trailers: u32) {
    ended(root, CallToken::Http(token), || {
        if headers == 0 {
            return Err(CalloutFailure::NoAnswer);
        }
        let headers =
            envoy::header_block(abi::CALL_RESPONSE_HEADERS).map_err(|_| CalloutFailure::NoAnswer)?;
        Ok(CalloutResponse { headers, body: buffer(abi::CALL_RESPONSE_BODY, body)? })
    });
}

/// Becomes `proxy_on_grpc_receive`: the message that ends a unary call.
#[unsafe(no_mangle)]
extern "C" fn tidegate_on_grpc_receive(root: u32, token: u32, message: u32) {
    ended(root, CallToken::Grpc(token), || {
        Ok(CalloutResponse { headers: HeaderBlock::default(), body: buffer(abi::GRPC_MESSAGE, message)? })
    });
}

/// Becomes `proxy_on_grpc_close`: the end of a call that brought no message. After one that did, nobody waits any more.
#[unsafe(no_mangle)]
extern "C" fn tidegate_on_grpc_close(root: u32, token: u32, status: u32) {
    ended(root, CallToken::Grpc(token), || Err(CalloutFailure::Grpc(status)));
}

fn buffer(kind: u32, size: u32) -> Result<Vec<u8>, CalloutFailure> {
    match size {
        0 => Ok(Vec::new()),
        size => {
            abi::buffer(kind, 0, size as usize).map(<[u8]>::into_vec).map_err(|_| CalloutFailure::NoAnswer)
        }
    }
}
