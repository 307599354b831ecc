//! What matches, and what is refused.

use super::*;

#[cfg(not(target_arch = "wasm32"))]
mod agreement;

fn matches(text: &str, value: &[u8]) -> bool {
    Regex::new(text).unwrap().matches(value)
}

#[test]
fn the_whole_value_must_match() {
    for (text, yes, no) in [
        ("abc", &[&b"abc"[..]][..], &[&b"abcd"[..], b"xabc", b"ab", b""][..]),
        ("a|bc", &[b"a", b"bc"], &[b"abc", b"ac", b"b"]),
        ("a.c", &[b"abc", b"a\xffc"], &[b"a\nc", b"ac"]),
        ("(?s)a.c", &[b"a\nc"], &[b"ac"]),
        ("[a-c]+", &[b"a", b"abcabc"], &[b"", b"abd"]),
        ("[^a-c]*", &[b"", b"xyz\xff\n"], &[b"xa"]),
        ("[]a-]+", &[b"]-a"], &[b"b"]),
        ("[[:alpha:]_]+", &[b"aZ_"], &[b"1"]),
        ("[[:^digit:]]", &[b"a"], &[b"1"]),
        (r"[\d\-x]+", &[b"1-x"], &[b"y"]),
        (r"\d{2,3}", &[b"12", b"123"], &[b"1", b"1234", b"1a"]),
        ("a{2}", &[b"aa"], &[b"a", b"aaa"]),
        ("a{2,}", &[b"aa", b"aaaaa"], &[b"a"]),
        ("x{,2}", &[b"x{,2}"], &[b"x", b"xx"]),
        ("(ab)*?c", &[b"c", b"ababc"], &[b"abab"]),
        ("(?i)Admin", &[b"aDMIN"], &[b"admi"]),
        ("a(?i:b)c", &[b"aBc", b"abc"], &[b"ABc", b"abC"]),
        ("a(?i)b|c", &[b"aB", b"C"], &[b"Ab"]),
        ("caf\u{e9}+", &["caf\u{e9}".as_bytes(), "caf\u{e9}\u{e9}".as_bytes()], &[b"caf", b"caf\xe9"]),
        (r"\x41\x{42}\x{e9}", &["AB\u{e9}".as_bytes()], &[b"AB\xe9"]),
        (r"\xff", &[b"\xff"], &["\u{ff}".as_bytes()]),
        (r"\Qa.b*\E+", &[b"a.b*", b"a.b**"], &[b"axb", b"a.b"]),
        (r"\Q.", &[b"."], &[b"x"]),
        (r"^a$|\Ab\z", &[b"a", b"b"], &[b"", b"ab"]),
        ("a^b", &[], &[b"ab", b"a^b"]),
        (r"(?m)a$\n^b", &[b"a\nb"], &[b"ab"]),
        (r"\bfoo\b.*", &[b"foo", b"foo bar"], &[b"foobar"]),
        (r"a\Bb", &[b"ab"], &[b"a b"]),
        ("", &[b""], &[b"a"]),
        ("(|a)+", &[b"", b"aaa"], &[b"b"]),
        ("(a*)*", &[b"", b"aaa"], &[b"b"]),
        (r"(?:(?:a{0,10}){0,10}){0,10}", &[b"aaaaaaaaaaaaaaaa"], &[b"b"]),
    ] {
        for value in yes {
            assert!(matches(text, value), "{text} and {}", value.escape_ascii());
        }
        for value in no {
            assert!(!matches(text, value), "{text} and {}", value.escape_ascii());
        }
    }
}

#[test]
fn groups_take_what_re2_gives_them() {
    for (text, value, expected) in [
        ("/v([0-9]+)/(.*)", "/v2/a/b", &[Some("2"), Some("a/b")][..]),
        ("(a*)(a*)", "aaa", &[Some("aaa"), Some("")]),
        ("(a*?)(a*)", "aaa", &[Some(""), Some("aaa")]),
        ("(?U)(a*)(a*)", "aaa", &[Some(""), Some("aaa")]),
        ("(a)|(b)", "b", &[None, Some("b")]),
        ("(?P<x>a)(?<y>b)(?:c)", "abc", &[Some("a"), Some("b")]),
        ("(a|ab)(c|bcd)(d*)", "abcd", &[Some("a"), Some("bcd"), Some("")]),
        ("((a)|b)*", "ab", &[Some("b"), Some("a")]),
    ] {
        let regex = Regex::new(text).unwrap();
        let taken = regex.captures(value.as_bytes()).unwrap();
        let expected: Vec<_> = expected.iter().map(|group| group.map(str::as_bytes)).collect();
        assert_eq!(taken, expected, "{text}");
    }
    let regex = Regex::new("(?P<x>a)(b)").unwrap();
    assert_eq!(regex.names().collect::<Vec<_>>(), [Some("x"), None]);
    assert_eq!(regex.captures(b"abc"), None);
}

