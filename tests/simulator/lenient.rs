//! What other clients send and read. A strict simulator refuses it where the vendor's page does.

use bytes::Bytes;
use mooncast::{Clock, Simulator, SimulatorLimits, SimulatorSettings};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::harness::{Reply, Service, as_json, bearer, settings, text};

const SEND: &str = "/o/a/messages/chatgroups";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const ACCEPT: (&str, &str) = ("accept", "application/json");

async fn both() -> [Service; 2] {
    [Service::start(settings()).await, Service::start(SimulatorSettings { strict: true, ..settings() }).await]
}

/// Posts a message with these headers beside the token.
async fn post(service: &Service, headers: &[(&str, &str)], body: &str) -> Reply {
    service.call("POST", SEND, &[&[bearer()], headers].concat(), body.as_bytes()).await
}

#[tokio::test]
async fn a_body_of_any_media_type_is_json() {
    let [service, strict] = both().await;
    let body = text(&["1"]).to_string();
    for headers in [vec![], vec![FORM], vec![("content-type", "text/plain")]] {
        assert_eq!(post(&service, &headers, &body).await.status, 200, "{headers:?}");
        let refusal = post(&strict, &headers, &body).await.refusal();
        assert_eq!((refusal.0, refusal.1.as_str()), (415, "web_application"), "{headers:?}");
    }
    assert_eq!(post(&strict, &[as_json()], &body).await.refusal().0, 406);
    assert_eq!(post(&strict, &[as_json(), ("accept", "text/html")], &body).await.refusal().0, 406);
    assert_eq!(post(&strict, &[as_json(), ACCEPT], &body).await.status, 200);
    let several = ("accept", "text/plain;q=0.5, application/json;q=0.9");
    assert_eq!(post(&strict, &[as_json(), several], &body).await.status, 200);
    assert_eq!(post(&service, &[FORM], "from=user1&type=txt").await.refusal().1, "invalid_request_body");
    assert_eq!((service.simulator.count("1"), strict.simulator.count("1")), (3, 2));
}

