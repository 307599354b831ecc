//! A decision service over gRPC: `envoy.service.auth.v3.Authorization/Check`. Field numbers are those of
//! `envoy/service/auth/v3/external_auth.proto` and `attribute_context.proto`.

use std::time::Duration;

use tidegate_config::{Decode, Object};
use tidegate_filter_api::{Callout, CalloutResult, GrpcCall};
use tidegate_protobuf::{Malformed, Message, Value, fields};

use super::{Answer, Question};

/// Where the service is.
#[derive(Debug)]
pub(super) struct Grpc {
    cluster: String,
    /// `context_extensions`: what the service is told beside the request.
    context: Vec<(String, String)>,
}

impl Grpc {
    pub(super) fn callout(&self, question: &Question<'_>, timeout: Duration) -> Callout {
        Callout::Grpc(GrpcCall {
            cluster: self.cluster.clone(),
            service: "envoy.service.auth.v3.Authorization",
            method: "Check",
            metadata: Vec::new(),
            message: self.request(question),
            timeout,
        })
    }

    /// `CheckRequest { AttributeContext attributes = 1; }`
    fn request(&self, question: &Question<'_>) -> Vec<u8> {
        let mut attributes = Message::new();
        if let Some(source) = &question.source {
            // Peer { Address { SocketAddress { address = 2; port_value = 3 } = 1 } = 1 }
            let mut socket = Message::new();
            socket.bytes(2, source.as_bytes()).varint(3, 0);
            let (mut address, mut peer) = (Message::new(), Message::new());
            address.message(1, &socket);
            peer.message(1, &address);
            attributes.message(1, &peer);
        }
        let mut request = Message::new();
        request.message(2, &http(question));
        attributes.message(4, &request);
        for (name, value) in &self.context {
            let mut entry = Message::new();
            entry.bytes(1, name.as_bytes()).bytes(2, value.as_bytes());
            attributes.message(10, &entry);
        }
        let mut check = Message::new();
        check.message(1, &attributes);
        check.into_bytes()
    }

    pub(super) fn decode(object: &mut Object<'_>) -> Option<Self> {
        let cluster = object.required::<String>("cluster");
        let context = object.get("context").map_or(Some(Vec::new()), |cursor| {
            let entries =
                cursor.entries()?.map(|(name, value)| Some((name.to_owned(), String::decode(value)?)));
            entries.collect::<Vec<_>>().into_iter().collect()
        });
        Some(Self { cluster: cluster?, context: context? })
    }
}

/// `AttributeContext.HttpRequest`. Headers of one name are joined as Envoy joins them; strings are UTF-8, what is not is
/// replaced, so that a service never sees a text that is none.
fn http(question: &Question<'_>) -> Message {
    let mut headers: Vec<(&[u8], Vec<u8>)> = vec![
        (b":method", question.method.to_vec()),
        (b":path", question.path.to_vec()),
        (b":authority", question.host.to_vec()),
    ];
    for (name, value) in &question.headers {
        match headers.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) => {
                values.push(b',');
                values.extend_from_slice(value);
            }
            None => headers.push((name, value.to_vec())),
        }
    }
    let mut http = Message::new();
    http.bytes(2, text(question.method).as_bytes());
    for (name, value) in &headers {
        let mut entry = Message::new();
        entry.bytes(1, text(name).as_bytes()).bytes(2, text(value).as_bytes());
        http.message(3, &entry);
    }
    http.bytes(4, text(question.path).as_bytes()).bytes(5, text(question.host).as_bytes());
    http.bytes(10, b"HTTP/1.1");
    http
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// What the answer says; `None` if it is none.
pub(super) fn answer(result: CalloutResult) -> Option<Answer> {
    check_response(&result.ok()?.body).ok()
}

