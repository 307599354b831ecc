//! A decision service over HTTP: the request without its body is sent to it, below a prefix. 2xx allows, 5xx is an error,
//! anything else denies.

use std::time::Duration;

use tidegate_config::{HeaderValue, Object};
use tidegate_filter_api::{Callout, CalloutResult, HttpCall};

use super::{Answer, OF_THE_CONNECTION, Question};

/// Where the service is.
#[derive(Debug)]
pub(super) struct Http {
    cluster: String,
    authority: Option<HeaderValue>,
    path_prefix: String,
}

impl Http {
    pub(super) fn callout(&self, question: &Question<'_>, timeout: Duration) -> Callout {
        let path = [self.path_prefix.as_bytes(), question.path].concat();
        let authority = self.authority.as_ref().map_or(question.host, HeaderValue::as_bytes);
        let mut headers: Vec<(String, Vec<u8>)> = [
            (":method", question.method),
            (":path", path.as_slice()),
            (":authority", authority),
            ("x-forwarded-host", question.host),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_vec()))
        .collect();
        for (name, value) in &question.headers {
            let Ok(name) = std::str::from_utf8(name) else { continue };
            if !OF_THE_CONNECTION.contains(&name) && name != "x-forwarded-host" && name != "x-forwarded-for" {
                headers.push((name.to_owned(), value.to_vec()));
            }
        }
        // What the client wrote there could be anything; this is the address that conditions look at.
        if let Some(source) = &question.source {
            headers.push(("x-forwarded-for".to_owned(), source.clone().into_bytes()));
        }
        Callout::Http(HttpCall { cluster: self.cluster.clone(), headers, body: Vec::new(), timeout })
    }

    pub(super) fn decode(object: &mut Object<'_>) -> Option<Self> {
        let cluster = object.required::<String>("cluster");
        let authority: Option<Option<HeaderValue>> = object.optional("authority");
        let path_prefix = object.get("path_prefix").map_or(Some(String::new()), |cursor| {
            let usable = cursor.as_str().filter(|prefix| {
                prefix.starts_with('/')
                    && prefix.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte))
            });
            let prefix = usable.map(|prefix| prefix.strip_suffix('/').unwrap_or(prefix).to_owned());
            prefix.or_else(|| cursor.expected("a path starting with \"/\", without query"))
        });
        Some(Self { cluster: cluster?, authority: authority?, path_prefix: path_prefix? })
    }
}

/// What the answer says; `None` if it is none.
pub(super) fn answer(result: CalloutResult) -> Option<Answer> {
    let response = result.ok()?;
    let headers = response
        .headers
        .iter()
        .filter_map(|(name, value)| Some((std::str::from_utf8(name).ok()?.to_owned(), value.to_vec())))
        .collect();
    match response.status()? {
        200..=299 => Some(Answer::Allowed(headers)),
        status @ 300..=499 => Some(Answer::Denied(status, headers)),
        _ => None,
    }
}