#[tokio::test]
async fn a_strict_simulator_takes_no_numbers_of_another_form_and_no_lacking_comma() {
    let [service, strict] = both().await;
    let message = |kind: &str, body: &str| format!(r#"{{"to":["1"],"type":"{kind}","body":{body}}}"#);
    let bodies = [
        message("img", r#"{"url":"u","size":{"width":480.0,"height":720.0}}"#),
        message("audio", r#"{"url":"u","length":10.0}"#),
        message("loc", r#"{"lat":39.966,"lng":116.322,"addr":"x"}"#),
        message("video", "{\"filename\" : \"test.avi\"\n \"url\" : \"u\", \"length\" : 0}"),
    ];
    for body in &bodies {
        assert_eq!(post(&service, &[as_json()], body).await.status, 200, "{body}");
        let refusal = post(&strict, &[as_json(), ACCEPT], body).await.refusal();
        assert_eq!((refusal.0, refusal.1.as_str()), (400, "invalid_request_body"), "{body}");
    }
    let received = service.simulator.received_by("1");
    let raws: Vec<&str> = received.iter().map(|message| message.raw.get()).collect();
    assert_eq!(raws[..3], bodies[..3]);
    assert_eq!(raws[3], message("video", r#"{"filename":"test.avi","url":"u","length":0}"#));
}

#[tokio::test]
async fn a_token_is_asked_for_with_json_of_any_media_type_or_with_a_form() {
    let [service, strict] = both().await;
    let json = json!({
        "grant_type": "client_credentials",
        "client_id": "simulator-client",
        "client_secret": "simulator-secret",
    })
    .to_string();
    let form =
        "grant_type=client_credentials&client_id=simulator-client&client_secret=simulator-secret&ttl=60";
    for (headers, body) in
        [(vec![], json.as_str()), (vec![FORM], &json), (vec![FORM], form), (vec![as_json()], form)]
    {
        let granted = service.call("POST", "/o/a/token", &headers, body.as_bytes()).await;
        assert_eq!(granted.status, 200, "{headers:?} {body}");
        let life = if body == form { 60 } else { 60 * 24 * 3600 };
        assert_eq!(granted.json()["expires_in"], life, "{headers:?} {body}");
        assert_ne!(strict.call("POST", "/o/a/token", &headers, body.as_bytes()).await.status, 200);
    }
    let wrong = form.replace("simulator-secret", "guess");
    assert_eq!(
        service.call("POST", "/o/a/token", &[FORM], wrong.as_bytes()).await.refusal().1,
        "invalid_grant"
    );
    let reply = strict.call("POST", "/o/a/token", &[as_json()], json.as_bytes()).await;
    assert_eq!(reply.status, 200);
}

/// Posts a multipart body with the boundary `XX` and these fields before the file.
async fn upload(service: &Service, kind: &str, fields: &str, file: &[u8], headers: &[(&str, &str)]) -> Reply {
    let head =
        format!("{fields}--XX\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\r\n");
    let body = [head.as_bytes(), file, b"\r\n--XX--\r\n"].concat();
    service
        .call("POST", "/o/a/chatfiles", &[&[bearer(), ("content-type", kind)], headers].concat(), &body)
        .await
}

fn path(uploaded: &Reply) -> String {
    format!("/o/a/chatfiles/{}", uploaded.json()["entities"][0]["uuid"].as_str().unwrap())
}

const ONE: &str = "multipart/form-data; boundary=XX";

#[tokio::test]
async fn of_two_boundaries_the_one_in_the_body_is_used() {
    let [service, strict] = both().await;
    let (ours, theirs) = ("boundary=XX", "boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW");
    for (first, second) in
        [(theirs, ours), (ours, theirs), (theirs, "BOUNDARY=XX"), ("boundary=\"XX\"", theirs)]
    {
        let kind = format!("multipart/form-data; {first}; {second}");
        let uploaded = upload(&service, &kind, "", b"hello", &[]).await;
        assert_eq!(uploaded.status, 200, "{kind}");
        assert_eq!(service.get(&path(&uploaded)).await.body, b"hello");
    }
    // The vendor's page names one boundary, wherever the right one stands.
    for (first, second) in
        [(theirs, ours), (ours, theirs), (ours, "BOUNDARY=XX"), (ours, "boundary = \"XX\"")]
    {
        let kind = format!("multipart/form-data; {first}; {second}");
        assert_eq!(upload(&strict, &kind, "", b"hello", &[]).await.status, 400, "{kind}");
    }
    assert_eq!(upload(&strict, ONE, "", b"hello", &[]).await.status, 200);
    assert_eq!(
        upload(&service, &format!("multipart/form-data; {theirs}; {theirs}"), "", b"x", &[]).await.status,
        400
    );
}

#[tokio::test]
async fn a_restricted_file_comes_back_for_the_secret_in_the_query() {
    let [service, strict] = both().await;
    for service in [&service, &strict] {
        let uploaded = upload(service, ONE, "", b"hello", &[("restrict-access", "true")]).await;
        let secret = uploaded.json()["entities"][0]["share-secret"].as_str().unwrap().to_owned();
        let path = path(&uploaded);
        assert_eq!(service.get(&format!("{path}?share-secret={secret}")).await.body, b"hello");
        assert_eq!(
            service.get(&format!("{path}?em-redirect=true&share-secret={secret}")).await.body,
            b"hello"
        );
        assert_eq!(service.get(&format!("{path}?share-secret=guess")).await.status, 403);
        let without_token = service.call("GET", &format!("{path}?share-secret={secret}"), &[], b"").await;
        assert_eq!(without_token.status, 401);
    }
    let restricted = [("restrict-access", "True")];
    let uploaded = upload(&service, ONE, "", b"hello", &restricted).await;
    assert_eq!(service.get(&path(&uploaded)).await.status, 403);
    assert_eq!(upload(&strict, ONE, "", b"hello", &restricted).await.status, 400);
}

/// An image with pixels that do not compress.
fn image(width: u32, height: u32, format: image::ImageFormat) -> Vec<u8> {
    let noise = |x: u32, y: u32| (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503_000)).to_be_bytes();
    let pixels = image::RgbImage::from_fn(width, height, |x, y| {
        let [red, green, blue, _] = noise(x, y);
        image::Rgb([red, green, blue])
    });
    let mut bytes = Vec::new();
    pixels.write_to(&mut std::io::Cursor::new(&mut bytes), format).unwrap();
    bytes
}

async fn thumbnail(service: &Service, uploaded: &Reply) -> Vec<u8> {
    service.call("GET", &path(uploaded), &[bearer(), ("thumbnail", "true")], b"").await.body
}

fn size(bytes: &[u8]) -> (u32, u32, image::ImageFormat) {
    let image = image::load_from_memory(bytes).unwrap();
    (image.width(), image.height(), image::guess_format(bytes).unwrap())
}

/// An image, form fields, headers, and the size of the thumbnail.
type ThumbnailCase<'a> = (&'a [u8], String, Vec<(&'a str, &'a str)>, (u32, u32));

#[tokio::test]
async fn a_thumbnail_is_the_image_made_to_fit() {
    use image::ImageFormat::{Jpeg, Png};
    let service = Service::start(settings()).await;
    let side = |name: &str, pixels: u32| {
        format!("--XX\r\ncontent-disposition: form-data; name=\"thumbnail-{name}\"\r\n\r\n{pixels}\r\n")
    };
    let cases: [ThumbnailCase<'_>; 5] = [
        (&image(400, 200, Png), String::new(), vec![], (170, 85)),
        (&image(200, 400, Jpeg), String::new(), vec![], (85, 170)),
        (&image(400, 200, Png), String::new(), vec![("thumbnail-width", "100")], (100, 50)),
        (&image(400, 200, Jpeg), side("height", 20) + &side("width", 400), vec![], (40, 20)),
        (&image(400, 200, Png), side("height", 20), vec![("thumbnail-height", "40")], (80, 40)),
    ];
    for (file, fields, headers, (width, height)) in cases {
        let uploaded = upload(&service, ONE, &fields, file, &headers).await;
        let format = image::guess_format(file).unwrap();
        assert_eq!(
            size(&thumbnail(&service, &uploaded).await),
            (width, height, format),
            "{fields} {headers:?}"
        );
        assert_eq!(service.get(&path(&uploaded)).await.body, file);
    }
}

#[tokio::test]
async fn what_is_small_or_fits_or_is_no_image_is_its_own_thumbnail() {
    let service = Service::start(settings()).await;
    let small = image(200, 10, image::ImageFormat::Png);
    assert!(small.len() <= 10 * 1024);
    let fits = image(160, 160, image::ImageFormat::Png);
    assert!(fits.len() > 10 * 1024);
    let mut cut = image(400, 400, image::ImageFormat::Png);
    cut.truncate(20_000);
    for file in [small, fits, cut, vec![b'x'; 20_000]] {
        let uploaded = upload(&service, ONE, "", &file, &[]).await;
        assert!(thumbnail(&service, &uploaded).await == file, "{} bytes", file.len());
    }
    let zero = upload(&service, ONE, "", b"x", &[("thumbnail-height", "0")]).await;
    assert_eq!(zero.refusal().1, "illegal_argument");
}

#[tokio::test]
async fn lists_name_their_parameters_and_have_entities() {
    let service = Service::start(SimulatorSettings { members: 12, ..settings() }).await;
    let groups = service.get("/o/a/chatgroups?limit=2").await.json();
    assert_eq!((&groups["params"], &groups["entities"]), (&json!({"limit": ["2"]}), &json!([])));
    let users = "/o/a/chatgroups/184524748161025/users";
    let members = service.get(&format!("{users}?pagenum=1&pagesize=5")).await.json();
    assert_eq!(members["params"], json!({"pagenum": ["1"], "pagesize": ["5"]}));
    assert_eq!((&members["entities"], &members["count"]), (&json!([]), &json!(5)));
    assert_eq!(service.get(users).await.json()["params"], json!({}));
}

#[tokio::test]
async fn version_3_of_a_member_list_has_ids_without_the_owner_by_cursor() {
    let service = Service::start(SimulatorSettings { members: 12, ..settings() }).await;
    let users = "/o/a/chatgroups/184524748161025/users?version=v3";
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    for pages in 1.. {
        let page = service.get(&format!("{users}&limit=4{cursor}")).await.json();
        ids.extend(page["data"].as_array().unwrap().iter().cloned());
        let Some(next) = page["cursor"].as_str() else {
            assert_eq!(pages, 3);
            break;
        };
        cursor = format!("&cursor={next}");
    }
    let expected: Vec<Value> = (2..=12).map(|number| format!("user{number}").into()).collect();
    assert_eq!(ids, expected);
    // A cursor of another list is refused.
    let of_groups =
        service.get("/o/a/chatgroups?limit=1").await.json()["cursor"].as_str().unwrap().to_owned();
    assert_eq!(service.get(&format!("{users}&cursor={of_groups}")).await.status, 400);
    let one = Service::start(SimulatorSettings { members: 1, ..settings() }).await;
    assert_eq!(one.get(users).await.json()["data"], json!([]));
}

#[tokio::test]
async fn paths_of_lists_may_end_with_a_slash() {
    let [service, strict] = both().await;
    for path in ["/o/a/chatgroups/", "/o/a/chatgroups/184524748161025/users/"] {
        assert_eq!(service.get(path).await.status, 200, "{path}");
        assert_eq!(strict.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_old_call_sends_to_groups_users_and_rooms() {
    let [service, strict] = both().await;
    let message = |kind: &str, to: &[&str], msg: &Value| json!({ "target_type": kind, "target": to, "msg": msg, "from": null, "ext": {"a": 1} });
    let hello = json!({"type": "txt", "msg": "hello"});
    let reply = service.post("/o/a/messages", &message("chatgroups", &["1", "2", "3", "4"], &hello)).await;
    let success = json!({"1": "success", "2": "success", "3": "success", "4": "success"});
    assert_eq!((reply.status, &reply.json()["data"]), (200, &success));
    let loc = json!({"type": "loc", "lat": "1", "lng": "2", "addr": "x"});
    let reply = service.post("/o/a/messages?useMsgId=true", &message("users", &["u"], &loc)).await.json();
    assert_eq!(reply["data"]["u"], json!(service.simulator.received_by("user:u")[0].id));
    service.post("/o/a/messages", &message("chatrooms", &["r"], &hello)).await;

    let received = service.simulator.received_by("4").remove(0);
    assert_eq!(received.from, "admin");
    let raw: Value = serde_json::from_str(received.raw.get()).unwrap();
    let to = ["1", "2", "3", "4"];
    let today = json!({"to": to, "type": "txt", "body": {"msg": "hello"}, "from": null, "ext": {"a": 1}});
    assert_eq!(raw, today);
    let stats = service.simulator.stats();
    assert_eq!((stats.group_messages, stats.user_messages, stats.room_messages), (4, 1, 1));
    assert_eq!(stats.calls["messages"], 3);

    let many: Vec<String> = (0..601).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (bad, description) in [
        (message("groups", &["1"], &hello), "Request body is invalid. Please check body is correct."),
        (
            message("users", &["1"], &json!({"type": "text", "msg": "x"})),
            "Request body is invalid. Please check body is correct.",
        ),
        (message("users", &[], &hello), "param to can't be empty"),
        (message("users", &["1"], &json!({"msg": "x"})), "param type can't be empty"),
        (message("users", &["1"], &json!({"type": "txt"})), "param body can't be empty"),
        (message("users", &many, &hello), "params to's size can't exceed limit 600"),
        (message("users", &["1"], &json!({"type": "txt", "msg": "x".repeat(5200)})), "message is too large"),
    ] {
        assert_eq!(
            service.post("/o/a/messages", &bad).await.refusal(),
            (400, error(description), description.to_owned())
        );
    }
    assert_eq!(strict.post("/o/a/messages", &message("users", &["1"], &hello)).await.status, 404);
}

fn error(description: &str) -> String {
    let name = if description.starts_with("Request") { "invalid_request_body" } else { "message_send_error" };
    name.to_owned()
}

/// A valid body of each type.
fn bodies() -> [(&'static str, Value); 8] {
    [
        ("txt", json!({"msg": "hello"})),
        ("img", json!({"url": "u", "filename": "a", "secret": "s", "size": {"width": 480, "height": 720}})),
        ("audio", json!({"url": "u", "length": 10, "Length": 10})),
        ("video", json!({"url": "u", "thumb": "t", "length": 0, "file_length": 58103})),
        ("file", json!({"url": "u", "filename": "a"})),
        ("loc", json!({"lat": "39.966", "lng": "116.322", "addr": "x"})),
        ("cmd", json!({"action": "a"})),
        ("custom", json!({"customEvent": "e", "customExts": {"n": "1"}})),
    ]
}

/// The text of a message, with up to two fields of its body changed, and perhaps without one of its commas.
fn message() -> impl Strategy<Value = String> {
    let values =
        [json!("x"), json!(7), json!(480.0), json!(1.5), json!(-1), json!(null), json!({"width": 1.0})];
    let change = (any::<prop::sample::Index>(), prop::sample::select(values.to_vec()));
    let changes = prop::collection::vec(change, 0..3);
    let parts = (0..8_usize, changes, prop::option::of(any::<prop::sample::Index>()), any::<bool>());
    parts.prop_map(|(kind, changes, comma, pretty)| {
        let (kind, body) = bodies()[kind].clone();
        let mut body: Map<String, Value> = body.as_object().unwrap().clone();
        for (at, value) in changes {
            let name = body.keys().nth(at.index(body.len())).unwrap().clone();
            body.insert(name, value);
        }
        let message = json!({"from": "user1", "to": ["1"], "type": kind, "body": body, "ext": {"a": [1, 2]}});
        let text = if pretty { serde_json::to_string_pretty(&message).unwrap() } else { message.to_string() };
        let commas: Vec<_> = text.match_indices(',').map(|(at, _)| at).collect();
        match comma.map(|comma| commas[comma.index(commas.len())]) {
            Some(at) => [&text[..at], &text[at + 1..]].concat(),
            None => text,
        }
    })
}

/// Sends a message to a simulator of its own. Returns the status, and the message as it was received.
fn sent(strict: bool, kind: Option<&str>, accept: Option<&str>, body: &str) -> (u16, Option<String>) {
    let settings = SimulatorSettings { strict, limits: SimulatorLimits::lifted(), ..settings() };
    let simulator = Simulator::new(settings, Clock::simulated(std::time::Duration::from_secs(1_700_000_000)));
    let mut request = http::Request::post(SEND).header("authorization", "Bearer test-token");
    for (name, value) in [("content-type", kind), ("accept", accept)] {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    let request = request.body(Bytes::copy_from_slice(body.as_bytes())).unwrap();
    let status = simulator.handle(&request).whole().unwrap().status().as_u16();
    (status, simulator.received_by("1").first().map(|message| message.raw.get().to_owned()))
}

proptest! {
    #[test]
    fn what_a_strict_simulator_takes_every_simulator_takes(
        body in message(),
        kind in prop::option::of(prop::sample::select(vec!["application/json", "text/plain"])),
        accept in prop::option::of(prop::sample::select(vec!["application/json", "*/*"])),
    ) {
        let (usual, strict) = (sent(false, kind, accept, &body), sent(true, kind, accept, &body));
        prop_assert!(usual == strict || strict.1.is_none(), "{:?} {:?}", usual, strict);
        let by_the_page = kind == Some("application/json") && accept == Some("application/json");
        prop_assert!(by_the_page || strict.0 != 200);
        // The media types make no other difference.
        let (with, without) = (sent(true, Some("application/json"), Some("application/json"), &body), strict);
        prop_assert!(!by_the_page || with == without);
        prop_assert_eq!(usual.0 == 200, usual.1.is_some());
    }
}
