use super::*;

fn descriptor(entries: &[(&str, &str)], hits: u64) -> Descriptor {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    Descriptor { entries: entries.iter().map(owned).collect(), hits }
}

/// As Go's own protobuf library serialises `{domain: "shop", descriptors: [{entries: [{user, ann}]}], hits_addend: 1}`.
#[test]
fn a_request_is_written_as_others_write_it() {
    let bytes = request("shop", &[descriptor(&[("user", "ann")], 1)]);
    assert_eq!(bytes, b"\n\x04shop\x12\x0d\n\x0b\n\x04user\x12\x03ann\x18\x01");
}

#[test]
fn costs_that_differ_stand_in_their_descriptors() {
    let bytes = request("d", &[descriptor(&[("a", "1")], 0), descriptor(&[("a", "1")], 300)]);
    let entry = b"\n\x06\n\x01a\x12\x011";
    let mut expected = b"\n\x01d\x12\x0c".to_vec();
    expected.extend(entry);
    expected.extend(b"\x1a\x02\x08\x00\x12\x0d");
    expected.extend(entry);
    expected.extend(b"\x1a\x03\x08\xac\x02");
    assert_eq!(bytes, expected);
    // 0 for all would be taken for 1 by the field of the request.
    assert!(request("d", &[descriptor(&[("a", "1")], 0)]).ends_with(b"\x1a\x02\x08\x00"));
}

fn answer(code: u64, statuses: &[(u64, u64, u64)]) -> Vec<u8> {
    let mut message = Message::new();
    message.varint(1, code);
    for (code, remaining, seconds) in statuses {
        let (mut status, mut limit, mut duration) = (Message::new(), Message::new(), Message::new());
        limit.varint(1, 10).varint(2, 2);
        duration.varint(1, *seconds).varint(2, 500_000_000);
        status.varint(1, *code).message(2, &limit).varint(3, *remaining).message(4, &duration);
        message.message(2, &status);
    }
    for number in [3, 4] {
        let mut header = Message::new();
        header.bytes(1, b"X-Name").bytes(2, b"value");
        message.message(number, &header);
        let mut bad = Message::new();
        bad.bytes(1, b":path").bytes(2, b"/");
        message.message(number, &bad);
    }
    message.bytes(5, b"a body").bytes(99, b"from the future");
    message.into_bytes()
}

#[test]
fn an_answer_is_read() {
    let answer = Answer::read(&answer(2, &[(1, 3, 0), (2, 0, 7)])).unwrap();
    let header = (HeaderName::new("x-name").unwrap(), HeaderValue::new(*b"value").unwrap());
    assert_eq!(answer.response_headers, std::slice::from_ref(&header), "what is no header is left out");
    assert_eq!(answer.request_headers, [header]);
    assert_eq!(answer.body, b"a body");
    let (first, second) = (answer.status(0), answer.status(1));
    assert_eq!((first.limit, first.remaining), (Some((10, 60)), 3));
    assert_eq!((first.refuses(1), second.refuses(1)), (false, true));
    assert_eq!(second.until_reset, Some(7_500_000_000));
    assert!(answer.status(2).refuses(1), "without a status of its own the code for all counts");
}

#[test]
fn who_only_looks_is_refused_where_nothing_is_left() {
    let answer = Answer::read(&answer(1, &[(1, 0, 1), (1, 1, 1)])).unwrap();
    assert!(answer.status(0).refuses(0) && !answer.status(0).refuses(1));
    assert!(!answer.status(1).refuses(0));
    assert!(!answer.status(2).refuses(0), "no limit of the service applies");
}

#[test]
fn a_service_in_shadow_mode_refuses_nothing() {
    assert!(!Answer::read(&answer(1, &[(2, 0, 1)])).unwrap().status(0).refuses(1));
}

#[test]
fn who_is_over_a_limit_without_saying_which_is_refused_by_all() {
    for statuses in [&[(1, 3, 0), (1, 3, 0)][..], &[(0, 3, 0)], &[]] {
        let answer = Answer::read(&answer(2, statuses)).unwrap();
        assert!(answer.status(0).refuses(1) && answer.status(1).refuses(1), "{statuses:?}");
    }
    let one = Answer::read(&answer(2, &[(1, 3, 0), (2, 0, 7)])).unwrap();
    assert!(!one.status(0).refuses(1) && one.status(1).refuses(1));
}

#[test]
fn what_is_no_answer_is_refused_and_nothing_panics() {
    assert_eq!(Answer::read(b""), Err(Malformed), "a code is always there");
    assert_eq!(Answer::read(b"\x08\x00"), Err(Malformed));
    let whole = answer(2, &[(1, 3, 0), (2, 0, 7)]);
    for end in 0..whole.len() {
        let _ = Answer::read(&whole[..end]);
    }
    for place in 0..whole.len() {
        for value in [0, 0x7f, 0xff] {
            let mut bytes = whole.clone();
            bytes[place] = value;
            let _ = Answer::read(&bytes);
        }
    }
}

#[test]
fn durations_that_are_none_are_none() {
    let duration = |seconds, nanos| {
        let mut message = Message::new();
        message.varint(1, seconds).varint(2, nanos);
        read_duration(&message.into_bytes()).unwrap()
    };
    assert_eq!(duration(1, 5), Some(1_000_000_005));
    assert_eq!(duration(u64::MAX, 0), None, "minus one second");
    assert_eq!(duration(0, u64::MAX), None);
}
