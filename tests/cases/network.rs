//! The client in real network conditions: encodings, keep-alive, tokens, timeouts, proxies.
//!
//! On a server: in the soak

use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use crate::support::service::{self, Service, accept, json};
use crate::support::{Project, Ran, side_by_side};

const SEND: &str = r#"im.group_send { to = "184524748161025", type = "txt", body = { msg = "Hello" } }"#;

/// Returns the bytes after the head of an answer.
fn body_of(answer: &[u8]) -> Vec<u8> {
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n").unwrap();
    answer[end + 4..].to_vec()
}

/// Returns an answer with more header lines.
fn with(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Sends through a service whose accepting answers are changed by `change`.
#[track_caller]
fn sent_when_answered(change: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static) {
    let service = Service::answering(move |count, request| change(body_of(&accept(count, request))));
    let ran = Project::with_script(SEND).run_against(&service).exits(0);
    assert_eq!(service.messages().len(), 1, "{ran:?}");
}

#[test]
fn gzip_an_answer_in_gzip_is_read() {
    sent_when_answered(|body| with("Content-Encoding: gzip\r\n", &gzip(&body)));
}

#[test]
fn gzip_an_answer_in_deflate_is_read_with_and_without_its_zlib_header() {
    sent_when_answered(|body| with("Content-Encoding: deflate\r\n", &zlib(&body)));
    sent_when_answered(|body| with("Content-Encoding: deflate\r\n", &deflate(&body)));
}

#[test]
fn gzip_other_names_and_codings_one_over_the_other_are_read() {
    sent_when_answered(|body| with("Content-Encoding: X-GZIP\r\n", &gzip(&body)));
    sent_when_answered(|body| with("Content-Encoding: deflate, gzip\r\n", &gzip(&zlib(&body))));
    sent_when_answered(|body| with("", &gzip(&body)));
}

#[test]
fn gzip_a_byte_order_mark_before_the_json_is_passed_over() {
    sent_when_answered(|body| with("", &[b"\xef\xbb\xbf", body.as_slice()].concat()));
}

#[test]
fn gzip_the_answers_of_token_upload_and_list_are_read_as_well() {
    let service = Service::answering(|count, request| {
        let body = if request.path.ends_with("/token") {
            br#"{"access_token":"t","expires_in":3600}"#.to_vec()
        } else if request.path.ends_with("/chatfiles") {
            br#"{"uri":"http://files.test/f","entities":[{"uuid":"u-1","type":"chatfile"}]}"#.to_vec()
        } else if request.path.contains("/users") {
            br#"{"data":[{"owner":"ann"}]}"#.to_vec()
        } else if request.method == "GET" {
            br#"{"data":[{"groupid":"184524748161025"}]}"#.to_vec()
        } else {
            body_of(&accept(count, request))
        };
        let marked = [b"\xef\xbb\xbf", body.as_slice()].concat();
        if count % 2 == 0 { with("Content-Encoding: gzip\r\n", &gzip(&marked)) } else { with("", &marked) }
    });
    let script = r#"
        for _ in im.groups() do print("group") end
        for user in im.members("184524748161025") do print("member " .. user) end
        print("file " .. im.upload("a.txt").uuid)
    "#;
    let project = Project::with_script(format!("{script}\n{SEND}")).file("a.txt", "text");
    let mut command = logged_in(&project, &service);
    Ran::of(&command.output().unwrap()).exits(0).prints("group").prints("member ann").prints("file u-1");
    assert_eq!(service.messages().len(), 1);
}

#[test]
fn gzip_a_script_gets_the_answers_of_other_services_decompressed() {
    let service = Service::answering(|_, _| with("Content-Encoding: gzip\r\n", &gzip(b"plain text")));
    let script = format!(
        r#"local answer = require("http").get("{}/x")
        print(answer.body, answer.headers["content-encoding"])"#,
        service.url()
    );
    let project = Project::with_script(script);
    project
        .mooncast(&["run", "--simulator", "--allow-net=127.0.0.1", "scripts/main.lua"])
        .exits(0)
        .prints("plain text\tnil");
}

#[test]
fn every_call_asks_for_json() {
    let service = Service::answering(|count, request| match request.path.as_str() {
        path if path.ends_with("/token") => json(200, r#"{"access_token":"t","expires_in":3600}"#),
        path if path.ends_with("/chatfiles") => {
            json(200, r#"{"uri":"http://files.test/f","entities":[{"uuid":"u-1"}]}"#)
        }
        _ if request.method == "GET" => json(200, r#"{"data":[]}"#),
        _ => accept(count, request),
    });
    let project = Project::with_script(format!(
        "for _ in im.groups() do end\nfor _ in im.members('184524748161025') do end\nim.upload('a.txt')\n{SEND}"
    ))
    .file("a.txt", "text");
    Ran::of(&logged_in(&project, &service).output().unwrap()).exits(0);
    let requests = service.requests();
    assert_eq!(requests.len(), 5);
    for request in requests {
        assert_eq!(request.header("accept"), Some("application/json"), "{} {}", request.method, request.path);
    }
}

/// Runs `scripts/main.lua` with a client id and secret in place of a fixed token.
pub(super) fn logged_in(project: &Project, service: &Service) -> Command {
    let mut command = project.command_against(service, &["run", "scripts/main.lua"]);
    command
        .env_remove("MOONCAST_TOKEN")
        .env("MOONCAST_CLIENT_ID", "id")
        .env("MOONCAST_CLIENT_SECRET", "secret");
    command
}

/// A server that announces a keep-alive time and reads nothing from a connection that was idle for nearly that time,
/// since it is about to close it. `announced` is its header line.
struct Closing {
    url: String,
    lost: Arc<AtomicUsize>,
    taken: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Closing {
    fn after(life: Duration, announced: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let closing = Self { url, lost: Arc::default(), taken: Arc::default(), connections: Arc::default() };
        let (lost, taken) = (Arc::clone(&closing.lost), Arc::clone(&closing.taken));
        let connections = Arc::clone(&closing.connections);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                connections.fetch_add(1, Ordering::Relaxed);
                let (lost, taken, announced) = (Arc::clone(&lost), Arc::clone(&taken), announced.clone());
                std::thread::spawn(move || serve(stream, life, &announced, &lost, &taken));
            }
        });
        closing
    }
}

fn serve(stream: TcpStream, life: Duration, announced: &str, lost: &AtomicUsize, taken: &AtomicUsize) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    let mut rested_from = None::<Instant>;
    while let Some(request) = service::read(&mut reader) {
        if rested_from.is_some_and(|from| from.elapsed() >= life.mul_f64(0.9)) {
            lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let count = taken.fetch_add(1, Ordering::Relaxed);
        let answer = with(announced, &body_of(&accept(count, &request)));
        if writer.write_all(&answer).is_err() {
            return;
        }
        rested_from = Some(Instant::now());
    }
}

/// Sends `count` messages, one per second. Returns how many of them no server read.
fn at_one_a_second(life: u64, count: u32) {
    let server = Closing::after(Duration::from_secs(life), format!("Keep-Alive: timeout={life}\r\n"));
    let project = Project::with_script(format!(
        "local task = require 'task'\nfor i = 1, {count} do if i > 1 then task.sleep('1s') end\n{SEND}\nend"
    ));
    let mut command = project.command(&["run", "scripts/main.lua"]);
    command.env("MOONCAST_BASE_URL", &server.url).env("MOONCAST_ORG", "org").env("MOONCAST_APP", "app");
    let ran = Ran::of(&command.env("MOONCAST_TOKEN", "token").output().unwrap()).exits(0);
    let read = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    eprintln!(
        "keep-alive: life {life} s: {} taken, {} lost, {} connections",
        read(&server.taken),
        read(&server.lost),
        read(&server.connections)
    );
    assert_eq!((read(&server.taken), read(&server.lost)), (count as usize, 0), "{ran:?}");
}

#[test]
fn keep_alive_no_send_meets_the_end_of_an_announced_life() {
    let count = if std::env::var_os("MOONCAST_SOAK").is_some() { 1200 } else { 4 };
    side_by_side([1, 2, 5, 60], |life| at_one_a_second(life, count));
}

#[test]
fn keep_alive_a_script_s_own_requests_keep_to_it_too() {
    let server = Closing::after(Duration::from_secs(1), "Keep-Alive: timeout=1, max=100\r\n".to_owned());
    let project = Project::with_script(format!(
        r#"local task, http = require "task", require "http"
        for i = 1, 3 do
          if i > 1 then task.sleep("1s") end
          http.post("{}/x", "{{}}")
        end"#,
        server.url
    ));
    // In real time, since a simulated second passes at once.
    let service = Service::accepting();
    let mut command =
        project.command_against(&service, &["run", "--allow-net=127.0.0.1", "scripts/main.lua"]);
    Ran::of(&command.output().unwrap()).exits(0);
    assert_eq!(server.lost.load(Ordering::Relaxed), 0);
}

#[test]
fn keep_alive_a_server_that_closes_unannounced_costs_one_doubt_at_most() {
    let server = Closing::after(Duration::from_secs(1), String::new());
    let send = format!("if not pcall(function() {SEND} end) then doubts = doubts + 1 end");
    let project = Project::with_script(format!(
        "local task, doubts = require 'task', 0\nfor i = 1, 4 do if i > 1 then task.sleep('1s') end\n{send}\nend\nprint('doubts ' .. doubts)"
    ));
    let mut command = project.command(&["run", "scripts/main.lua"]);
    command.env("MOONCAST_BASE_URL", &server.url).env("MOONCAST_ORG", "org").env("MOONCAST_APP", "app");
    let ran = Ran::of(&command.env("MOONCAST_TOKEN", "token").output().unwrap());
    assert!(ran.stdout.contains("doubts 1\n") || ran.stdout.contains("doubts 0\n"), "{ran:?}");
}

/// A service that accepts client id and secret, and answers the sends with these numbers (from 0) with 401.
fn stray(numbers: &'static [usize]) -> (Service, Arc<AtomicUsize>) {
    let (sends, tokens) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let fetched = Arc::clone(&tokens);
    let service = Service::answering(move |count, request| {
        if request.path.ends_with("/token") {
            let number = fetched.fetch_add(1, Ordering::Relaxed);
            return json(200, &format!(r#"{{"access_token":"t{number}","expires_in":3600}}"#));
        }
        if numbers.contains(&sends.fetch_add(1, Ordering::Relaxed)) {
            return json(401, r#"{"error":"unauthorized"}"#);
        }
        accept(count, request)
    });
    (service, tokens)
}

const CAMPAIGN: &str = r#"im.broadcast {
    name = "news", to = "groups.csv",
    message = function(row) return { type = "txt", body = { msg = "Hello " .. row.name } } end,
}"#;

pub(super) fn forty() -> String {
    let rows: Vec<String> = (0..40).map(|i| format!("{},N{i}", 184_524_748_161_025_u64 + i)).collect();
    format!("group_id,name\n{}\n", rows.join("\n"))
}

#[test]
fn second_401_two_stray_ones_in_a_campaign_of_40_do_not_pause_it() {
    let (service, tokens) = stray(&[8, 20]);
    let project = Project::with_script(CAMPAIGN).file("groups.csv", forty());
    Ran::of(&logged_in(&project, &service).output().unwrap()).exits(0);
    assert_eq!(service.messages().len(), 42);
    assert_eq!(tokens.load(Ordering::Relaxed), 3);
}

#[test]
fn second_401_a_token_that_served_in_one_run_is_renewed_in_the_next() {
    let (service, _) = stray(&[0, 2]);
    let project = Project::with_script(SEND);
    for _ in 0..2 {
        Ran::of(&logged_in(&project, &service).output().unwrap()).exits(0);
    }
    assert_eq!(service.messages().len(), 4);
}

#[test]
fn second_401_a_token_that_never_served_is_given_up() {
    let service = Service::answering(|_, request| {
        if request.path.ends_with("/token") {
            return json(200, r#"{"access_token":"t","expires_in":3600}"#);
        }
        json(401, r#"{"error":"unauthorized"}"#)
    });
    let project = Project::with_script(SEND);
    let ran = Ran::of(&logged_in(&project, &service).output().unwrap());
    assert_eq!(ran.status, Some(1));
    assert_eq!(service.messages().len(), 2);
}

/// A server that accepts connections and never answers.
fn hanging() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let kept: Mutex<Vec<TcpStream>> = Mutex::default();
        for stream in listener.incoming().map_while(Result::ok) {
            kept.lock().unwrap().push(stream);
        }
    });
    url
}

fn send_with_timeout(url: &str) -> Ran {
    let source = SEND.replace("im.group_send {", "im.group_send({") + r#", { timeout = "10s" })"#;
    let project = Project::with_script(source);
    let mut command = project.command(&["run", "scripts/main.lua"]);
    command.env("MOONCAST_BASE_URL", url).env("MOONCAST_ORG", "org").env("MOONCAST_APP", "app");
    Ran::of(&command.env("MOONCAST_TOKEN", "token").output().unwrap())
}

#[test]
fn timeout_covers_a_service_that_hangs() {
    send_with_timeout(&hanging()).says("in doubt").says("no answer within 10.0s");
}

#[test]
fn timeout_covers_the_wait_for_a_token() {
    let source = SEND.replace("im.group_send {", "im.group_send({") + r#", { timeout = "10s" })"#;
    let project = Project::with_script(source);
    let mut command = project.command(&["run", "scripts/main.lua"]);
    command.env("MOONCAST_BASE_URL", hanging()).env("MOONCAST_ORG", "org").env("MOONCAST_APP", "app");
    command.env("MOONCAST_CLIENT_ID", "id").env("MOONCAST_CLIENT_SECRET", "secret");
    let ran = Ran::of(&command.output().unwrap());
    ran.says("/token").says("nothing was sent").says("within 10.0s");
}

#[test]
fn timeout_after_refusals_for_the_quota_names_them() {
    let service = Service::answering(|_, _| json(429, r#"{"error":"reach_limit"}"#));
    let source = SEND.replace("im.group_send {", "im.group_send({") + r#", { timeout = "10s" })"#;
    Project::with_script(source).run_against(&service).exits(1).says("429").never_says("give it longer");
}

#[test]
fn timeout_an_unknown_host_is_named() {
    let ran = send_with_timeout("http://no-such-host.invalid");
    ran.says("no-such-host.invalid").says("dns error").never_says("give it longer");
}

#[test]
fn timeout_a_service_that_refuses_connections_is_named() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ran = send_with_timeout(&format!("http://{closed}"));
    ran.says("refused").says(&closed.to_string()).never_says("give it longer");
}

#[test]
fn small_a_redirect_names_where_it_leads_without_secrets() {
    for (location, shown) in [
        (
            "https://user:canary@login.example.com/org/app?ticket=canary#canary",
            "https://login.example.com/org/app",
        ),
        ("/portal?ticket=canary", "/portal"),
    ] {
        let service = Service::answering(move |_, _| {
            format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n").into_bytes()
        });
        Project::with_script(SEND).run_against(&service).exits(1).says(shown).never_says("canary");
    }
}

#[test]
fn small_a_mark_and_line_ends_in_a_secret_file_are_no_part_of_the_secret() {
    let wide: Vec<u8> = "\u{feff}the-token\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for content in [b"\xef\xbb\xbfthe-token\n".to_vec(), b"\xef\xbb\xbfthe-token\r\n".to_vec(), wide] {
        let service = Service::accepting();
        let project = Project::with_script(SEND).file("token.txt", content);
        let mut command = project.command_against(&service, &["run", "scripts/main.lua"]);
        command.env_remove("MOONCAST_TOKEN").env("MOONCAST_TOKEN_FILE", project.path("token.txt"));
        Ran::of(&command.output().unwrap()).exits(0);
        assert_eq!(service.requests()[0].header("authorization"), Some("Bearer the-token"));
    }
}

/// Sends to a host name that only a proxy can resolve, with these variables.
fn by_proxy(variables: &[(&str, &str)]) -> Ran {
    let project = Project::with_script(SEND);
    let mut command = project.command(&["run", "scripts/main.lua"]);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_ascii_lowercase());
    }
    command
        .env("MOONCAST_BASE_URL", "http://name.invalid")
        .env("MOONCAST_ORG", "org")
        .env("MOONCAST_APP", "app");
    Ran::of(&command.env("MOONCAST_TOKEN", "token").envs(variables.iter().copied()).output().unwrap())
}

#[test]
fn small_an_empty_proxy_variable_hides_nothing() {
    let proxy = Service::accepting();
    by_proxy(&[("HTTP_PROXY", ""), ("http_proxy", &proxy.url())]).exits(0);
    by_proxy(&[("HTTP_PROXY", ""), ("ALL_PROXY", ""), ("all_proxy", &proxy.url())]).exits(0);
    assert_eq!(proxy.messages().len(), 2);
}

#[test]
fn small_a_variable_that_names_no_proxy_is_named_without_its_value() {
    by_proxy(&[("http_proxy", "ftp://user:canary@proxy.example.com")])
        .says("http_proxy")
        .never_says("canary");
}

/// A SOCKS 5 proxy (RFC 1928) without authentication that connects every request to `service`. It records the
/// requested host names.
fn socks(service: &Service) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let target = service.url().trim_start_matches("http://").to_owned();
    let names: Arc<Mutex<Vec<String>>> = Arc::default();
    let asked = Arc::clone(&names);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let (target, asked) = (target.clone(), Arc::clone(&asked));
            std::thread::spawn(move || {
                let mut head = [0; 2];
                stream.read_exact(&mut head).unwrap();
                let mut methods = vec![0; head[1].into()];
                stream.read_exact(&mut methods).unwrap();
                stream.write_all(&[5, 0]).unwrap();
                let mut request = [0; 5];
                stream.read_exact(&mut request).unwrap();
                assert_eq!(request[..4], [5, 1, 0, 3], "a connection to a name");
                let mut name = vec![0; usize::from(request[4]) + 2];
                stream.read_exact(&mut name).unwrap();
                name.truncate(name.len() - 2);
                asked.lock().unwrap().push(String::from_utf8(name).unwrap());
                stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
                let server = TcpStream::connect(target).unwrap();
                let (mut to_server, mut to_client) =
                    (server.try_clone().unwrap(), stream.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut stream, &mut to_server));
                let mut server = server;
                match std::io::copy(&mut server, &mut to_client) {
                    Err(error) if error.kind() == ErrorKind::Unsupported => panic!("{error}"),
                    _ => {}
                }
            });
        }
    });
    (address, names)
}

#[test]
fn small_socks5_is_a_proxy() {
    let service = Service::accepting();
    let (address, names) = socks(&service);
    by_proxy(&[("ALL_PROXY", &format!("socks5h://{address}"))]).exits(0);
    by_proxy(&[("all_proxy", &format!("socks5h://{address}")), ("ALL_PROXY", "")]).exits(0);
    assert_eq!(*names.lock().unwrap(), ["name.invalid", "name.invalid"]);
    assert_eq!(service.messages().len(), 2);
}
