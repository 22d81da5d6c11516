//! Spans at a collector: a run's, its broadcast's, their messages' and requests', each below its parent.
//!
//! On a server: in the soak

use std::process::Command;

use crate::support::service::{Service, accept, json};
use crate::support::{Project, Ran};

/// A job that sends a single message and a broadcast.
const NEWS: &str = "local schedule = require('schedule')
schedule.every('10000h', { name = 'news' }, function(c)
  im.group_send { to = { 'canary-group-1', 'canary-group-2' }, type = 'txt', body = { msg = 'canary-text' } }
  im.broadcast { name = 'letter', to = { 3, 4, 5 }, message = { type = 'txt', body = { msg = 'x' } } }
end)\n";

/// A span as the collector received it.
#[derive(Debug, Clone, Default)]
struct Span {
    id: Vec<u8>,
    parent: Vec<u8>,
    trace: Vec<u8>,
    name: String,
    /// Its attributes as received: names and values.
    attributes: String,
}

/// Returns the fields of a protobuf message that contain bytes, by number.
fn fields(mut bytes: &[u8]) -> Vec<(u64, &[u8])> {
    fn number(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (first, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                break;
            }
        }
        value
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = number(&mut bytes);
        let length = match tag & 7 {
            0 => {
                number(&mut bytes);
                continue;
            }
            1 => 8,
            2 => usize::try_from(number(&mut bytes)).unwrap(),
            5 => 4,
            other => panic!("no wire type {other}"),
        };
        let (field, rest) = bytes.split_at(length);
        bytes = rest;
        if tag & 7 == 2 {
            found.push((tag >> 3, field));
        }
    }
    found
}

fn below(bytes: &[u8], number: u64) -> Vec<&[u8]> {
    fields(bytes).into_iter().filter(|(found, _)| *found == number).map(|(_, field)| field).collect()
}

/// Returns the spans of an export (`ExportTraceServiceRequest`).
fn spans(body: &[u8]) -> Vec<Span> {
    let scopes = below(body, 1).into_iter().flat_map(|resource| below(resource, 2));
    let spans = scopes.flat_map(|scope| below(scope, 2));
    let span = |bytes| {
        let mut span = Span::default();
        for (number, field) in fields(bytes) {
            match number {
                1 => span.trace = field.to_vec(),
                2 => span.id = field.to_vec(),
                4 => span.parent = field.to_vec(),
                5 => span.name = String::from_utf8(field.to_vec()).unwrap(),
                9 => span.attributes.extend([String::from_utf8_lossy(field), " ".into()]),
                _ => {}
            }
        }
        span
    };
    spans.map(span).collect()
}

fn traced(project: &Project, service: &Service, collector: &str) -> Command {
    let mut command = project.command_against(service, &["run", "scripts/main.lua", "--job", "news"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector).env("NO_PROXY", "127.0.0.1");
    command.env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer canary-of-the-collector");
    command
}

#[test]
fn a_collector_sees_run_broadcast_message_and_request_each_below_the_other() {
    let collector = Service::answering(|_, _| json(200, ""));
    let service = Service::answering(|number, request| {
        if number == 0 {
            let body = r#"{"error":"reach_limit","error_description":"This request has reached api limit"}"#;
            return json(429, body);
        }
        accept(number, request)
    });
    let project = Project::with_script(NEWS);
    let ran = Ran::of(&traced(&project, &service, &collector.url()).output().unwrap()).exits(0);
    assert!(!ran.stderr.contains("message{") && !ran.stderr.contains("canary"), "{ran:#?}");
    let exports = collector.requests();
    assert!(!exports.is_empty());
    for export in &exports {
        assert_eq!((export.method.as_str(), export.path.as_str()), ("POST", "/v1/traces"));
        assert_eq!(export.header("authorization"), Some("Bearer canary-of-the-collector"));
        let text = String::from_utf8_lossy(&export.body);
        assert!(text.contains("service.name") && text.contains("mooncast"), "{text}");
        assert!(!text.contains("canary") && !text.contains("a-fixed-token"), "{text}");
    }
    let spans: Vec<Span> = exports.iter().flat_map(|export| spans(&export.body)).collect();
    let named = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let parent = |span: &Span| spans.iter().find(|other| other.id == span.parent).map(|other| &*other.name);
    let (jobs, broadcasts) = (named("job"), named("broadcast"));
    assert!(jobs.len() == 1 && broadcasts.len() == 1, "{spans:#?}");
    assert!(jobs[0].parent.is_empty() && jobs[0].attributes.contains("news"), "{spans:#?}");
    assert_eq!(parent(broadcasts[0]), Some("job"));
    assert!(broadcasts[0].attributes.contains("letter"), "{spans:#?}");
    let messages = named("message");
    let of = |above: &str| messages.iter().filter(|span| parent(span) == Some(above)).count();
    assert_eq!((of("job"), of("broadcast"), messages.len()), (1, 3, 4), "{spans:#?}");
    assert!(messages.iter().all(|span| span.attributes.contains("group messages")), "{spans:#?}");
    let requests = named("request");
    assert!(requests.len() == 5 && requests.iter().all(|span| parent(span) == Some("message")), "{spans:#?}");
    let class = |class: &str| requests.iter().filter(|span| span.attributes.contains(class)).count();
    assert_eq!((class("throttled"), class("accepted")), (1, 4), "{spans:#?}");
    assert!(spans.iter().all(|span| span.trace == jobs[0].trace), "{spans:#?}");
}

#[test]
fn a_collector_that_takes_nothing_is_told_of_and_delays_nothing() {
    let service = Service::accepting();
    let collector = Service::answering(|_, _| json(503, "{}"));
    let project = Project::with_script(NEWS);
    let ran = Ran::of(&traced(&project, &service, &collector.url()).output().unwrap()).exits(0);
    assert_eq!(ran.stderr.matches("spans are lost").count(), 1, "{ran:#?}");
    let nobody = "http://127.0.0.1:9/with/a/canary-key";
    let project = Project::with_script(NEWS);
    let ran = Ran::of(&traced(&project, &service, nobody).output().unwrap()).exits(0);
    assert_eq!(ran.stderr.matches("spans are lost").count(), 1, "{ran:#?}");
    assert!(!ran.stderr.contains("canary"), "{ran:#?}");
    let bad = Ran::of(&traced(&project, &service, "no address").output().unwrap()).exits(2);
    bad.says("OTEL_EXPORTER_OTLP_ENDPOINT");
}
