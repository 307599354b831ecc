use super::*;

fn block(pairs: &[(&str, &[u8])]) -> HeaderBlock {
    HeaderBlock::from_pairs(pairs.iter().map(|(name, value)| (name.as_bytes(), *value)))
}

fn name(text: &str) -> HeaderName {
    HeaderName::new(text).unwrap()
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::new(text.as_bytes()).unwrap()
}

fn values<'h>(headers: &'h Headers, name: &'h str) -> Vec<&'h [u8]> {
    headers.values(name).collect()
}

#[test]
fn a_block_gives_back_its_pairs_whatever_their_bytes() {
    let pairs: [(&str, &[u8]); 3] = [(":path", b"/"), ("x", b"\xff\0"), ("", b"")];
    let read = HeaderBlock::new(block(&pairs).as_bytes().into()).unwrap();
    let seen: Vec<_> = read.iter().collect();
    assert_eq!(seen, [(b":path".as_slice(), b"/".as_slice()), (b"x", b"\xff\0"), (b"", b"")]);
    assert_eq!(HeaderBlock::new(Box::default()).unwrap().iter().count(), 0);
}

#[test]
fn a_block_of_the_wrong_size_is_malformed() {
    let good = block(&[("a", b"1"), ("b", b"2")]);
    let good = good.as_bytes();
    for end in 1..good.len() {
        assert_eq!(HeaderBlock::new(good[..end].into()).err(), Some(MalformedHeaders), "cut at {end}");
    }
    assert!(HeaderBlock::new([good, b"x"].concat().into()).is_err());
    for position in 0..20 {
        let mut bad = good.to_vec();
        bad[position] = bad[position].wrapping_add(0x80);
        assert!(HeaderBlock::new(bad.into()).is_err(), "length at {position}");
    }
    assert!(HeaderBlock::new(vec![0xff; 64].into()).is_err());
}

#[test]
fn every_value_of_a_repeated_header_is_seen() {
    let headers = Headers::new(block(&[("x", b"1"), ("y", b"-"), ("x", b"2")]));
    assert_eq!(values(&headers, "x"), [b"1", b"2"]);
    assert_eq!(headers.first("x"), Some(b"1".as_slice()));
    assert_eq!(headers.first("z"), None);
}

#[test]
fn edits_are_seen_at_once_and_handed_over_once() {
    let mut headers = Headers::new(block(&[("x", b"1"), ("x", b"2")]));
    headers.append(&name("X"), &value("3"));
    assert_eq!(values(&headers, "x"), [b"1", b"2", b"3"]);
    headers.set(&name("x"), &value("4"));
    headers.append(&name("x"), &value("5"));
    assert_eq!(values(&headers, "x"), [b"4", b"5"]);
    headers.remove(&name("x"));
    assert!(values(&headers, "x").is_empty());
    assert_eq!(headers.take_pending().count(), 4);
    assert_eq!(headers.take_pending().count(), 0);
    headers.append(&name("x"), &value("6"));
    assert_eq!(headers.first("x"), Some(b"6".as_slice()));
    let pending: Vec<_> = headers.take_pending().map(|edit| (edit.kind, edit.name, edit.value)).collect();
    assert_eq!(pending, [(EditKind::Append, "x", b"6".as_slice())]);
}

#[test]
fn an_edit_that_changes_nothing_is_dropped_if_that_is_known() {
    let mut known = Headers::new(block(&[("x", b"1"), ("y", b"1"), ("y", b"1")]));
    known.set(&name("x"), &value("1"));
    known.remove(&name("z"));
    assert_eq!(known.take_pending().count(), 0);
    known.set(&name("y"), &value("1"));
    assert_eq!(known.take_pending().count(), 1, "two values become one");

    let mut unread = Headers::unread();
    unread.remove(&name("z"));
    assert_eq!(unread.take_pending().count(), 1);
}

#[test]
fn what_backends_take_for_a_header_is_removed_with_it() {
    let pairs: [(&str, &[u8]); 5] = [
        ("x-auth-user", b"1"),
        ("x_auth_user", b"2"),
        ("x-auth_user", b"3"),
        ("x-auth-user2", b"4"),
        ("x_other", b"5"),
    ];
    let mut headers = Headers::new(block(&pairs));
    headers.remove_twins(&name("x-auth-user"));
    let removed: Vec<String> = headers.take_pending().map(|edit| edit.name.to_owned()).collect();
    assert_eq!(removed, ["x_auth_user", "x-auth_user"]);
}
