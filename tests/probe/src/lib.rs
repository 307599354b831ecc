//! A filter for tests only: what it does is in the request's headers.
//!
//! | header | effect |
//! |---|---|
//! | `x-probe-call: CLUSTER` | pauses the request and calls the cluster; the result goes upstream as `x-probe-result` |
//! | `x-probe-trap: 1` | traps |

use tidegate_config::{Cursor, Decode, HeaderName, HeaderValue};
use tidegate_filter_api::{Callbacks, Callout, CalloutFailure, CalloutResult, Exchange, Filter, Flow, Host};

/// `{"timeout": "250ms"}`
pub struct Probe {
    timeout: tidegate_config::Duration,
}

impl Decode for Probe {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let timeout = object.required("timeout");
        object.finish();
        Some(Self { timeout: timeout? })
    }
}

impl Filter for Probe {
    const NAME: &'static str = "probe";
    const CALLBACKS: Callbacks = Callbacks::REQUEST_HEADERS.and(Callbacks::CALLOUT);
    type Config = Self;
    type Stream = ();

    fn new(config: Self, _: &dyn Host) -> Self {
        config
    }

    fn on_request(&self, (): &mut (), exchange: &mut Exchange, _: &dyn Host) -> Flow {
        assert!(exchange.request().first("x-probe-trap").is_none(), "the probe was told to trap");
        let Some(cluster) = exchange.request().first("x-probe-call") else { return Flow::Continue };
        let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        Flow::Call(Callout {
            cluster: String::from_utf8_lossy(cluster).into_owned(),
            headers: vec![header(":method", "GET"), header(":path", "/probe"), header(":authority", "probe")],
            body: Vec::new(),
            timeout: self.timeout.get(),
        })
    }

    fn on_callout(&self, (): &mut (), exchange: &mut Exchange, _: &dyn Host, result: CalloutResult) -> Flow {
        let seen = match result {
            Ok(response) => {
                format!("{} {} bytes", response.status().unwrap_or_default(), response.body.len())
            }
            Err(CalloutFailure::NotSent(error)) => format!("not sent: {error}"),
            Err(CalloutFailure::NoAnswer) => "no answer".to_owned(),
        };
        if let (Ok(name), Ok(value)) =
            (HeaderName::new("x-probe-result"), HeaderValue::new(seen.into_bytes()))
        {
            exchange.request_mut().set(&name, &value);
        }
        Flow::Continue
    }
}

#[cfg(target_arch = "wasm32")]
tidegate_proxy_host::export_filter!(Probe);