/// `CheckResponse { Status status = 1; DeniedHttpResponse denied_response = 2; OkHttpResponse ok_response = 3; }`. A
/// response without status has one of code 0, which allows: an empty message is valid, and is what a server that knows
/// no better sends. It is taken for no answer.
fn check_response(bytes: &[u8]) -> Result<Answer, Malformed> {
    let (mut code, mut denied, mut allowed) = (None, None, None);
    for field in fields(bytes) {
        match field? {
            (1, Value::Bytes(status)) => code = Some(status_code(status)?),
            (2, Value::Bytes(response)) => denied = Some(response),
            (3, Value::Bytes(response)) => allowed = Some(response),
            _ => {}
        }
    }
    match code {
        // A refusal beside "OK" is a server that contradicts itself.
        Some(0) if denied.is_none() => Ok(Answer::Allowed(headers(allowed.unwrap_or_default())?)),
        Some(0) | None => Err(Malformed),
        Some(_) => {
            let denied = denied.unwrap_or_default();
            Ok(Answer::Denied(http_status(denied)?, headers(denied)?))
        }
    }
}

/// `google.rpc.Status { int32 code = 1; }`, 0 where it is left out.
fn status_code(bytes: &[u8]) -> Result<u64, Malformed> {
    let mut code = 0;
    for field in fields(bytes) {
        if let (1, Value::Varint(value)) = field? {
            code = value;
        }
    }
    Ok(code)
}

/// `DeniedHttpResponse { HttpStatus { code = 1 } status = 1; }`; anything but a redirection or a client's error is 403.
fn http_status(bytes: &[u8]) -> Result<u16, Malformed> {
    let mut status = 403;
    for field in fields(bytes) {
        let (1, Value::Bytes(http)) = field? else { continue };
        for field in fields(http) {
            if let (1, Value::Varint(code @ 300..=499)) = field? {
                status = u16::try_from(code).map_err(|_| Malformed)?;
            }
        }
    }
    Ok(status)
}

/// `repeated HeaderValueOption { HeaderValue { key = 1; value = 2; raw_value = 3 } header = 1; } headers = 2;`, alike in
/// both responses.
fn headers(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Malformed> {
    let mut headers = Vec::new();
    for field in fields(bytes) {
        let (2, Value::Bytes(option)) = field? else { continue };
        for field in fields(option) {
            let (1, Value::Bytes(header)) = field? else { continue };
            let (mut name, mut value) = (String::new(), Vec::new());
            for field in fields(header) {
                match field? {
                    (1, Value::Bytes(key)) => name = text(key).to_ascii_lowercase(),
                    (2 | 3, Value::Bytes(bytes)) if !bytes.is_empty() => value = bytes.to_vec(),
                    _ => {}
                }
            }
            headers.push((name, value));
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(build: impl FnOnce(&mut Message)) -> Message {
        let mut message = Message::new();
        build(&mut message);
        message
    }

    #[test]
    fn an_answer_that_says_nothing_is_none() {
        assert!(check_response(b"").is_err());
        assert!(check_response(b"\xff\xff").is_err());
        assert!(check_response(b"<html>").is_err());
        // OK beside a refusal.
        let contradiction = message(|it| {
            it.bytes(1, b"").bytes(2, b"");
        });
        assert!(check_response(&contradiction.into_bytes()).is_err());
    }

    #[test]
    fn ok_allows_and_anything_else_denies() {
        let header = message(|it| {
            it.message(
                1,
                &message(|it| {
                    it.bytes(1, b"X-User").bytes(2, b"ann");
                }),
            );
        });
        let allowed = message(|it| {
            it.bytes(1, b"").message(
                3,
                &message(|it| {
                    it.message(2, &header);
                }),
            );
        });
        let Ok(Answer::Allowed(headers)) = check_response(&allowed.into_bytes()) else {
            panic!("not allowed")
        };
        assert_eq!(headers, [("x-user".to_owned(), b"ann".to_vec())]);

        let status = |code: u64| {
            message(|it| {
                it.message(
                    1,
                    &message(|it| {
                        it.varint(1, code);
                    }),
                );
            })
        };
        for (code, expected) in [(401, 401), (302, 302), (200, 403), (500, 403), (70_000, 403)] {
            let denied = message(|it| {
                it.message(
                    1,
                    &message(|it| {
                        it.varint(1, 7);
                    }),
                );
                it.message(2, &status(code));
            });
            let Ok(Answer::Denied(status, _)) = check_response(&denied.into_bytes()) else {
                panic!("allowed")
            };
            assert_eq!(status, expected, "{code}");
        }
    }
}
