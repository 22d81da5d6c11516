//! Uploads: streamed, complete, with the contract's headers.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mooncast::{Client, Clock, FailureClass, Thumbnail, Upload};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use super::server::{Request, Server, Step};
use super::{app, client, client_secret, fixed_token, run};

const MB: u64 = 1024 * 1024;

fn taken() -> Step {
    let body = r#"{"uri":"http://x/org/app/chatfiles","entities":[{"uuid":"u-1","type":"chatfile","share-secret":"CANARY-S"}]}"#;
    Step::Answer(200, body.into())
}

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// Returns the head and the content of the form's only part.
fn part(request: &Request) -> (String, &[u8]) {
    let kind = request.header("content-type").unwrap();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    let rest = request.body.strip_prefix(format!("--{boundary}\r\n").as_bytes()).unwrap();
    let end = rest.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let contents = rest[end + 4..].strip_suffix(format!("\r\n--{boundary}--\r\n").as_bytes()).unwrap();
    (String::from_utf8(rest[..end].to_vec()).unwrap(), contents)
}

#[test]
fn a_file_arrives_with_its_name_type_and_options() {
    let server = Server::start(|_, _| taken());
    let upload = Upload::new(file(b"hello"), "x/假期 \"1\".png", 10)
        .unwrap()
        .restrict_access(true)
        .thumbnail(Some(Thumbnail { height: 100, width: 200 }));
    let uploaded = run(client(&server.url).upload(&upload, |_| ())).unwrap();
    assert_eq!((uploaded.uuid.as_str(), uploaded.url.as_str()), ("u-1", "http://x/org/app/chatfiles/u-1"));
    assert_eq!(uploaded.secret.as_ref().unwrap().expose_secret(), "CANARY-S");
    assert_eq!(uploaded.kind.as_deref(), Some("chatfile"));

    let [request] = &server.requests()[..] else { panic!("not one request") };
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/org/app/chatfiles"));
    assert_eq!(request.header("restrict-access"), Some("true"));
    assert_eq!(request.header("thumbnail-height"), Some("100"));
    assert_eq!(request.header("thumbnail-width"), Some("200"));
    let (head, contents) = part(request);
    assert_eq!(contents, b"hello");
    assert_eq!(
        head,
        "Content-Disposition: form-data; name=\"file\"; filename=\"假期 \\\"1\\\".png\"\r\nContent-Type: image/png"
    );
}

#[test]
fn a_large_file_is_streamed_whole() {
    let server = Server::start(|_, _| taken());
    let mut sparse = file(b"begin");
    sparse.seek(SeekFrom::Start(50 * MB - 3)).unwrap();
    sparse.write_all(b"end").unwrap();
    let upload = Upload::new(sparse, "video.mp4", 50 * MB).unwrap();
    let steps = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&steps);
    run(client(&server.url).upload(&upload, move |sent| told.lock().unwrap().push(sent))).unwrap();

    let request = &server.requests()[0];
    assert_eq!(request.header("transfer-encoding"), None);
    let (_, contents) = part(request);
    let mut expected = vec![0; usize::try_from(50 * MB).unwrap()];
    expected[..5].copy_from_slice(b"begin");
    let end = expected.len() - 3;
    expected[end..].copy_from_slice(b"end");
    assert!(Sha256::digest(contents) == Sha256::digest(expected));
    let steps = steps.lock().unwrap();
    assert!(steps.is_sorted() && steps[0] == 0 && steps.last() == Some(&(50 * MB)), "{steps:?}");
    assert!(steps.len() > 100);
}

#[test]
fn an_empty_file_can_be_uploaded() {
    let server = Server::start(|_, _| taken());
    run(client(&server.url).upload(&Upload::new(file(b""), "a", 0).unwrap(), |_| ())).unwrap();
    assert_eq!(part(&server.requests()[0]).1, b"");
}

#[test]
fn a_file_that_changes_while_it_goes_is_never_taken_for_whole() {
    for size in [3, 8] {
        let server = Server::start(|_, _| taken());
        let file = file(b"hello");
        let upload = Upload::new(file.try_clone().unwrap(), "a", 10).unwrap();
        file.set_len(size).unwrap();
        let failure = run(client(&server.url).upload(&upload, |_| ())).unwrap_err();
        assert_eq!((failure.class, server.requests().len()), (FailureClass::Permanent, 0), "{failure}");
        let happened = if size == 3 { "the file shrank" } else { "the file grew" };
        assert!(failure.to_string().contains(happened), "{failure}");
    }
}

#[test]
fn an_upload_is_made_again_from_the_beginning_with_a_new_token() {
    let server = Server::start(|request, before| match request.target.as_str() {
        "/org/app/token" => Step::token(&format!("t{before}"), 3600),
        _ if before == 0 => Step::error(401, "unauthorized", ""),
        _ => taken(),
    });
    let client = Client::new(&app(&server.url, client_secret()), Clock::real(), None).unwrap();
    let upload = Upload::new(file(b"hello"), "a", 10).unwrap();
    run(client.upload(&upload, |_| ())).unwrap();
    let uploads: Vec<Request> =
        server.requests().into_iter().filter(|request| request.target.ends_with("/chatfiles")).collect();
    assert_eq!(uploads.len(), 2);
    assert!(uploads.iter().all(|request| part(request).1 == b"hello"));
}

#[test]
fn an_upload_may_be_repeated_by_the_caller_whatever_broke() {
    for step in [Step::error(503, "", ""), Step::Reset, Step::Hang, Step::Answer(200, "{}".into())] {
        let first = step.clone();
        let server = Server::start(move |_, before| if before == 0 { first.clone() } else { taken() });
        let mut app = app(&server.url, fixed_token());
        app.timeouts.read = Duration::from_secs(2);
        let client = Client::new(&app, Clock::real(), None).unwrap();
        let upload = Upload::new(file(b"hello"), "a", 10).unwrap();
        let (first, second) =
            run(async { (client.upload(&upload, |_| ()).await, client.upload(&upload, |_| ()).await) });
        assert_eq!(first.unwrap_err().class, FailureClass::Repeat, "{step:?}");
        assert_eq!(second.unwrap().uuid, "u-1");
        assert_eq!(server.count("/chatfiles"), 2);
    }
}

#[test]
fn what_a_file_says_of_itself_is_read_beside_the_upload() {
    let clock = Clock::real();
    let upload = Upload::new(file(b"GIF89a\x03\0\x05\0\0\0\0"), "a.gif", 100).unwrap();
    let media = run(upload.media(&clock));
    assert_eq!((media.width, media.height, media.duration), (Some(3), Some(5), None));
}
