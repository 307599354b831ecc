//! A filter that does nothing, written with the proxy-wasm SDK as its documentation shows it. It uses none of Tidegate's
//! crates: what it costs is what any filter in Rust costs before it has done anything.
//!
//! `cargo xtask bench` measures it twice: as the compiler makes it (`empty-sdk`), and finished like our own modules, with
//! the exports that it does not use removed (`empty-sdk/pruned`).
#![cfg(target_arch = "wasm32")]
#![expect(missing_docs, reason = "the SDK's macro exports a function without any")]

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

/// What the finishing keeps.
#[used]
#[expect(unsafe_code, reason = "a custom section of the module: nothing else writes there")]
#[unsafe(link_section = "tidegate.callbacks")]
static CALLBACKS: [u8; 25] = *b"proxy_on_request_headers\n";

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Root));
}}

struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Http))
    }
}

struct Http;

impl Context for Http {}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        Action::Continue
    }
}
