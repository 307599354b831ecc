//! A filter of one's own: greets the upstream in a header, in about thirty lines.

use tidegate_config::{Cursor, Decode, HeaderName, HeaderValue};
use tidegate_filter_api::{Callbacks, Exchange, Filter, Flow, Host};

/// `{"greeting": "hello"}`
pub struct Hello {
    greeting: HeaderValue,
}

impl Decode for Hello {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let greeting = object.required("greeting");
        object.finish();
        Some(Self { greeting: greeting? })
    }
}

impl Filter for Hello {
    const NAME: &'static str = "hello";
    const CALLBACKS: Callbacks = Callbacks::REQUEST_HEADERS;
    type Config = Self;
    type Stream = ();

    fn new(config: Self, _: &dyn Host) -> Self {
        config
    }

    fn on_request(&self, (): &mut (), exchange: &mut Exchange, _: &dyn Host) -> Flow {
        if let Ok(name) = HeaderName::new("x-hello") {
            exchange.request_mut().set(&name, &self.greeting);
        }
        Flow::Continue
    }
}

#[cfg(target_arch = "wasm32")]
tidegate_proxy_host::export_filter!(Hello);
