//! Access logs, on a fake host: which exchanges are written, what of them, and what becomes of it.

#![expect(clippy::indexing_slicing, reason = "a test that cannot go on says so at once")]

#[cfg(test)]
mod common;

use std::cell::RefCell;
use std::time::Duration;

use common::{
    answer, attributes, call, calls, messages, no_answer, number, records, rejecting, resource, tick,
};
use tidegate_filter_api::{Clock as _, HostError, Property};
use tidegate_telemetry::Telemetry;
use tidegate_testkit::fake::{FakeHost, Worker, worker, worker_on};

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct Capture;

impl log::Log for Capture {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        LINES.with_borrow_mut(|lines| lines.push(record.args().to_string()));
    }

    fn flush(&self) {}
}

/// The lines that `write` writes. Each test runs on a thread of its own.
fn lines(write: impl FnOnce()) -> Vec<String> {
    let _ = log::set_logger(&Capture);
    log::set_max_level(log::LevelFilter::Info);
    LINES.with_borrow_mut(Vec::clear);
    write();
    LINES.take()
}

fn end(worker: &Worker<Telemetry>, path: &str, headers: &[(&str, &[u8])], status: u16) {
    let (_, exchange) = worker.send("GET", path, headers);
    exchange.end(Some(status), Duration::from_millis(42));
}

fn logging(log: &str) -> Worker<Telemetry> {
    worker(&format!(r#"{{"access_log": [{log}]}}"#))
}

#[test]
fn a_line_has_the_fields_that_were_asked_for() {
    let worker = logging(
        r#"{"to": "log", "fields": {"verb": "method", "path": "path", "q": "query", "s": "status", "ms": "duration",
            "agent": {"header": "user-agent"}, "env": {"text": "prod"}, "t": "time", "missing": "principal", "why": "decision"}}"#,
    );
    worker.host().set(Property::REQUEST_TIME, &1_764_091_478_123_000_000_i64.to_le_bytes());
    let written = lines(|| {
        let (_, exchange) = worker.send("BREW", "/a\"b?x=1&token=s3cret", &[("user-agent", b"a\n\xff\x01")]);
        worker.host().set(Property::LIMIT, b"per-user");
        worker.host().set(Property::AUTH_RULE, b"api");
        exchange.end(Some(200), Duration::from_millis(42));
    });
    let line: serde_json::Value = serde_json::from_str(&written[0]).unwrap();
    let expected = serde_json::json!({
        "verb": "BREW", "path": "/a\"b", "q": "x=1&token=[redacted]", "s": 200, "ms": 42,
        "agent": "a\n\u{fffd}\u{1}", "env": "prod", "t": "2025-11-25T17:24:38.123Z", "missing": null,
        "why": {"limit": "per-user", "auth_rule": "api"},
    });
    assert_eq!((written.len(), line), (1, expected));
}

#[test]
fn without_fields_a_line_has_the_usual_ones() {
    let worker = logging(r#"{"to": "log"}"#);
    let written = lines(|| end(&worker, "/cart?token=x", &[("authorization", b"Bearer s3cret")], 200));
    let line: serde_json::Value = serde_json::from_str(&written[0]).unwrap();
    assert_eq!((&line["path"], &line["status"]), (&"/cart".into(), &200.into()));
    assert!(!written[0].contains("s3cret"));
}

#[test]
fn credentials_are_never_written() {
    let worker = logging(
        r#"{"to": "log", "fields": {"a": {"header": "authorization"}, "c": {"cookie": "session_id"}, "d": {"cookie": "theme"},
            "k": {"header": "x-internal"}, "r": {"response_header": "set-cookie"}, "q": "query", "absent": {"header": "x-api-key"}},
            "redact": {"headers": ["x-internal"], "query": ["tel"], "keep": ["code"]}}"#,
    );
    let headers: [(&str, &[u8]); 3] = [
        ("authorization", b"Bearer s3cret"),
        ("cookie", b"session_id=s3cret; theme=dark"),
        ("x-internal", b"s3cret"),
    ];
    let written = lines(|| {
        let (_, mut exchange) =
            worker.send("GET", "/?access%5ftoken=s3cret&tel=s3cret&code=7&sig=s3cret", &headers);
        exchange.response(&[(":status", b"200"), ("set-cookie", b"s3cret")]);
        exchange.end(Some(200), Duration::ZERO);
    });
    assert!(!written[0].contains("s3cret"), "{}", written[0]);
    let line: serde_json::Value = serde_json::from_str(&written[0]).unwrap();
    assert_eq!(line["d"], "dark");
    assert_eq!(line["q"], "access%5ftoken=[redacted]&tel=[redacted]&code=7&sig=[redacted]");
    assert_eq!(line["absent"], serde_json::Value::Null, "what is not there is not hidden");
}

