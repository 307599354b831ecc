//! The SDK's contexts: the SDK creates and finds them, the pipeline does the rest.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use tidegate_filter_api::{CalloutResult, Filter};

use super::callouts::{self, Waiting};
use super::envoy::Envoy;
use super::{abi, logger};
use crate::pipeline::{Plugin, Stream, Verdict};

/// Starts a module: the host calls `_initialize`, which calls this.
pub fn start<F: Filter>() {
    logger::install();
    proxy_wasm::set_root_context(|_| Box::new(Root::<F> { plugin: None }));
}

struct Root<F> {
    /// `None` until configured; no stream begins before that.
    plugin: Option<Rc<Plugin<F>>>,
}

impl<F: Filter> Context for Root<F> {}

impl<F: Filter> RootContext for Root<F> {
    fn on_configure(&mut self, size: usize) -> bool {
        logger::adopt_host_level();
        let document = match size {
            0 => Box::default(),
            _ => match abi::buffer(abi::PLUGIN_CONFIGURATION, size) {
                Ok(document) => document,
                Err(error) => {
                    log::error!("{}: configuration could not be read: {error}", F::NAME);
                    return false;
                }
            },
        };
        match Plugin::configure(&document, &Envoy) {
            Ok(plugin) => {
                self.plugin = Some(Rc::new(plugin));
                true
            }
            Err(errors) => {
                // A line each: one log record with newlines is torn apart by log collectors.
                for error in errors.iter() {
                    log::error!("{}: {error}", F::NAME);
                }
                false
            }
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, context: u32) -> Option<Box<dyn HttpContext>> {
        // A host that starts streams on a plugin that refused its configuration gets a filter that refuses them.
        let stream =
            self.plugin.as_ref().map(|plugin| Rc::new(Shared(RefCell::new(Stream::new(Rc::clone(plugin))))));
        Some(Box::new(Http { context, stream }))
    }
}

/// A stream that both the SDK's context and a callout on its way can reach.
struct Shared<F: Filter>(RefCell<Stream<F>>);

impl<F: Filter> Shared<F> {
    fn expect_answer(self: &Rc<Self>, token: u32, context: u32) {
        let stream: Weak<Self> = Rc::downgrade(self);
        callouts::expect(token, context, stream);
    }
}

impl<F: Filter> Waiting for Shared<F> {
    fn answer(self: Rc<Self>, context: u32, token: u32, result: CalloutResult) {
        let verdict = self.0.borrow_mut().on_callout(token, result, &Envoy);
        if let Some(Verdict::Wait(next)) = verdict {
            self.expect_answer(next, context);
        }
    }
}

struct Http<F: Filter> {
    context: u32,
    stream: Option<Rc<Shared<F>>>,
}

impl<F: Filter> Context for Http<F> {}

impl<F: Filter> HttpContext for Http<F> {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let Some(stream) = &self.stream else {
            abi::close_request();
            return Action::Pause;
        };
        let verdict = stream.0.borrow_mut().on_request(&Envoy);
        match verdict {
            Verdict::Continue => Action::Continue,
            Verdict::Answered => Action::Pause,
            Verdict::Wait(token) => {
                stream.expect_answer(token, self.context);
                Action::Pause
            }
        }
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        if let Some(stream) = &self.stream {
            stream.0.borrow_mut().on_response(&Envoy);
        }
        Action::Continue
    }

    fn on_log(&mut self) {
        if let Some(stream) = &self.stream {
            stream.0.borrow_mut().on_log(&Envoy);
        }
    }
}
