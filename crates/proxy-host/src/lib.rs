//! Runs a filter in a proxy-wasm host: the only crate that touches the SDK.
//!
//! [`pipeline`] performs what a filter decides, over any [`Wire`]; it is plain code and runs in native tests too. The
//! rest exists on wasm32 only: the host calls (bytes in, bytes out, the status as a value), the SDK's contexts, and
//! [`export_filter!`], which makes a module of a filter.

pub mod pipeline;

mod wire;

pub use wire::{Map, Wire};

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod wasm;

/// Makes a module of a [`tidegate_filter_api::Filter`]: `export_filter!(RateLimit);`
///
/// Expands to nothing but on wasm32, so that any number of filters can be linked into one native tool.
#[macro_export]
macro_rules! export_filter {
    ($filter:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            /// Which callbacks the build keeps: the finished module exports no others.
            #[used]
            #[unsafe(link_section = "tidegate.callbacks")]
            static CALLBACKS: [u8; <$filter as $crate::wasm::Filter>::CALLBACKS.export_list_len()] =
                <$filter as $crate::wasm::Filter>::CALLBACKS.export_list();

            #[unsafe(no_mangle)]
            extern "C" fn _initialize() {
                $crate::wasm::start::<$filter>();
            }
        };
    };
}
