//! The SDK's contexts: the SDK creates and finds them, the pipeline does the rest.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use tidegate_filter_api::{CallToken, CalloutResult, Filter};

use super::callouts::{self, Dispatching, Waiting};
use super::envoy::Envoy;
use super::{abi, logger};
use crate::pipeline::{Plugin, Stream, Verdict};

/// Starts a module: the host calls `_initialize`, which calls this.
pub fn start<F: Filter>() {
    logger::install();
    proxy_wasm::set_root_context(|context| Box::new(Root::<F> { context, plugin: None }));
}

struct Root<F: Filter> {
    context: u32,
    /// `None` until configured; no stream begins before that.
    plugin: Option<Rc<Plugin<F>>>,
}

impl<F: Filter> Dispatching for Plugin<F> {
    fn dispatched(&self, token: CallToken, result: CalloutResult) {
        self.on_dispatched(&Envoy, token, result);
    }
}

impl<F: Filter> Context for Root<F> {}

impl<F: Filter> RootContext for Root<F> {
    fn on_configure(&mut self, size: usize) -> bool {
        logger::adopt_host_level();
        let document = match size {
            0 => Box::default(),
            _ => match abi::buffer(abi::PLUGIN_CONFIGURATION, 0, size) {
                Ok(document) => document,
                Err(error) => {
                    log::error!("{}: configuration could not be read: {error}", F::NAME);
                    return false;
                }
            },
        };
        match Plugin::configure(&document, &Envoy) {
            Ok(plugin) => {
                self.start(Rc::new(plugin));
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

    fn on_tick(&mut self) {
        if let Some(plugin) = &self.plugin {
            plugin.on_tick(&Envoy);
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

/// The SDK drops a root context when the host deletes it; `proxy_on_done` would say so earlier, but is called for each
/// stream as well.
impl<F: Filter> Drop for Root<F> {
    fn drop(&mut self) {
        if let Some(plugin) = self.plugin.take() {
            plugin.on_end(&Envoy);
        }
    }
}

impl<F: Filter> Root<F> {
    fn start(&mut self, plugin: Rc<Plugin<F>>) {
        let weak: Weak<Plugin<F>> = Rc::downgrade(&plugin);
        callouts::adopt(self.context, weak);
        if let Some(period) = plugin.tick_period() {
            let milliseconds = u32::try_from(period.as_millis().max(1)).unwrap_or(u32::MAX);
            if let Err(error) = abi::set_tick_period(milliseconds) {
                // Whether a configuration is accepted must not depend on the host's state.
                log::error!("{}: asking for ticks: {error}", F::NAME);
            }
        }
        self.plugin = Some(plugin);
    }
}

/// A stream that both the SDK's context and a callout on its way can reach.
struct Shared<F: Filter>(RefCell<Stream<F>>);

impl<F: Filter> Shared<F> {
    /// What the host is to do with the request, after the call that it newly waits for has been noted.
    fn heed(self: &Rc<Self>, verdict: Verdict, context: u32) -> Action {
        match verdict {
            Verdict::Continue => Action::Continue,
            Verdict::Hold | Verdict::Answered => Action::Pause,
            Verdict::Wait(token) => {
                let stream: Weak<Self> = Rc::downgrade(self);
                callouts::expect(token, context, stream);
                Action::Pause
            }
        }
    }
}

impl<F: Filter> Waiting for Shared<F> {
    fn answer(self: Rc<Self>, context: u32, token: CallToken, result: CalloutResult) {
        let verdict = self.0.borrow_mut().on_callout(token, result, &Envoy);
        verdict.map(|verdict| self.heed(verdict, context));
    }

    fn wake(self: Rc<Self>, context: u32, token: CallToken) {
        let verdict = self.0.borrow_mut().on_awaited(token, &Envoy);
        verdict.map(|verdict| self.heed(verdict, context));
    }
}

struct Http<F: Filter> {
    context: u32,
    stream: Option<Rc<Shared<F>>>,
}

impl<F: Filter> Context for Http<F> {}

impl<F: Filter> HttpContext for Http<F> {
    fn on_http_request_headers(&mut self, _: usize, end: bool) -> Action {
        let Some(stream) = &self.stream else {
            abi::close_request();
            return Action::Pause;
        };
        let verdict = stream.0.borrow_mut().on_request(end, &Envoy);
        stream.heed(verdict, self.context)
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        let Some(stream) = &self.stream else { return Action::Pause };
        let verdict = stream.0.borrow_mut().on_request_body(size, end, &Envoy);
        stream.heed(verdict, self.context)
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        let Some(stream) = &self.stream else { return Action::Pause };
        let verdict = stream.0.borrow_mut().on_request_trailers(&Envoy);
        stream.heed(verdict, self.context)
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        if let Some(stream) = &self.stream {
            stream.0.borrow_mut().on_response(&Envoy);
        }
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, _: bool) -> Action {
        if let Some(stream) = &self.stream {
            stream.0.borrow_mut().on_response_body(size, &Envoy);
        }
        Action::Continue
    }

    fn on_log(&mut self) {
        if let Some(stream) = &self.stream {
            stream.0.borrow_mut().on_log(&Envoy);
        }
    }
}
