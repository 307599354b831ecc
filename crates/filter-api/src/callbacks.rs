//! Which callbacks a filter uses.

use std::ops::BitOr;

/// A set of callbacks. A module exports only those that its filter uses: each that the host need not make saves a
/// crossing into the VM per request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Callbacks(u8);

impl Callbacks {
    /// Request headers have arrived.
    pub const REQUEST_HEADERS: Self = Self(1);
    /// Response headers have arrived, from the upstream or by a local reply.
    pub const RESPONSE_HEADERS: Self = Self(1 << 1);
    /// The exchange has ended.
    pub const LOG: Self = Self(1 << 2);
    /// An HTTP callout was answered or failed. Brings the callbacks of the request's body with it: where a plugin is
    /// configured with `allow_on_headers_stop_iteration`, Envoy goes on with a held request as soon as a piece of its body
    /// is not held as well.
    pub const CALLOUT: Self = Self(1 << 3);
    /// A gRPC callout was answered or failed. Brings those callbacks too.
    pub const GRPC_CALLOUT: Self = Self(1 << 4);
    /// A piece of the request's body has arrived, or its trailers: behind those no piece is the last.
    pub const REQUEST_BODY: Self = Self(1 << 5);
    /// A piece of the response's body has arrived.
    pub const RESPONSE_BODY: Self = Self(1 << 6);
    /// Time has passed.
    pub const TICK: Self = Self(1 << 7);

    const EXPORTS: [(Self, &'static str); 8] = [
        (Self::REQUEST_HEADERS, "proxy_on_request_headers\n"),
        (Self::RESPONSE_HEADERS, "proxy_on_response_headers\n"),
        (Self::LOG, "proxy_on_log\n"),
        (Self::CALLOUT, "proxy_on_http_call_response\nproxy_on_request_body\nproxy_on_request_trailers\n"),
        (
            Self::GRPC_CALLOUT,
            "proxy_on_grpc_receive\nproxy_on_grpc_close\nproxy_on_request_body\nproxy_on_request_trailers\n",
        ),
        (Self::REQUEST_BODY, "proxy_on_request_body\nproxy_on_request_trailers\n"),
        (Self::RESPONSE_BODY, "proxy_on_response_body\n"),
        (Self::TICK, "proxy_on_tick\n"),
    ];

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are in the set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Length of [`Callbacks::export_list`].
    #[must_use]
    #[expect(
        clippy::indexing_slicing,
        reason = "constant evaluation has no iterators; a bad index does not compile"
    )]
    pub const fn export_list_len(self) -> usize {
        let mut length = 0;
        let mut export = 0;
        while export < Self::EXPORTS.len() {
            let (callback, name) = Self::EXPORTS[export];
            if self.contains(callback) {
                length += name.len();
            }
            export += 1;
        }
        length
    }

    /// The names that the module exports for these callbacks, a line each; some may stand twice. The export macro writes them into the
    /// module's custom section `tidegate.callbacks`; the build keeps those exports and drops the others.
    #[must_use]
    #[expect(
        clippy::indexing_slicing,
        reason = "constant evaluation has no iterators; a bad index does not compile"
    )]
    pub const fn export_list<const LEN: usize>(self) -> [u8; LEN] {
        let mut list = [0; LEN];
        let mut filled = 0;
        let mut export = 0;
        while export < Self::EXPORTS.len() {
            let (callback, name) = Self::EXPORTS[export];
            let mut byte = 0;
            while self.contains(callback) && byte < name.len() {
                list[filled] = name.as_bytes()[byte];
                filled += 1;
                byte += 1;
            }
            export += 1;
        }
        list
    }
}

impl BitOr for Callbacks {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.and(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_export_list_names_what_is_used_and_nothing_else() {
        const USED: Callbacks = Callbacks::REQUEST_HEADERS.and(Callbacks::LOG);
        const LIST: [u8; USED.export_list_len()] = USED.export_list();
        assert_eq!(&LIST, b"proxy_on_request_headers\nproxy_on_log\n");
    }

    #[test]
    fn whoever_can_hold_a_request_can_hold_its_body() {
        const HTTP: [u8; Callbacks::CALLOUT.export_list_len()] = Callbacks::CALLOUT.export_list();
        const GRPC: [u8; Callbacks::GRPC_CALLOUT.export_list_len()] = Callbacks::GRPC_CALLOUT.export_list();
        for list in [HTTP.as_slice(), &GRPC] {
            let list = std::str::from_utf8(list).unwrap();
            assert!(list.contains("proxy_on_request_body\nproxy_on_request_trailers\n"), "{list}");
        }
    }
}
