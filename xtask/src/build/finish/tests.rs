use super::super::verify::verify;
use super::*;

/// A module with what all have, `exports` beside it, and the section with that content.
fn module(exports: &[&str], sections: &[&str]) -> Vec<u8> {
    module_and(exports, sections, "")
}

fn module_and(exports: &[&str], sections: &[&str], more: &str) -> Vec<u8> {
    let mut text = String::from(
        r#"(module
            (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
            (import "env" "proxy_done" (func $done (result i32)))
            (memory (export "memory") 1)
            (global (export "__heap_base") i32 (i32.const 0))"#,
    );
    for name in ALWAYS.iter().filter(|name| **name != "memory") {
        text.push_str(&format!("(func (export \"{name}\"))"));
    }
    for name in exports {
        text.push_str(&format!(
            "(func (export \"{name}\") (drop (call $log (i32.const 0) (i32.const 0) (i32.const 0))))"
        ));
    }
    for content in sections {
        text.push_str(&format!("(@custom \"{SECTION}\" \"{content}\")"));
    }
    text.push_str(more);
    text.push(')');
    wat::parse_str(&text).unwrap()
}

fn exports(bytes: &[u8]) -> BTreeSet<String> {
    let module = Module::from_buffer(bytes).unwrap();
    module.exports.iter().map(|export| export.name.clone()).collect()
}

fn expected(more: &[&str]) -> BTreeSet<String> {
    ALWAYS.iter().chain(more).map(|name| (*name).to_owned()).collect()
}

#[test]
fn only_listed_callbacks_stay() {
    let raw = module(&["proxy_on_log", "proxy_on_tick", "proxy_on_done"], &["proxy_on_log\\n"]);
    let pruned = prune(&raw, Names::Dropped).unwrap();
    assert_eq!(exports(&pruned.bytes), expected(&["proxy_on_log"]));
    assert_eq!(pruned.callbacks, ["proxy_on_log"]);
    verify(&pruned.bytes, &pruned.callbacks).unwrap();
}

#[test]
fn several_sections_add_up() {
    let raw =
        module(&["proxy_on_log", "proxy_on_tick"], &["proxy_on_log\\n", "proxy_on_tick\\nproxy_on_log\\n"]);
    assert_eq!(prune(&raw, Names::Dropped).unwrap().callbacks, ["proxy_on_log", "proxy_on_tick"]);
}

#[test]
fn a_host_call_that_nothing_reaches_is_not_imported() {
    let raw = module(&["proxy_on_log"], &["proxy_on_log\\n"]);
    let pruned = Module::from_buffer(&prune(&raw, Names::Dropped).unwrap().bytes).unwrap();
    let imports: Vec<&str> = pruned.imports.iter().map(|import| import.name.as_str()).collect();
    assert_eq!(imports, ["proxy_log"]);
}

#[test]
fn the_section_is_gone() {
    let raw = module(&["proxy_on_log"], &["proxy_on_log\\n"]);
    let bytes = prune(&raw, Names::Dropped).unwrap().bytes;
    assert!(!bytes.windows(SECTION.len()).any(|window| window == SECTION.as_bytes()));
}

#[test]
fn our_implementation_replaces_the_sdks() {
    let own = r#"(func (export "tidegate_on_log") (drop (call $done)))"#;
    let raw = module_and(&["proxy_on_log"], &["proxy_on_log\\n"], own);
    let bytes = prune(&raw, Names::Dropped).unwrap().bytes;
    assert_eq!(exports(&bytes), expected(&["proxy_on_log"]));
    // The SDK's calls `proxy_log`, ours `proxy_done`.
    let pruned = Module::from_buffer(&bytes).unwrap();
    let imports: Vec<&str> = pruned.imports.iter().map(|import| import.name.as_str()).collect();
    assert_eq!(imports, ["proxy_done"]);
}

#[test]
fn our_implementation_goes_where_the_callback_is_not_used() {
    let raw = module(&["proxy_on_log", "tidegate_on_tick", "proxy_on_tick"], &["proxy_on_log\\n"]);
    assert_eq!(exports(&prune(&raw, Names::Dropped).unwrap().bytes), expected(&["proxy_on_log"]));
}

#[test]
fn no_section_says_what_to_write() {
    let error = prune(&module(&[], &[]), Names::Dropped).err().unwrap().to_string();
    assert!(error.contains("export_filter!"), "{error}");
}

#[test]
fn a_listed_callback_that_is_not_there_is_named() {
    let error = prune(&module(&[], &["proxy_on_log\\n"]), Names::Dropped).err().unwrap().to_string();
    assert!(error.contains("proxy_on_log"), "{error}");
}

#[test]
fn a_list_of_something_else_is_refused() {
    let error = prune(&module(&["main"], &["main\\n"]), Names::Dropped).err().unwrap().to_string();
    assert!(error.contains("`main`"), "{error}");
}

#[test]
fn an_export_too_many_does_not_verify() {
    let raw = module(&["proxy_on_log"], &["proxy_on_log\\n"]);
    let bytes = prune(&raw, Names::Dropped).unwrap().bytes;
    let error = verify(&bytes, &[]).err().unwrap().to_string();
    assert!(error.contains("proxy_on_log"), "{error}");
}

#[test]
fn an_unknown_import_does_not_verify() {
    let text = r#"(module (import "env" "system" (func $f)) (memory (export "memory") 1)"#.to_owned()
        + &ALWAYS
            .iter()
            .skip(1)
            .map(|name| format!("(func (export \"{name}\") call $f)"))
            .collect::<String>()
        + ")";
    let error = verify(&wat::parse_str(text).unwrap(), &[]).err().unwrap().to_string();
    assert!(error.contains("env.system"), "{error}");
}

#[test]
fn a_host_call_of_the_sdk_is_emptied_even_if_a_table_names_it() {
    let table = r#"(table 2 funcref)
        (elem (i32.const 0) $_ZN10proxy_wasm9hostcalls4done17h0E $ours)
        (func $_ZN10proxy_wasm9hostcalls4done17h0E (result i32) (call $done))
        (func $ours (drop (call $log (i32.const 0) (i32.const 0) (i32.const 0))))
        (func (export "proxy_on_log") (drop (call_indirect (result i32) (i32.const 0))))"#;
    let pruned = prune(&module_and(&[], &["proxy_on_log\\n"], table), Names::Dropped).unwrap();
    verify(&pruned.bytes, &pruned.callbacks).unwrap();
    let pruned = Module::from_buffer(&pruned.bytes).unwrap();
    let imports: Vec<&str> = pruned.imports.iter().map(|import| import.name.as_str()).collect();
    assert_eq!(imports, ["proxy_log"], "ours is as it was");
}

#[test]
fn only_wrappers_of_host_calls_are_emptied() {
    for (name, expected) in [
        ("_ZN10proxy_wasm9hostcalls17get_map_value_bytes17h0E", true),
        ("_ZN10proxy_wasm6traits7Context15get_shared_data17h0E", true),
        ("_ZN10proxy_wasm6traits11HttpContext18send_http_response17h0E", true),
        ("_ZN10proxy_wasm6traits11RootContext15set_tick_period17h0E", true),
        ("_ZN10proxy_wasm6traits7Context7on_done17h0E", false),
        ("_ZN10proxy_wasm6traits7Context4done17h0E", false),
        ("_ZN10proxy_wasm6traits11RootContext8get_type17h0E", false),
        ("_ZN10proxy_wasm6traits11RootContext19create_http_context17h0E", false),
        ("_ZN10proxy_wasm10dispatcher10Dispatcher6on_log17h0E", false),
        ("_ZN18tidegate_proxy_host4wasm3abi12set_property17h0E", false),
    ] {
        assert_eq!(is_sdk_host_call(name), expected, "{name}");
    }
}