#[test]
fn credentials_within_harmless_values_are_not_written_either() {
    let worker = logging(
        r#"{"to": "log", "fields": {"r": {"header": "referer"}, "l": {"response_header": "location"}, "h": "host", "p": "path",
            "q": "query", "f": {"header": "x-forwarded-by"}, "c": {"cookie": "last"}}}"#,
    );
    let headers: [(&str, &[u8]); 5] = [
        ("referer", b"https://ann:s3cret@a.example/?ToKeN=s3cret&page=2"),
        ("referer", b"https://b.example/?code=s3cret"),
        (":authority", b"ann:s3cret@shop.example:443"),
        ("x-forwarded-by", b"bEARER s3cret"),
        ("cookie", b"last=/x?sig=s3cret"),
    ];
    let written = lines(|| {
        let (_, mut exchange) =
            worker.send("GET", "/a;jsessionid=s3cret?a=1;token=s3cret&user[password]=s3cret", &headers);
        exchange.response(&[(":status", b"302"), ("location", b"/cb#access_token=s3cret")]);
        exchange.end(Some(302), Duration::ZERO);
    });
    assert!(!written[0].contains("s3cret"), "{}", written[0]);
    let line: serde_json::Value = serde_json::from_str(&written[0]).unwrap();
    let expected = serde_json::json!({
        "r": "https://[redacted]@a.example/?ToKeN=[redacted]&page=2, https://b.example/?code=[redacted]",
        "l": "/cb#access_token=[redacted]", "h": "[redacted]@shop.example:443", "p": "/a;jsessionid=[redacted]",
        "q": "a=1;token=[redacted]&user[password]=[redacted]", "f": "[redacted]", "c": "/x?sig=[redacted]",
    });
    assert_eq!(line, expected);
}

#[test]
fn values_are_bounded_and_all_of_a_header_count() {
    let worker = logging(r#"{"to": "log", "fields": {"p": "path", "h": {"header": "x-h"}}}"#);
    let path = format!("/{}", "x".repeat(10_000));
    let written = lines(|| end(&worker, &path, &[("x-h", b"a"), ("x-h", b"b")], 200));
    let line: serde_json::Value = serde_json::from_str(&written[0]).unwrap();
    assert_eq!(line["h"], "a, b");
    assert_eq!(line["p"].as_str().unwrap().len(), 2_048);
}

#[test]
fn only_exchanges_that_satisfy_the_conditions_are_written() {
    let worker = logging(
        r#"{"when": {"any": [{"status": {"gte": 500}}, {"duration": {"gte": "1s"}}, {"paths": [{"prefix": "/admin"}]}]},
            "to": "log", "fields": ["path"]}"#,
    );
    let written = lines(|| {
        end(&worker, "/ok", &[], 200);
        end(&worker, "/failed", &[], 500);
        end(&worker, "/admin/x", &[], 200);
        let (_, exchange) = worker.send("GET", "/slow", &[]);
        exchange.end(Some(200), Duration::from_secs(1));
    });
    assert_eq!(written, [r#"{"path":"/failed"}"#, r#"{"path":"/admin/x"}"#, r#"{"path":"/slow"}"#]);
}

fn traced(id: u64) -> Vec<u8> {
    format!("00-{:032x}-00f067aa0ba902b7-00", u128::from(id) << 64 | u128::from(id)).into_bytes()
}

#[test]
fn a_sample_is_chosen_by_the_trace_so_that_all_its_parts_agree() {
    let half = r#"{"when": {"sample": 0.5}, "to": "log", "fields": ["path"]}"#;
    let tenth = r#"{"when": {"sample": 0.1}, "to": "log", "fields": ["path"]}"#;
    let written = |configuration: &str| {
        let worker = logging(configuration);
        lines(|| {
            for step in 0..1_000_u64 {
                // Spread over the last seven bytes, which decide.
                let id = (step * 0x0000_4189_374b_c6a7 + 1) & 0x00ff_ffff_ffff_ffff;
                end(&worker, &format!("/{step}"), &[("traceparent", &traced(id))], 200);
            }
        })
    };
    let (first, again, fewer) = (written(half), written(half), written(tenth));
    assert_eq!(first, again);
    assert!((450..=550).contains(&first.len()), "{}", first.len());
    assert!((80..=120).contains(&fewer.len()), "{}", fewer.len());
    assert!(fewer.iter().all(|line| first.contains(line)), "a smaller sample is part of a larger one");
}

#[test]
fn without_a_trace_chance_chooses() {
    let worker = logging(r#"{"when": {"sample": 0.5}, "to": "log", "fields": ["path"]}"#);
    let written = lines(|| (0..1_000).for_each(|_| end(&worker, "/", &[], 200)));
    assert!((400..=600).contains(&written.len()), "{}", written.len());
}

const TO_COLLECTOR: &str = r#"{"to": {"otlp": {"cluster": "collector", "headers": {"x-key": "k"}}}, "fields": ["path", "status"],
    "batch": {"max": 3, "every": "2s"}, "queue": 7}"#;

fn path(record: &[u8]) -> String {
    attributes(record, 6)["path"].clone()
}

fn dropped(worker: &Worker<Telemetry>) -> i64 {
    worker.host().metric("tidegate.telemetry.dropped_log_records")
}

fn exported(worker: &Worker<Telemetry>) -> i64 {
    worker.host().metric("tidegate.telemetry.exported_log_records")
}

#[test]
fn credentials_for_the_collector_come_from_the_environment() {
    let host = FakeHost::new();
    host.set_variable("OTLP_TOKEN", b"Bearer s3cret");
    let worker = worker_on(
        &host,
        r#"{"access_log": [{"to": {"otlp": {"cluster": "collector", "headers": {"authorization": {"env": "OTLP_TOKEN"}}}},
            "batch": {"max": 1}}]}"#,
    );
    end(&worker, "/", &[], 200);
    let sent = call(&worker, 1);
    assert_eq!(sent.headers.last().unwrap(), &("authorization".to_owned(), b"Bearer s3cret".to_vec()));
}

