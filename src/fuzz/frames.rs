//! Frames of a hostile worker: the decoder, and what the host does with the contents of a request before anything else.

use bytes::Bytes;

use crate::core::{Call, Priority, SendOptions, UploadOptions};
use crate::protocol::{
    BroadcastStep, ConsoleStep, EventDeclaration, FrameDecoder, HookDeclaration, HookRequest, HostRequest,
    HttpRequest, HttpValue, HttpValuePart, JobDeclaration, JobInput, JobTrigger, LogLevel, LogLine,
    RecallRequest, RestRequest, ScriptError, StoreRequest, StoreStep, TestEvent, TestStep, ToHost, VERSION,
    encode,
};
use crate::schedule::Job;

use super::{FuzzTarget, fuzz, messages};

#[test]
fn no_input_breaks_it() {
    fuzz(&FuzzTarget {
        name: "frames",
        seeds,
        words: &["group", "job", "0 9 * * *", "2026-12-24 18:00"],
        cases: 6000,
        read,
    });
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn declaration(when: JobTrigger) -> HostRequest {
    HostRequest::Declare(Box::new(JobDeclaration {
        name: text("job"),
        when,
        tz: Some(text("Asia/Shanghai")),
        calendar: None,
        on_holiday: None,
        missed: Some(text("once")),
        grace_ms: Some(3_600_000),
        overlap: Some(text("queue")),
        timeout_ms: Some(60_000),
        jitter_ms: Some(0),
        rerun: true,
        place: text("scripts/a.lua:1"),
    }))
}

fn requests() -> Vec<HostRequest> {
    let message = Bytes::from_static(br#"{"to": ["g1"], "type": "txt", "body": {"msg": "hi"}}"#);
    let receipts = vec![(text("g1"), text("m1")), (text("g2"), text("m2"))];
    let value = |part: &'static str| {
        HttpValue(vec![HttpValuePart::Text(part.into()), HttpValuePart::Secret(text("KEY"))])
    };
    let hook = HookRequest {
        method: text("POST"),
        query: vec![(text("a"), text("b"))],
        headers: vec![(text("content-type"), text("application/json"))],
        body: Bytes::from_static(b"{}"),
    };
    vec![
        HostRequest::Send {
            app: 0,
            call: Call::Group,
            message: message.clone(),
            options: SendOptions::default(),
        },
        HostRequest::Check { app: 0, call: Some(Call::Targeted), message: message.clone() },
        HostRequest::Upload { app: 1, path: text("a.jpg"), options: UploadOptions::default() },
        HostRequest::Groups { app: 0, cursor: Some(text("next")) },
        HostRequest::Members { app: 0, group_id: text("g1"), page: 1 },
        HostRequest::GroupDetails { app: 0, ids: vec![text("g1"), text("g2")] },
        HostRequest::Recall { app: 0, receipts: receipts.clone(), asked: RecallRequest::default() },
        HostRequest::Edit { app: 0, receipts, change: message.clone(), priority: Priority::Normal },
        HostRequest::Rest(Box::new(RestRequest {
            method: text("GET"),
            path: text("/users"),
            query: vec![(text("limit"), text("1"))],
            body: Some(message),
            ..RestRequest::default()
        })),
        HostRequest::Broadcast(BroadcastStep::Begin {
            app: 0,
            spec: Bytes::from_static(br#"{"name": "b", "rate": 1.5}"#),
        }),
        HostRequest::Broadcast(BroadcastStep::Append {
            handle: 1,
            batch: Bytes::from_static(br#"[{"r": "g1", "n": 1}]"#),
        }),
        declaration(JobTrigger::Cron(text("*/5 9-17 * * mon-fri"))),
        declaration(JobTrigger::At(text("2030-12-24 18:00"))),
        declaration(JobTrigger::AtInstant { ms: 1_900_000_000_000 }),
        declaration(JobTrigger::Every { ms: 60_000 }),
        declaration(JobTrigger::Hook(HookDeclaration {
            secret: text("S"),
            scheme: Some(text("token")),
            header: None,
            id: None,
        })),
        declaration(JobTrigger::Event(EventDeclaration {
            app: text("default"),
            event: text("message"),
            groups: vec![text("g1")],
            users: vec![],
            pattern: Some(text("^%a+[0-9]*$")),
        })),
        HostRequest::FileWrite { path: text("data/a"), content: Bytes::from_static(b"x"), append: true },
        HostRequest::Http(Box::new(HttpRequest {
            method: text("POST"),
            url: text("https://example.com/"),
            query: vec![(text("q"), value("a"))],
            headers: vec![(text("x"), value("b"))],
            body: Some(value("c")),
            timeout_ms: 1000,
        })),
        HostRequest::Store(StoreRequest {
            space: Some(text("s")),
            step: StoreStep::Swap { key: text("k"), expected: None, new: Some(text("1")), ttl_ms: Some(1) },
        }),
        HostRequest::Test(Box::new(TestStep::Post { job: text("j"), request: hook })),
        HostRequest::Test(Box::new(TestStep::Callback(Box::new(TestEvent {
            event: text("message"),
            id: None,
            app: None,
            group: text("g"),
            users: vec![text("u")],
            message_id: None,
            body: Some(Bytes::from_static(b"{}")),
            ext: None,
        })))),
        HostRequest::Console(ConsoleStep::Next { incomplete: false, problem: None }),
    ]
}

fn seeds() -> Vec<Vec<u8>> {
    let wire = |frame: &ToHost| {
        let mut wire = Vec::new();
        encode(frame, &mut wire).unwrap();
        wire
    };
    let error = ScriptError {
        message: text("failed"),
        traceback: vec![text("scripts/a.lua:1")],
        kind: Some(text("invalid")),
    };
    let line = LogLine {
        level: LogLevel::Info,
        message: text("m"),
        fields: text("{\"a\": 1}"),
        location: text("a.lua:1"),
    };
    let mut all: Vec<Vec<u8>> =
        requests().into_iter().map(|request| wire(&ToHost::Request(300, request))).collect();
    let frames = [
        ToHost::Hello(VERSION),
        ToHost::Print(Bytes::from_static(b"printed\n")),
        ToHost::Log(line),
        ToHost::Waiting(7),
        ToHost::Noted(1, text("scripts/a.lua:3")),
        ToHost::Declared,
        ToHost::Done(Err(error)),
        ToHost::Done(Ok(())),
    ];
    all.push(frames.iter().flat_map(wire).collect());
    all
}

/// Reads the input as one stream, and its contents as one frame whose length is right.
fn read(input: &[u8]) -> String {
    let streamed = read_stream(input);
    let body = input.get(4..).unwrap_or_default();
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    let framed = read_stream(&[&length[..], body].concat());
    if streamed.starts_with("ok") { streamed } else { format!("{streamed} {framed}") }
}

fn read_stream(input: &[u8]) -> String {
    let mut frames = FrameDecoder::<ToHost>::default();
    let mut outcome = String::new();
    for piece in input.chunks(4096) {
        frames.make_room(64 * 1024);
        frames.buffer().extend_from_slice(piece);
        loop {
            match frames.take() {
                Ok(Some(frame)) => outcome.push_str(&handle(frame)),
                Ok(None) => break,
                Err(error) => return format!("{outcome} {error}"),
            }
        }
    }
    let is_whole = frames.missing() == 0 && frames.buffer().is_empty() && !outcome.is_empty();
    format!("{}{outcome}", if is_whole { "ok " } else { "cut " })
}

/// What the host does with a frame without a run.
fn handle(frame: ToHost) -> String {
    match frame {
        ToHost::Request(_, request) => {
            let flags = (request.reaches_out(), request.takes_time(), request.only_looks());
            format!("{flags:?} {}", handle_request(request))
        }
        ToHost::Log(line) => {
            let line = line.clipped();
            format!("log {}", line.message.len() > 8000)
        }
        ToHost::Done(Err(error)) => format!("failed {}", error.kind.is_some()),
        other => format!("{other:?}").chars().take(5).collect(),
    }
}

fn handle_request(request: HostRequest) -> String {
    match request {
        HostRequest::Send { message, .. } | HostRequest::Check { message, .. } => messages::judge(&message),
        HostRequest::Edit { change, .. } => messages::judge(&change),
        HostRequest::Declare(job) => match Job::new(&job, None) {
            Ok(job) => format!("job {}", job.times()),
            Err(problem) => problem.message,
        },
        HostRequest::Test(step) => match *step {
            TestStep::Post { request, .. } => {
                let (head, body) = (request.head(), request.body.to_vec());
                assert_eq!(JobInput::of_parts(&head, body).unwrap(), JobInput::Request(request));
                "post".to_owned()
            }
            TestStep::Callback(event) => {
                let input = JobInput::Event { group: event.group, json: event.body.unwrap_or_default() };
                format!("event {}", input.event_words().unwrap_or_default().len() > 20)
            }
            _ => "test".to_owned(),
        },
        HostRequest::Broadcast(BroadcastStep::Begin { spec, .. }) => {
            serde_json::from_slice::<crate::core::BroadcastSpec>(&spec)
                .map_or_else(|error| error.to_string(), |_| "spec".to_owned())
        }
        _ => "request".to_owned(),
    }
}
