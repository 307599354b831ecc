//! Paths and hosts: the readings that conditions rest on.

use crate::host::canonical;
use crate::{cookie_values, is_ambiguous, normalise, query_values};

#[test]
fn paths_are_normalised() {
    for (path, expected) in [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b/"),
        ("/a?b/../c", "/a"),
        ("/a#b", "/a"),
        ("//a///b", "/a/b"),
        ("/a/./b/../c", "/a/c"),
        ("/../../a", "/a"),
        ("/a/..", "/"),
        ("/a/b/.", "/a/b/"),
        ("/%61%2E%2e/x", "/a../x"),
        ("/a/%2e%2e/b", "/b"),
        ("/a%2fb%20", "/a%2fb%20"),
        ("/%", "/%"),
        ("/%6", "/%6"),
        ("*", "*"),
        ("", ""),
    ] {
        assert_eq!(String::from_utf8_lossy(&normalise(path.as_bytes())), expected, "{path}");
    }
}

#[test]
fn a_normalised_path_is_its_own_normal_form() {
    for path in ["/%2561", "/a/%2e./b", "//%2e%2e//x", "/%2%65"] {
        let once = normalise(path.as_bytes()).into_owned();
        // `%25` stays escaped, so decoding twice changes nothing.
        assert_eq!(normalise(&once).as_ref(), once.as_slice(), "{path}");
    }
}

#[test]
fn ordinary_paths_are_not_ambiguous() {
    for path in [
        "/",
        "/a/b.c/",
        "/a?x=//../;\\",
        "/a/..b/...",
        "/%61",
        "/%20",
        "/caf%C3%A9",
        "/a:b@c!$&'()*+,=",
        "*",
        "",
    ] {
        assert!(!is_ambiguous(path.as_bytes()), "{path}");
    }
    for path in [&b"/\xff"[..], b"/a\tb", b"/%C3", b"/%fe"] {
        assert!(is_ambiguous(path), "{}", path.escape_ascii());
    }
}

#[test]
fn hosts_lose_case_port_and_final_dot() {
    for (authority, expected) in [
        ("Shop.Example.com", "shop.example.com"),
        ("shop:8080", "shop"),
        ("shop.:443", "shop"),
        ("shop.", "shop"),
        ("[2001:DB8::1]:80", "[2001:db8::1]"),
        ("user@shop", "shop"),
        ("", ""),
    ] {
        assert_eq!(String::from_utf8_lossy(&canonical(authority.as_bytes())), expected, "{authority}");
    }
}

#[test]
fn every_cookie_and_every_parameter_counts() {
    let cookies = [b"a=1; b=2;a=3".as_slice(), b" a = 4", b"a"];
    let values: Vec<_> = cookie_values(cookies.into_iter(), "a").collect();
    assert_eq!(values, [b"1", b"3", b"4"]);
    let values: Vec<_> =
        query_values(b"/?a=1&b&a=%32+&%61=3&a&=x#&a=9", "a").map(|value| value.into_owned()).collect();
    assert_eq!(values, [b"1".as_slice(), b"2 ", b"3", b""]);
}