#[test]
fn records_go_out_as_otlp_when_a_batch_is_full_or_its_time_has_come() {
    let worker = logging(TO_COLLECTOR);
    worker.host().set(Property::REQUEST_TIME, &1_000_i64.to_le_bytes());
    tick(&worker, 1);
    for path in ["/1", "/2"] {
        end(&worker, path, &[], 200);
    }
    tick(&worker, 1);
    assert_eq!(calls(&worker), 0);
    tick(&worker, 1);
    assert_eq!(calls(&worker), 1, "two seconds have passed");
    let sent = call(&worker, 1);
    assert_eq!(sent.cluster, "collector");
    assert_eq!(sent.timeout, Duration::from_secs(10));
    let headers: Vec<(&str, &[u8])> =
        sent.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let expected: [(&str, &[u8]); 5] = [
        (":method", b"POST"),
        (":path", b"/v1/logs"),
        (":authority", b"collector"),
        ("content-type", b"application/x-protobuf"),
        ("x-key", b"k"),
    ];
    assert_eq!(headers, expected);
    let all = records(&sent);
    assert_eq!(all.iter().map(|record| path(record)).collect::<Vec<_>>(), ["/1", "/2"]);
    assert_eq!(number(&all[0], 1), Some(1_000), "when it began");
    assert_eq!(number(&all[0], 11), Some(42_001_000), "when it was seen");
    assert_eq!(attributes(&all[0], 6)["status"], "200");
    answer(&worker, 200, &[], b"");
    for path in ["/3", "/4", "/5"] {
        end(&worker, path, &[], 200);
    }
    assert_eq!(calls(&worker), 2, "three are a batch");
    assert_eq!((exported(&worker), dropped(&worker)), (2, 0));
}