#[test]
fn what_is_no_expression_is_refused_and_ends() {
    let deep = format!("{}{}", "(".repeat(51), ")".repeat(51));
    let long = "a".repeat(2_049);
    for (text, error) in [
        ("(a", RegexError::UnclosedGroup),
        ("a)", RegexError::UnopenedGroup),
        ("[a", RegexError::UnclosedClass),
        ("[z-a]", RegexError::Range),
        (r"[a-\d]", RegexError::Range),
        ("[[:nope:]]", RegexError::Range),
        ("*a", RegexError::Repetition),
        ("a**", RegexError::Repetition),
        ("a|+", RegexError::Repetition),
        ("a{2,1}", RegexError::Count),
        ("a{1001}", RegexError::Count),
        ("a{99999999999}", RegexError::Count),
        ("(?=a)", RegexError::Group),
        ("(?<=a)", RegexError::Name),
        ("(?P=a)", RegexError::Group),
        ("(?i", RegexError::UnclosedGroup),
        ("(?P<1>a)", RegexError::Name),
        ("(?P<a>a)(?P<a>b)", RegexError::Name),
        (r"(a)\1", RegexError::Escape),
        (r"\", RegexError::Escape),
        (r"\y", RegexError::Escape),
        (r"\x{110000}", RegexError::Escape),
        (r"\xg0", RegexError::Escape),
        (r"\pL", RegexError::Unicode),
        (r"\P{Greek}", RegexError::Unicode),
        ("[\u{e9}]", RegexError::Unicode),
        (&deep, RegexError::Nesting),
        (&long, RegexError::TooLarge),
        ("a{1000}{1000}", RegexError::Repetition),
        ("(a{1000}){1000}", RegexError::TooLarge),
        ("((((){1000}){1000}){1000}){1000}", RegexError::TooLarge),
        ("(?:(?:(?:(?:){1000}){1000}){1000}){1000}", RegexError::TooLarge),
    ] {
        assert_eq!(Regex::new(text).err(), Some(error), "{text}");
    }
    let error = tidegate_config::decode::<Regex>(br#""(a""#).unwrap_err().to_string();
    assert_eq!(
        error,
        "configuration: expected a regular expression in RE2's syntax (a \"(\" is not closed), found \"(a\""
    );
}

#[test]
fn memory_stays_bounded_when_every_byte_leads_to_a_new_state() {
    // Its DFA has 2^12 states, more than are kept.
    let regex = Regex::new("(a|b)*a(a|b){11}").unwrap();
    let mut value = Vec::new();
    for number in 0..20_000_u32 {
        value.push(if number.wrapping_mul(2_654_435_761) >> 16 & 1 == 0 { b'a' } else { b'b' });
        if number % 64 == 0 {
            let expected = value.len() >= 12 && value[value.len() - 12] == b'a';
            assert_eq!(regex.matches(&value), expected);
        }
    }
    let (bytes, most) = regex.0.automaton.memory();
    assert!(bytes <= most, "{bytes} of {most}");
}

#[test]
fn many_expressions_run_as_one() {
    let list: Vec<Regex> =
        (0..1_000).map(|number| Regex::new(&format!("/r{number}/[0-9]+")).unwrap()).collect();
    let automaton = Automaton::of_many(&list);
    assert_eq!(*automaton.matching(b"/r512/77"), [512]);
    assert!(automaton.matching(b"/r512/").is_empty());
    let list: Vec<Regex> = ["a.*", ".*b", r"\bab\b"].map(|text| Regex::new(text).unwrap()).to_vec();
    let automaton = Automaton::of_many(&list);
    assert_eq!(*automaton.matching(b"ab"), [0, 1, 2]);
    assert_eq!(*automaton.matching(b"xb"), [1]);
    assert!(automaton.matching(b"").is_empty());
}
