//! The requests of a case, and their bytes.

use tidegate_testkit::scenario;

/// Stands for the number of the key in a path or a header's value: seven digits.
pub const KEY: &str = "{n}";
const WIDTH: usize = 7;
/// What bodies are made of.
const FILLING: u8 = b'x';

/// Requests sent in turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// At least one.
    pub requests: Vec<Request>,
    /// [`KEY`] counts from 0 to one less than this, and from 0 again.
    pub keys: u64,
    /// The status of every answer.
    pub status: u16,
}

/// A GET request, or a POST with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// With the query.
    pub path: String,
    /// Beside `host`.
    pub headers: Vec<(String, String)>,
    /// So many bytes, all the same; with none it is a GET.
    pub body: usize,
}

/// The authority of all requests.
const HOST: &str = "shop.example";

impl Load {
    /// One request, again and again.
    #[must_use]
    pub fn of(request: Request) -> Self {
        Self { requests: vec![request], keys: 1, status: 200 }
    }

    /// With so many keys.
    #[must_use]
    pub fn keys(mut self, keys: u64) -> Self {
        self.keys = keys;
        self
    }

    /// Whether both send the same to a plain Envoy, to which a key is some digits.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.requests == other.requests && self.status == other.status
    }

    /// How many requests it takes to have sent each with each key.
    pub(super) fn cycle(&self) -> u64 {
        self.keys * self.requests.len() as u64
    }

    /// The number of the request at this place in the turn.
    pub(super) fn turn(&self, place: u64) -> (usize, u64) {
        let kinds = self.requests.len() as u64;
        // A remainder of a number of that type.
        ((place % kinds) as usize, place / kinds % self.keys)
    }
}

impl Request {
    /// A request without headers.
    #[must_use]
    pub fn to(path: &str) -> Self {
        Self { path: path.to_owned(), headers: Vec::new(), body: 0 }
    }

    /// Sets the length of the body.
    #[must_use]
    pub fn body(mut self, bytes: usize) -> Self {
        self.body = bytes;
        self
    }

    /// The same request for another path.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        self.path = path.to_owned();
        self
    }

    /// Sets a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        match self.headers.iter_mut().find(|(other, _)| other == name) {
            Some((_, old)) => *old = value.to_owned(),
            None => self.headers.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Takes a header away.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    /// As the harness's client sends it.
    pub(super) fn with_key(&self, key: u64) -> scenario::Request {
        let filled = |text: &str| text.replace(KEY, &digits(key)).into_bytes();
        scenario::Request {
            method: self.method().to_owned(),
            path: filled(&self.path),
            host: HOST.to_owned(),
            headers: self.headers.iter().map(|(name, value)| (filled(name), filled(value))).collect(),
            body: vec![FILLING; self.body],
            grpc: false,
        }
    }

    fn method(&self) -> &'static str {
        if self.body == 0 { "GET" } else { "POST" }
    }
}

/// A request's bytes, in which only the digits of the key change.
pub(super) struct Rendered {
    bytes: Vec<u8>,
    keys: Vec<usize>,
}

impl Rendered {
    pub(super) fn new(request: &Request) -> Self {
        let headers = request.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        let mut headers: String = headers.collect();
        if request.body > 0 {
            headers.push_str(&format!("content-length: {}\r\n", request.body));
        }
        let text = format!("{} {} HTTP/1.1\r\nhost: {HOST}\r\n{headers}\r\n", request.method(), request.path);
        let mut keys = Vec::new();
        let mut bytes = Vec::new();
        for (index, part) in text.split(KEY).enumerate() {
            if index > 0 {
                keys.push(bytes.len());
                bytes.extend_from_slice(&[b'0'; WIDTH]);
            }
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes.resize(bytes.len() + request.body, FILLING);
        Self { bytes, keys }
    }

    /// The request with this key.
    pub(super) fn with_key(&mut self, key: u64) -> &[u8] {
        for start in &self.keys {
            let mut rest = key;
            for digit in self.bytes[*start..start + WIDTH].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
        &self.bytes
    }
}

fn digits(key: u64) -> String {
    format!("{key:0WIDTH$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_wherever_it_is_named() {
        let request = Request::to("/users/{n}").with("x-user-id", "user-{n}");
        let mut rendered = Rendered::new(&request);
        let expected = |key: &str| {
            format!("GET /users/{key} HTTP/1.1\r\nhost: shop.example\r\nx-user-id: user-{key}\r\n\r\n")
        };
        assert_eq!(rendered.with_key(42), expected("0000042").as_bytes());
        assert_eq!(rendered.with_key(1_234_567), expected("1234567").as_bytes());
        // What the checks send is the same.
        let checked = request.with_key(42);
        assert_eq!(checked.path, b"/users/0000042");
        assert_eq!(checked.headers, [(b"x-user-id".to_vec(), b"user-0000042".to_vec())]);
    }

    #[test]
    fn a_body_makes_it_a_post() {
        let request = Request::to("/upload").body(3);
        let expected = b"POST /upload HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 3\r\n\r\nxxx";
        assert_eq!(Rendered::new(&request).with_key(0), expected);
        let checked = request.with_key(0);
        assert_eq!((checked.method.as_str(), checked.body.as_slice()), ("POST", b"xxx".as_slice()));
    }

    #[test]
    fn each_request_comes_with_each_key() {
        let load = Load { requests: vec![Request::to("/a"), Request::to("/b")], keys: 3, status: 200 };
        let turns: Vec<_> = (0..=load.cycle()).map(|place| load.turn(place)).collect();
        assert_eq!(turns, [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2), (0, 0)]);
    }

    #[test]
    fn a_header_has_one_value() {
        let request = Request::to("/").with("a", "1").with("b", "2").with("a", "3").without("b");
        assert_eq!(request.headers, [("a".to_owned(), "3".to_owned())]);
    }
}