#[test]
fn a_message_says_who_speaks() {
    let host = FakeHost::new();
    host.set(Property::NODE_CLUSTER, b"shop-gateway");
    let configuration = |extra: &str| format!(r#"{{{extra} "access_log": [{TO_COLLECTOR}]}}"#);
    let named = worker_on::<Telemetry>(&host, &configuration(""));
    let own = worker::<Telemetry>(&configuration(r#""resource": {"service.name": "shop", "env": "prod"},"#));
    for worker in [&named, &own] {
        end(worker, "/", &[], 200);
        tick(worker, 3);
    }
    let named = resource(&call(&named, 1));
    assert_eq!(named["service.name"], "shop-gateway");
    assert_eq!(named["service.instance.id"].len(), 32);
    let own = resource(&call(&own, 1));
    assert_eq!((own["service.name"].as_str(), own["env"].as_str()), ("shop", "prod"));
}

#[test]
fn a_collector_that_is_down_is_tried_again_after_growing_pauses() {
    let worker = logging(TO_COLLECTOR);
    end(&worker, "/1", &[], 200);
    tick(&worker, 3);
    assert_eq!(calls(&worker), 1);
    let mut pauses = Vec::new();
    for _ in 0..4 {
        answer(&worker, 503, &[], b"");
        let before = calls(&worker);
        let mut pause = 0;
        while calls(&worker) == before {
            tick(&worker, 1);
            pause += 1;
        }
        pauses.push(pause);
    }
    assert_eq!(pauses, [1, 2, 4, 8]);
    assert_eq!(records(&call(&worker, 5)), records(&call(&worker, 1)), "the same message");
    answer(&worker, 503, &[], b"");
    assert_eq!((exported(&worker), dropped(&worker)), (0, 1), "five attempts are enough");
    tick(&worker, 120);
    assert_eq!(calls(&worker), 5, "nothing is left to send");
}

#[test]
fn a_collector_may_ask_for_patience() {
    let worker = logging(TO_COLLECTOR);
    end(&worker, "/1", &[], 200);
    tick(&worker, 3);
    answer(&worker, 429, &[("retry-after", "20")], b"");
    tick(&worker, 19);
    assert_eq!(calls(&worker), 1);
    tick(&worker, 1);
    assert_eq!(calls(&worker), 2);
    answer(&worker, 429, &[("retry-after", "never")], b"");
    tick(&worker, 2);
    assert_eq!(calls(&worker), 3, "what cannot be read is no wish");
    answer(&worker, 429, &[("retry-after", "99999999999")], b"");
    tick(&worker, 300);
    assert_eq!(calls(&worker), 4, "patience has an end");
}

#[test]
fn patience_may_be_asked_for_until_a_date() {
    let worker = logging(TO_COLLECTOR);
    let date = |in_seconds: u64| {
        // A midnight to come: the clock of this test is set to a moment just after it.
        format!("Mon, 01 Mar 2100 00:{:02}:{:02} GMT", in_seconds / 60, in_seconds % 60)
    };
    const MIDNIGHT: u64 = 4_107_542_400;
    let passed = || worker.host().now().0 / 1_000_000_000 - MIDNIGHT;
    let before = Duration::from_nanos(worker.host().now().0);
    worker.host().advance(Duration::from_secs(MIDNIGHT) - before);
    tick(&worker, 1);
    end(&worker, "/1", &[], 200);
    tick(&worker, 3);
    assert_eq!(calls(&worker), 1);
    answer(&worker, 429, &[("retry-after", &date(passed() + 20))], b"");
    tick(&worker, 19);
    assert_eq!(calls(&worker), 1);
    tick(&worker, 1);
    assert_eq!(calls(&worker), 2);
    answer(&worker, 503, &[("retry-after", &date(0))], b"");
    tick(&worker, 1);
    assert_eq!(calls(&worker), 3, "a date that is over is a short pause");
}

#[test]
fn what_is_refused_for_good_is_dropped() {
    let worker = logging(TO_COLLECTOR);
    end(&worker, "/1", &[], 200);
    tick(&worker, 3);
    answer(&worker, 400, &[], b"");
    assert_eq!((exported(&worker), dropped(&worker)), (0, 1));
    for path in ["/2", "/3"] {
        end(&worker, path, &[], 200);
    }
    tick(&worker, 3);
    answer(&worker, 200, &[], &rejecting(1));
    assert_eq!((exported(&worker), dropped(&worker)), (1, 2), "one of two was rejected");
    end(&worker, "/4", &[], 200);
    tick(&worker, 3);
    answer(&worker, 200, &[], b"\xff\xff not protobuf");
    assert_eq!(
        (exported(&worker), dropped(&worker)),
        (2, 2),
        "an answer that cannot be read rejects nothing"
    );
}

#[test]
fn calls_that_cannot_be_made_or_end_without_an_answer_are_failures_too() {
    let worker = logging(TO_COLLECTOR);
    worker.host().fail("call", HostError::BadArgument);
    end(&worker, "/1", &[], 200);
    tick(&worker, 60);
    assert_eq!(dropped(&worker), 1);
    worker.host().heal();
    tick(&worker, 30);
    end(&worker, "/2", &[], 200);
    tick(&worker, 3);
    assert_eq!(calls(&worker), 1);
    no_answer(&worker);
    tick(&worker, 31);
    assert_eq!(calls(&worker), 2);
    answer(&worker, 200, &[], b"");
    assert_eq!((exported(&worker), dropped(&worker)), (1, 1));
}

#[test]
fn the_oldest_record_makes_room_for_a_new_one() {
    let worker = logging(TO_COLLECTOR);
    for number in 0..3 {
        end(&worker, &format!("/{number}"), &[], 200);
    }
    assert_eq!(calls(&worker), 1, "on its way, without an answer");
    for number in 3..20 {
        end(&worker, &format!("/{number}"), &[], 200);
    }
    assert_eq!(calls(&worker), 1, "one at a time");
    // Seven in all: three on their way, four that wait.
    assert_eq!(dropped(&worker), 13);
    answer(&worker, 200, &[], b"");
    assert_eq!(
        records(&call(&worker, 2)).iter().map(|record| path(record)).collect::<Vec<_>>(),
        ["/16", "/17", "/18"]
    );
    answer(&worker, 200, &[], b"");
    tick(&worker, 3);
    answer(&worker, 200, &[], b"");
    assert_eq!(exported(&worker) + dropped(&worker), 20, "every record is accounted for");
}

#[test]
fn memory_is_bounded_in_bytes_too() {
    let worker = logging(
        r#"{"to": {"otlp": {"cluster": "collector"}}, "fields": {"a": {"header": "a"}, "b": {"header": "b"}, "c": {"header": "c"}},
            "queue": 100000, "batch": {"max": 10000, "every": "1h"}}"#,
    );
    let long = vec![b'x'; 2_000];
    let headers: [(&str, &[u8]); 3] = [("a", &long), ("b", &long), ("c", &long)];
    for _ in 0..3_000 {
        end(&worker, "/", &headers, 200);
    }
    let kept = 3_000 - dropped(&worker);
    assert!((1_200..1_400).contains(&kept), "{kept} records of 6 KB are 8 MiB");
}

#[test]
fn what_a_worker_that_goes_has_not_sent_another_sends() {
    let host = FakeHost::new();
    let configuration = format!(r#"{{"access_log": [{TO_COLLECTOR}]}}"#);
    let (old, new) = (worker_on::<Telemetry>(&host, &configuration), worker_on(&host, &configuration));
    tick(&new, 1);
    for path in ["/1", "/2"] {
        end(&old, path, &[], 200);
    }
    old.end();
    tick(&new, 8);
    let mut paths: Vec<String> = records(&call(&new, 1)).iter().map(|record| path(record)).collect();
    paths.sort();
    assert_eq!(paths, ["/1", "/2"]);
    answer(&new, 200, &[], b"");
    tick(&new, 60);
    assert_eq!((calls(&new), exported(&new), dropped(&new)), (1, 2, 0), "once");
}

#[test]
fn what_others_wrote_where_records_are_left_is_not_sent() {
    let host = FakeHost::new();
    let configuration = format!(r#"{{"access_log": [{TO_COLLECTOR}]}}"#);
    let (old, new) = (worker_on::<Telemetry>(&host, &configuration), worker_on(&host, &configuration));
    end(&old, "/1", &[], 200);
    old.end();
    host.overwrite_shared(b"\x05\0\0\0nonsense of another plugin");
    tick(&new, 30);
    assert_eq!(calls(&new), 0);
}

#[test]
fn a_record_belongs_to_its_trace() {
    let worker = worker::<Telemetry>(&format!(r#"{{"trace": {{}}, "access_log": [{TO_COLLECTOR}]}}"#));
    end(&worker, "/", &[("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")], 503);
    tick(&worker, 3);
    let record = records(&call(&worker, 1)).remove(0);
    assert_eq!(messages(&record, 9), [b"\x4b\xf9\x2f\x35\x77\xb3\x4d\xa6\xa3\xce\x92\x9d\x0e\x0e\x47\x36"]);
    assert_eq!(number(&record, 8), Some(1), "sampled");
    assert_eq!(number(&record, 2), Some(17), "a failure is an error");
}
