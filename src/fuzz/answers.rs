//! Answers of the service: their encodings, and what each call of the client makes of them.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};

use crate::client::{
    CallError, Client, ContentEncodings, InProcessService, Recall, RestCall, ServiceResponse,
};
use crate::clock::Clock;
use crate::config::{App, AppLimits, Credentials, RecordSettings, Timeouts};
use crate::core::{Call, RestMethod, UserScope};

use super::{FuzzTarget, fuzz};

#[test]
fn no_input_breaks_it() {
    fuzz(&FuzzTarget { name: "answers", seeds, words: WORDS, cases: 600, read });
}

const WORDS: &[&str] = &[
    "200",
    "204",
    "301",
    "302",
    "400",
    "401",
    "403",
    "404",
    "413",
    "429",
    "500",
    "503",
    "content-encoding: gzip|",
    "content-encoding: deflate|",
    "retry-after: 5|",
    "retry-after: Wed, 21 Oct 2099 07:28:00 GMT|",
    "location: https://b.example/|",
    "\"data\"",
    "\"entities\"",
    "\"cursor\"",
    "\"groupid\"",
    "\"groupname\"",
    "\"member\"",
    "\"owner\"",
    "\"access_token\"",
    "\"expires_in\"",
    "\"application\"",
    "\"error\"",
    "\"error_description\"",
    "\"error_code\"",
    "\"msg_id\"",
    "\"recalled\"",
    "\"yes\"",
    "\"url\"",
    "\"id\"",
    "\"affiliations_count\"",
    "\"count\"",
    "null",
    "{}",
    "[]",
    "\"\"",
    "\"message_send_error\"",
    "<html>",
];

/// What a compressed body begins with.
const GZIP: &[u8] = b"\x1f\x8b\x08";

/// The most bytes of a decompressed body here.
const MOST: usize = 1 << 20;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// The first line has the status and headers; the rest is the body.
fn seeds() -> Vec<Vec<u8>> {
    let plain = |text: &str| text.as_bytes().to_vec();
    let packed = |text: &str| [b"200 content-encoding: gzip|\n".as_slice(), &gzip(text.as_bytes())].concat();
    vec![
        plain("200 \n{\"data\":{\"g1\":\"m1\",\"g2\":\"m2\"}}"),
        plain("200 \n{\"access_token\":\"t\",\"expires_in\":3600,\"application\":\"x\"}"),
        plain(
            "200 \n{\"data\":[{\"groupid\":\"g1\",\"groupname\":\"n\",\"owner\":\"o\",\"affiliations\":3}],\"cursor\":\"c\",\"count\":1}",
        ),
        plain("200 \n{\"data\":[{\"member\":\"u1\"},{\"owner\":\"u2\"}],\"count\":2}"),
        plain(
            "200 \n{\"data\":[{\"id\":\"g1\",\"name\":\"n\",\"maxusers\":200,\"affiliations_count\":2,\"custom\":\"\",\"mute\":false,\"created\":1700000000000}]}",
        ),
        plain("200 \n{\"data\":[{\"msg_id\":1234567890123456789,\"recalled\":\"yes\"}]}"),
        plain("200 \n{\"data\":[{\"url\":\"https://a.example/h.gz\"}]}"),
        plain("200 \n{\"data\":{\"id\":12345678901234567890}}"),
        plain(
            "429 retry-after: 5|\n{\"error\":\"reach_limit\",\"error_description\":\"too many\",\"error_code\":14007}",
        ),
        plain("503 \n<html>"),
        packed("{\"data\":{\"g1\":\"m1\"}}"),
    ]
}

/// A service that always gives the same answer.
#[derive(Debug)]
struct Service {
    clock: Clock,
    answer: Mutex<Response<Bytes>>,
}

#[async_trait]
impl InProcessService for Service {
    async fn carry(&self, _: Request<Bytes>) -> ServiceResponse {
        self.clock.sleep(Duration::from_millis(300)).await;
        ServiceResponse::Whole(self.answer.lock().unwrap().clone())
    }
}

