//! Lists and reads scenario files: with the standard library, and as wasm32, where that has no files, with Node's.

use std::path::Path;

/// The files of a folder below `tests/scenarios`, in order.
pub(super) fn list(folder: &str) -> Result<Vec<String>, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios").join(folder);
    let folder = folder.display().to_string();
    let mut files: Vec<String> = names(&folder)?.into_iter().map(|name| format!("{folder}/{name}")).collect();
    files.sort_unstable();
    Ok(files)
}

#[cfg(not(target_arch = "wasm32"))]
fn names(folder: &str) -> Result<Vec<String>, String> {
    let named = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    std::fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(named(entry?))).collect())
        .map_err(|error| format!("{folder}: {error}"))
}

#[cfg(not(target_arch = "wasm32"))]
pub(super) fn read(file: &str) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))
}

#[cfg(target_arch = "wasm32")]
fn names(folder: &str) -> Result<Vec<String>, String> {
    node::readdirSync(folder).map_err(|error| format!("{folder}: {error:?}"))
}

#[cfg(target_arch = "wasm32")]
pub(super) fn read(file: &str) -> Result<String, String> {
    node::readFileSync(file, "utf8").map_err(|error| format!("{file}: {error:?}"))
}

#[cfg(target_arch = "wasm32")]
mod node {
    use wasm_bindgen::JsValue;
    use wasm_bindgen::prelude::wasm_bindgen;

    #[wasm_bindgen(module = "fs")]
    extern "C" {
        #[wasm_bindgen(catch)]
        pub(super) fn readdirSync(folder: &str) -> Result<Vec<String>, JsValue>;
        #[wasm_bindgen(catch)]
        pub(super) fn readFileSync(file: &str, encoding: &str) -> Result<String, JsValue>;
    }
}
