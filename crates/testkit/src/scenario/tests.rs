//! A runner that cannot fail would make every scenario pass.

use std::time::Duration;

use super::*;

/// Answers everything with one response.
struct Constant {
    response: Response,
    waited: Duration,
}

impl Target for Constant {
    fn send(&mut self, _: &Request) -> Result<Response, String> {
        Ok(self.response.clone())
    }
    fn advance(&mut self, by: Duration) {
        self.waited += by;
    }
    fn metric(&mut self, _: &str) -> u64 {
        7
    }
    fn log(&mut self) -> String {
        "hello".to_owned()
    }
}

fn replay(step: &str) -> Result<(), String> {
    let text = format!("about: a test\nfilters: [{{auth: {{}}}}]\nsteps: [{step}]\n");
    let body = br#"{"backend": "beta", "path": "/p", "headers": [["a", "1"], ["a", "2"]]}"#.to_vec();
    let headers = vec![("retry-after".to_owned(), b"4".to_vec()), ("odd".to_owned(), vec![0xff])];
    let response = Response { status: 200, headers, body, grpc_status: Some(7), ..Response::default() };
    let mut target = Constant { response: response.with_echo(), waited: Duration::ZERO };
    run("f.yaml", &Scenario::parse(&text)?, &mut target)
}

#[test]
fn what_is_as_expected_passes() {
    let expect = r#"{status: 200, headers: {odd: '\xff'}, header_contains: {retry-after: "4"}, header_between: {retry-after: [4, 5]}, absent_headers: [x],
        body_contains: backend, reached: beta, upstream_headers: {a: "1, 2", ":path": /p}, upstream_absent: [b], grpc_status: 7,
        metrics: {m: 7}, log_contains: [hell], log_lacks: [heaven]}"#;
    assert_eq!(replay(&format!("{{request: {{}}, expect: {expect}}}")), Ok(()));
}

#[test]
fn every_kind_of_mismatch_is_reported() {
    let expect = r#"{status: 404, headers: {odd: x}, header_contains: {retry-after: "5"}, header_between: {retry-after: [5, 6]}, absent_headers: [odd],
        body_contains: nothing, reached: nobody, upstream_headers: {a: "1"}, upstream_absent: [a], grpc_status: 16,
        metrics: {m: 8}, log_contains: [heaven], log_lacks: [hell]}"#;
    let error = replay(&format!("{{request: {{}}, expect: {expect}}}")).unwrap_err();
    assert_eq!(error.lines().filter(|line| line.starts_with("f.yaml: steps[0]: ")).count(), 13, "{error}");
    assert!(error.starts_with("f.yaml: steps[0]: status: expected 404, seen 200"), "{error}");
}

#[test]
fn a_misspelt_key_is_refused() {
    assert!(replay("{request: {}, expect: {statsu: 404}}").unwrap_err().contains("statsu"));
    assert!(replay("{request: {pth: /}}").unwrap_err().contains("pth"));
    assert!(replay("{request: {}, expect: {reached: nowhere}}").unwrap_err().contains("nowhere"));
}

#[test]
fn a_file_that_shows_nothing_is_refused() {
    assert!(Scenario::parse("about: a\nfilters: [{auth: {}}]\n").unwrap_err().contains("neither"));
}

#[test]
fn bytes_survive_the_way_through_text() {
    assert_eq!(unescape(r"a\xff\b\x0"), b"a\xff\\b\\x0");
    assert_eq!(shown(b"a\xff\\ \n"), r"a\xff\ \x0a");
}

#[test]
fn a_refusal_shows_all_texts_and_no_secret() {
    let text = "about: a\nfilters: [{auth: {}}]\nrefused: [one, two]\nlog_lacks: [secret]\n";
    let scenario = Scenario::parse(text).unwrap();
    assert_eq!(refusal("f", &scenario, "one two"), Ok(()));
    assert!(refusal("f", &scenario, "one").unwrap_err().contains("two"));
    assert!(refusal("f", &scenario, "one two secret").unwrap_err().contains("secret"));
}