fn client(service: &Arc<Service>, credentials: Credentials) -> Client {
    let app = App {
        name: "default".into(),
        prefix: "http://a.example/org/app".into(),
        credentials,
        limits: AppLimits::default(),
        records: RecordSettings::default(),
        timeouts: Timeouts::default(),
    };
    Client::over(Arc::clone(service) as _, &app, service.clock.clone()).unwrap()
}

fn read(input: &[u8]) -> String {
    let cut = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let head = String::from_utf8_lossy(&input[..cut]).into_owned();
    let body = Bytes::copy_from_slice(input.get(cut + 1..).unwrap_or_default());
    let (status, headers) = head.split_once(' ').unwrap_or((&head, ""));
    let status =
        status.parse().ok().and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::OK);
    let mut map = HeaderMap::new();
    for (name, value) in headers.split('|').filter_map(|header| header.split_once(':')) {
        if let (Ok(name), Ok(value)) =
            (name.trim().parse::<HeaderName>(), HeaderValue::from_str(value.trim()))
        {
            map.append(name, value);
        }
    }
    // A service in this process has no limit on what it unpacks to, so that is tried apart.
    let body = match ContentEncodings::of(&map).undo(body, MOST) {
        Ok(body) => body,
        Err(error) => return error.to_string(),
    };
    map.remove(CONTENT_ENCODING);
    if body.starts_with(GZIP) {
        return "compressed again".to_owned();
    }
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    *answer.headers_mut() = map;
    let clock = Clock::simulated(Duration::from_hours(490_896));
    let service = Arc::new(Service { clock: clock.clone(), answer: Mutex::new(answer) });
    let outcome = clock.block_on(calls(service)).unwrap();
    if outcome.contains("fine") || !status.is_success() { format!("ok {outcome}") } else { outcome }
}

/// Makes each call.
async fn calls(service: Arc<Service>) -> String {
    let mut outcome = String::new();
    let mut told = |what: &str, result: Result<(), CallError>| {
        // Writing to a string cannot fail.
        let _ = match result {
            Ok(()) => write!(outcome, "{what} fine; "),
            Err(error) => write!(outcome, "{:?} ", error.class),
        };
    };
    let fetching =
        client(&service, Credentials::Client { id: "id".into(), secret: "secret".to_owned().into() });
    told("token", fetching.authorise().await);
    let client = client(&service, Credentials::Token("token".to_owned().into()));
    let body = Bytes::from_static(br#"{"to":["g1"]}"#);
    for call in [Call::Group, Call::User] {
        told("send", client.send(call, body.clone(), || ()).await.map(drop));
    }
    let page = client.groups_page(None, 100).await;
    told("groups", page.map(drop));
    told("members", client.members_page("g1", 1, 100).await.map(drop));
    told("details", client.group_details(&["g1".to_owned()]).await.map(drop));
    let recall = Recall {
        msg_id: "m1".to_owned(),
        to: "g1".to_owned(),
        call: Call::Group,
        from: None,
        force: false,
        note: None,
    };
    told("recall", client.recall(&[recall]).await.map(drop));
    told("history", client.history_address("2026112309").await.map(drop));
    told("picture", client.picture("http://a.example/org/app/chatfiles/55f12940-64af", None).await.map(drop));
    let authorisation = client.authorisation(Call::Announce, None).await.unwrap();
    told(
        "announcement",
        client.announce_with(&authorisation, None, UserScope::All, body.clone(), || ()).await.map(drop),
    );
    told("edit", client.rewrite_with(&authorisation, None, "m1", body, || ()).await);
    let call = RestCall {
        method: RestMethod::Get,
        path: "/users".parse().unwrap(),
        query: Vec::new(),
        body: None,
        idempotent: true,
    };
    told("rest", client.rest_with(&authorisation, None, &call, || ()).await.map(drop));
    outcome
}
