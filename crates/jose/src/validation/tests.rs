//! Claims of every type and value.

use super::*;
use crate::json::parse_object;

fn validation() -> Validation {
    Validation {
        issuer: "https://id.example.com/".to_owned(),
        audiences: vec!["shop".to_owned()],
        kinds: Vec::new(),
        require: vec!["exp".to_owned()],
        skew: 30,
    }
}

/// Checks `{iss, aud, exp}` with these members in their place, at second 1,000.
fn check(changes: &str) -> Result<(), Fault> {
    let mut claims =
        parse_object(br#"{"iss": "https://id.example.com/", "aud": "shop", "exp": 2000}"#).unwrap();
    for (name, value) in parse_object(changes.as_bytes()).unwrap() {
        if value.is_null() {
            claims.remove(&name)
        } else {
            claims.insert(name, value)
        };
    }
    validation().check(&claims)?.check(1_000)
}

#[test]
fn times_are_numbers_within_bounds_and_skew() {
    for (claims, expected) in [
        ("{}", Ok(())),
        (r#"{"exp": 971}"#, Ok(())),
        (r#"{"exp": 970}"#, Err(Fault::Expired)),
        (r#"{"exp": 970.9}"#, Err(Fault::Expired)),
        (r#"{"exp": 2000.5}"#, Ok(())),
        (r#"{"exp": 2e3}"#, Ok(())),
        (r#"{"exp": "never"}"#, Err(Fault::ClaimType)),
        (r#"{"exp": "2000"}"#, Err(Fault::ClaimType)),
        (r#"{"exp": -1}"#, Err(Fault::ClaimType)),
        (r#"{"exp": 1e300}"#, Err(Fault::ClaimType)),
        (r#"{"exp": 18446744073709551615}"#, Err(Fault::ClaimType)),
        (r#"{"exp": 1700000000000}"#, Err(Fault::ClaimType)),
        (r#"{"exp": true}"#, Err(Fault::ClaimType)),
        (r#"{"exp": [2000]}"#, Err(Fault::ClaimType)),
        (r#"{"exp": null}"#, Err(Fault::ClaimMissing)),
        (r#"{"nbf": 1030}"#, Ok(())),
        (r#"{"nbf": 1031}"#, Err(Fault::NotYet)),
        (r#"{"nbf": "9999"}"#, Err(Fault::ClaimType)),
        (r#"{"iat": 1031}"#, Err(Fault::NotYet)),
        (r#"{"iat": 10, "nbf": 1031}"#, Err(Fault::NotYet)),
        (r#"{"iat": {}}"#, Err(Fault::ClaimType)),
    ] {
        assert_eq!(check(claims), expected, "{claims}");
    }
}

#[test]
fn issuer_and_audience_are_exact_and_typed() {
    for (claims, expected) in [
        (r#"{"aud": ["other", "shop"]}"#, Ok(())),
        (r#"{"aud": ["other"]}"#, Err(Fault::Audience)),
        (r#"{"aud": []}"#, Err(Fault::Audience)),
        (r#"{"aud": "shop2"}"#, Err(Fault::Audience)),
        (r#"{"aud": "sho"}"#, Err(Fault::Audience)),
        (r#"{"aud": ["shop", 1]}"#, Err(Fault::ClaimType)),
        (r#"{"aud": {"shop": 1}}"#, Err(Fault::ClaimType)),
        (r#"{"aud": null}"#, Err(Fault::Audience)),
        (r#"{"iss": "https://id.example.com"}"#, Err(Fault::Issuer)),
        (r#"{"iss": ["https://id.example.com/"]}"#, Err(Fault::ClaimType)),
        (r#"{"iss": null}"#, Err(Fault::Issuer)),
        (r#"{"sub": 7}"#, Err(Fault::ClaimType)),
        (r#"{"jti": 7}"#, Err(Fault::ClaimType)),
    ] {
        assert_eq!(check(claims), expected, "{claims}");
    }
    let mut nobodys = validation();
    nobodys.audiences.clear();
    let claims = |text: &str| parse_object(text.as_bytes()).unwrap();
    let with = claims(r#"{"iss": "https://id.example.com/", "aud": "shop", "exp": 2000}"#);
    assert_eq!(nobodys.check(&with), Err(Fault::Audience), "a token for somebody is not for nobody");
    let without = claims(r#"{"iss": "https://id.example.com/", "exp": 2000}"#);
    assert!(nobodys.check(&without).is_ok());
}

#[test]
fn tokens_for_something_else_are_refused() {
    use crate::algorithm::Algorithm;
    let header =
        |kind: Option<&str>| Header { algorithm: Algorithm::EdDsa, kid: None, kind: kind.map(str::to_owned) };
    let mut validation = validation();
    for (kind, taken) in
        [(None, true), (Some("jwt"), true), (Some("at+jwt"), true), (Some("logout+jwt"), false)]
    {
        assert_eq!(validation.check_kind(&header(kind)).is_ok(), taken, "{kind:?}");
    }
    validation.kinds = vec!["at+jwt".to_owned()];
    for (kind, taken) in [(None, false), (Some("jwt"), false), (Some("at+jwt"), true)] {
        assert_eq!(validation.check_kind(&header(kind)).is_ok(), taken, "{kind:?}");
    }
}
