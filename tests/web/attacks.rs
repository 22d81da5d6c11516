//! Requests that try to crash the daemon, make it grow, or reveal secrets.
//!
//! Store: file

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Answer, GUARD, Serving, Site, raw, request, rest};
use crate::support::Project;

/// The most that memory may grow during an attack, in kilobytes: less than any of these attacks would use.
const FLAT: u64 = 24 * 1024;

/// The longest time of an answer that waits for no other request.
const AT_ONCE: Duration = Duration::from_secs(5);

fn open(site: &Site, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(&site.address).unwrap();
    stream.set_read_timeout(Some(GUARD)).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

fn is_answered_at_once(site: &Site) {
    let began = Instant::now();
    assert_eq!(site.ask("GET /session").status, 200);
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
}

#[test]
fn no_path_leads_out_of_it() {
    let hidden = "what-nobody-is-to-read-4711";
    let project = Project::with_script(format!("-- {hidden}"));
    let site =
        Site::of(project.file("secret.txt", hidden).file("mooncast.toml", "# what-nobody-is-to-read-4711\n"));
    let bearer = format!("authorization: Bearer {}\r\n", site.operate);
    for path in [
        "/../secret.txt",
        "/..%2fsecret.txt",
        "/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/%2e%2e/secret.txt",
        "/.%2e%5csecret.txt",
        "/static/../secret.txt",
        "/static/..%2f..%2fsecret.txt",
        "/static/%2e%2e/%2e%2e/mooncast.toml",
        "/static/....//secret.txt",
        "/static//etc/passwd",
        "/static/%00secret.txt",
        "/api/v1/../../secret.txt",
        "/api/v1/broadcasts/..%2f..%2foverview",
        "/api/v1/%2e%2e/%2e%2e/secret.txt",
        "/hooks/..%2fapi%2fv1%2foverview",
        "/hooks/../api/v1/overview",
        "//api/v1/overview",
        "/scripts/main.lua",
        "/.mooncast/simulator/ledger.db",
        "*",
    ] {
        for method in ["GET", "POST", "OPTIONS"] {
            let (address, bearer) = (&site.address, &bearer);
            let head = format!(
                "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: 0\r\n{bearer}\r\n"
            );
            let answer = raw(address, head.as_bytes());
            assert!([400, 401, 404, 405].contains(&answer.status), "{method} {path}: {answer:?}");
            assert!(!answer.body.contains(hidden) && !answer.body.contains("root:"), "{path}: {answer:?}");
            assert!(!answer.body.contains("\"project\""), "{path}: {answer:?}");
        }
    }
    site.serving.stop().exits(0);
}

#[test]
fn a_body_without_end_is_refused_early_and_takes_no_memory() {
    let site = Site::start("");
    let bearer = format!("Bearer {}", site.operate);
    is_answered_at_once(&site);
    let before = site.memory();
    let large = 100 * 1024 * 1024;
    let part = vec![b'a'; 1024 * 1024];
    for (path, lines) in [
        ("/api/v1/scripts/run", format!("authorization: {bearer}\r\ncontent-length: {large}\r\n")),
        ("/api/v1/scripts/run", format!("content-length: {large}\r\n")),
        ("/api/v1/scripts/run", "transfer-encoding: chunked\r\n".to_owned()),
        ("/api/v1/broadcasts/1/pause", format!("authorization: {bearer}\r\ntransfer-encoding: chunked\r\n")),
        ("/nothing", format!("content-length: {large}\r\n")),
        ("/hooks/any", format!("content-length: {large}\r\n")),
    ] {
        let chunked = lines.contains("chunked");
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n{lines}\r\n",
            site.address
        );
        let mut stream = open(&site, head.as_bytes());
        let mut written = 0;
        while written < large {
            let lead = if chunked { format!("{:x}\r\n", part.len()) } else { String::new() };
            let tail: &[u8] = if chunked { b"\r\n" } else { b"" };
            let whole = [lead.as_bytes(), &part, tail].concat();
            if stream.write_all(&whole).is_err() {
                break;
            }
            written += part.len();
        }
        assert!(written < large, "{path}: all of it was read");
        Answer::of(&rest(&mut stream)).refused(413);
    }
    // A client that sends `Expect` first gets the answer before it sends anything.
    let head = format!(
        "POST /api/v1/scripts/run HTTP/1.1\r\nhost: {}\r\nexpect: 100-continue\r\ncontent-length: {large}\r\n\r\n",
        site.address
    );
    Answer::of(&rest(&mut open(&site, head.as_bytes()))).refused(413);
    // A request just within the limits is read.
    let args = vec!["x".repeat(60_000)];
    site.post("/scripts/run", &json!({ "script": "none", "args": args })).refused(404);
    let args = vec!["x".repeat(66_000)];
    site.post("/scripts/run", &json!({ "script": "none", "args": args })).refused(413);
    let long = "x".repeat(100_000);
    let answer = request(&site.address, &format!("GET /api/v1/jobs/{long}"), &[], b"");
    assert!([414, 431].contains(&answer.status), "{answer:?}");
    let after = site.memory();
    assert!(after < before + FLAT, "{before} kB before, {after} kB after");
    is_answered_at_once(&site);
    site.serving.stop().exits(0);
}

