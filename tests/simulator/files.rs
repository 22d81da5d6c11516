//! Uploads and downloads.

use mooncast::{SimulatorLimits, SimulatorSettings};

use super::harness::{Reply, Service, bearer, settings};

const UPLOAD: &str = "/o/a/chatfiles";

/// Posts a multipart body with one file in the field `field`.
async fn upload(service: &Service, field: &str, file: &[u8], headers: &[(&str, &str)]) -> Reply {
    let head = format!(
        "--XX\r\ncontent-disposition: form-data; name=\"{field}\"; filename=\"a.bin\"\r\n\
         content-type: application/octet-stream\r\n\r\n"
    );
    let body = [head.as_bytes(), file, b"\r\n--XX--\r\n"].concat();
    let kind = ("content-type", "multipart/form-data; boundary=XX");
    service.call("POST", UPLOAD, &[&[bearer(), kind], headers].concat(), &body).await
}

/// Returns the path and the share-secret of an uploaded file.
fn place(reply: &Reply) -> (String, String) {
    let json = reply.json();
    let entity = &json["entities"][0];
    assert_eq!(json["uri"], "http://fake.test/o/a/chatfiles");
    assert_eq!(entity["type"], "chatfile");
    let text = |name: &str| entity[name].as_str().unwrap().to_owned();
    (format!("{UPLOAD}/{}", text("uuid")), text("share-secret"))
}

#[tokio::test]
async fn a_restricted_file_comes_back_only_with_its_secret() {
    let service = Service::start(settings()).await;
    let file: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let reply =
        upload(&service, "file", &file, &[("restrict-access", "true"), ("thumbnail-height", "90")]).await;
    assert_eq!(reply.status, 200);
    let (path, secret) = place(&reply);
    assert_eq!(service.get(&path).await.refusal().0, 403);
    assert_eq!(service.call("GET", &path, &[bearer(), ("share-secret", "wrong")], b"").await.status, 403);
    assert_eq!(service.call("GET", &path, &[("share-secret", &secret)], b"").await.status, 401);
    let reply = service.call("GET", &path, &[bearer(), ("share-secret", &secret)], b"").await;
    assert_eq!(reply.status, 200);
    assert!(reply.body == file);
    assert_eq!(service.simulator.stats().uploads, 1);
}

#[tokio::test]
async fn an_open_file_needs_no_secret_and_lives_seven_days() {
    let service = Service::start(settings()).await;
    let (path, _) = place(&upload(&service, "file", b"hello", &[]).await);
    assert_eq!(service.get(&path).await.body, b"hello");
    service.time.advance(7 * 24 * 3_600_000 - 1);
    assert_eq!(service.get(&path).await.status, 200);
    service.time.advance(1);
    let (status, error, description) = service.get(&path).await.refusal();
    assert_eq!((status, error.as_str()), (404, "file_expired"));
    assert!(description.ends_with("is expired"), "{description}");
    let unknown = service.get("/o/a/chatfiles/00000000-0000-4000-8000-000000000000").await.refusal();
    assert_eq!(unknown, (404, "entity_not_found".to_owned(), "file may not exists".to_owned()));
}

#[tokio::test]
async fn a_file_may_be_as_large_as_the_limit_and_no_larger() {
    let limits = SimulatorLimits { upload_bytes: 10_000, ..SimulatorLimits::default() };
    let service = Service::start(SimulatorSettings { limits, ..settings() }).await;
    assert_eq!(upload(&service, "file", &[7; 10_000], &[]).await.status, 200);
    // The last one exceeds what the server keeps of any request. It is still read to its end.
    for size in [10_001, 4_000_000] {
        let refusal = upload(&service, "file", &vec![7; size], &[]).await.refusal();
        let text = "Request Entity Too Large".to_owned();
        assert_eq!(refusal, (413, text.clone(), text), "{size}");
    }
}

#[tokio::test]
async fn what_is_no_upload_is_refused() {
    let service = Service::start(settings()).await;
    assert_eq!(upload(&service, "image", b"x", &[]).await.refusal().1, "illegal_argument");
    assert_eq!(upload(&service, "file", b"x", &[("restrict-access", "maybe")]).await.refusal().0, 400);
    assert_eq!(upload(&service, "file", b"x", &[("thumbnail-width", "wide")]).await.refusal().0, 400);
    assert_eq!(service.call("POST", UPLOAD, &[bearer()], b"x").await.refusal().0, 415);
    let kind = ("content-type", "multipart/form-data; boundary=XX");
    assert_eq!(service.call("POST", UPLOAD, &[bearer(), kind], b"--XX\r\nbroken").await.refusal().0, 400);
    assert_eq!(service.simulator.stats().uploads, 0);
}