#[test]
fn a_thousand_connections_that_do_nothing_keep_nobody_out() {
    let (_, most) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, most, most).unwrap();
    let site = Site::start("");
    is_answered_at_once(&site);
    let before = site.memory();
    let kept =
        open(&site, format!("GET /api/v1/session HTTP/1.1\r\nhost: {}\r\n\r\n", site.address).as_bytes());
    let idle: Vec<TcpStream> = (0..1000).map(|_| TcpStream::connect(&site.address).unwrap()).collect();
    is_answered_at_once(&site);
    // The same with heads that are never completed.
    let slow: Vec<TcpStream> =
        (0..300).map(|_| open(&site, b"GET /api/v1/session HTTP/1.1\r\nhost: x\r\nx-slow: ")).collect();
    is_answered_at_once(&site);
    let after = site.memory();
    assert!(after < before + FLAT, "{before} kB before, {after} kB after");
    let files = std::fs::read_dir(format!("/proc/{}/fd", site.serving.child().id())).unwrap().count();
    assert!(files < 400, "{files} files are open");
    drop((kept, idle));
    // Slow clients are disconnected after a while, and so are those whose body never comes.
    let head =
        format!("POST /api/v1/scripts/run HTTP/1.1\r\nhost: {}\r\ncontent-length: 9\r\n\r\n", site.address);
    let mut body = open(&site, head.as_bytes());
    let told = Answer::of(&rest(&mut body)).refused(408);
    assert!(told.contains("took more than 10 s"), "{told}");
    for mut stream in slow {
        let last = rest(&mut stream);
        assert!(last.is_empty() || last.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&last));
    }
    is_answered_at_once(&site);
    site.serving.stop().exits(0);
}

/// Opens a stream of events and reads its head.
fn follow(site: &Site) -> (u16, BufReader<TcpStream>) {
    let (address, token) = (&site.address, &site.operate);
    let head =
        format!("GET /api/v1/events HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\r\n");
    let mut reader = BufReader::new(open(site, head.as_bytes()));
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    (line.split(' ').nth(1).unwrap().parse().unwrap(), reader)
}

/// Waits for the next event. Returns its number and its content.
fn event(reader: &mut BufReader<TcpStream>) -> (u64, serde_json::Value) {
    let mut number = 0;
    loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).unwrap() > 0, "the events end");
        if let Some(id) = line.strip_prefix("id: ") {
            number = id.trim().parse().unwrap();
        }
        if let Some(data) = line.strip_prefix("data: ") {
            return (number, serde_json::from_str(data).unwrap());
        }
    }
}

#[test]
fn who_reads_events_slowly_costs_nothing_and_holds_up_nobody() {
    // A larger overview.
    let site = Site::start(
        "local schedule = require('schedule')
        for n = 1, 300 do schedule.every('24h', { name = 'job ' .. n }, function() end) end",
    );
    let (status, mut reads) = follow(&site);
    assert_eq!(status, 200);
    let (first, overview) = event(&mut reads);
    assert_eq!((first, overview["jobs"].as_array().unwrap().len()), (1, 300));
    // They never read anything that follows.
    let slow: Vec<_> = (0..31).map(|_| follow(&site)).collect();
    assert!(slow.iter().all(|(status, _)| *status == 200));
    let (full, mut refused) = follow(&site);
    assert_eq!(full, 503, "at most 32");
    let mut said = String::new();
    while !said.contains("\"error\"") {
        assert!(refused.read_line(&mut said).unwrap() > 0, "{said}");
        if said.contains("content-length") && said.ends_with("\r\n\r\n") {
            break;
        }
    }
    event(&mut reads);
    let before = site.memory();
    for expected in 3..13 {
        assert_eq!(event(&mut reads).0, expected, "each second one, and none left out");
    }
    let after = site.memory();
    assert!(after < before + FLAT / 2, "{before} kB before, {after} kB after");
    is_answered_at_once(&site);
    // A closed stream frees a slot.
    drop(slow);
    for attempt in 0.. {
        if follow(&site).0 == 200 {
            break;
        }
        assert!(attempt < 20, "no connection became free");
        event(&mut reads);
    }
    site.serving.stop().exits(0);
}

#[test]
fn connections_that_do_nothing_leave_files_for_runs() {
    let job =
        "require('schedule').every('1s', { name = 'steady', missed = 'skip' }, function() print('ran') end)";
    let project = Project::new().file("scripts/steady.lua", job);
    project.simulate("");
    let command = project.command(&["serve", "--listen", "127.0.0.1:0"]);
    let (serving, address) =
        super::listening(crate::support::wrapped(&["prlimit", "--nofile=128"], &command));
    let idle: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(&address).unwrap()).collect();
    let answer = raw(&address, b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    assert_eq!(answer.status, 200);
    let before = serving.printed().len();
    serving.prints("ran", before + 3);
    let failed = serving.logged().into_iter().find(|line| line.contains("ERROR"));
    assert_eq!(failed, None);
    drop(idle);
    serving.stop().exits(0);
}

#[test]
fn what_a_script_prints_is_never_taken_for_a_line_of_the_log() {
    let job = "require('schedule').every('1s', { name = 'forges', missed = 'skip' }, function()
        print('said\\n2026-11-29T12:00:00Z ERROR forged\\27[2J\\r\\u{202e}end')
    end)";
    let project = Project::new().file("scripts/forges.lua", job);
    project.simulate("");
    let serving = Serving::start(project.command(&["serve", "--listen", "nowhere"]));
    serving.prints("    2026-11-29T12:00:00Z ERROR forged\\u{1b}[2J\\u{d}\\u{202e}end", 1);
    serving.stop().exits(0);
}
