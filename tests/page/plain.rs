//! The page without a script, and for programs that imitate browsers: forms, roles, limits, bytes.
//!
//! Store: file

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use super::{NEWS, Site};
use crate::support::{Project, until};

/// An answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    #[track_caller]
    fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:#?}");
        self
    }

    #[track_caller]
    fn says(self, text: &str) -> Self {
        assert!(self.body.contains(text), "no {text:?} in {self:#?}");
        self
    }
}

/// A browser without scripts, which keeps a cookie.
struct Plain<'a> {
    site: &'a Site,
    cookie: String,
}

impl<'a> Plain<'a> {
    fn of(site: &'a Site) -> Self {
        Self { site, cookie: String::new() }
    }

    fn logged_in(site: &'a Site, token: &str) -> Self {
        let mut plain = Self::of(site);
        let answer = plain.post("/login", &format!("token={token}")).is(303);
        answer.header("set-cookie").unwrap().split(';').next().unwrap().clone_into(&mut plain.cookie);
        plain
    }

    fn get(&self, place: &str) -> Answer {
        self.ask("GET", place, "", "")
    }

    fn post(&self, place: &str, form: &str) -> Answer {
        let origin = format!("origin: http://{}\r\n", self.site.address);
        self.ask("POST", place, &origin, form)
    }

    fn ask(&self, method: &str, place: &str, headers: &str, body: &str) -> Answer {
        let mut stream = self.begin(method, place, headers, body);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    fn begin(&self, method: &str, place: &str, headers: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.site.address).unwrap();
        let mut head = format!("{method} {place} HTTP/1.0\r\nhost: {}\r\n{headers}", self.site.address);
        let _ = write!(head, "cookie: {}\r\ncontent-length: {}\r\n", self.cookie, body.len());
        head += "content-type: application/x-www-form-urlencoded\r\naccept: text/html\r\n\r\n";
        stream.write_all((head + body).as_bytes()).unwrap();
        stream
    }
}

#[test]
fn forms_alone_log_in_ask_act_and_tell() {
    let project = Project::with_script(NEWS);
    let site = Site::simulated(&project);
    let stranger = Plain::of(&site);
    let led = stranger.get("/job?name=news").is(303);
    assert_eq!(led.header("location"), Some("/login?next=/job%3Fname%3Dnews"));
    stranger.get("/login?next=/job%3Fname%3Dnews").is(200).says("value=\"&#x2f;job?name=news\"");
    stranger.post("/login", "token=mooncast_operate_x").is(401).says("This token is not valid");
    let led = stranger.post("/login", &format!("token={}&next=//evil.test/", site.operate)).is(303);
    assert_eq!(led.header("location"), Some("/"));
    let cookie = led.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");

    let mut operator = Plain::logged_in(&site, &site.operate);
    operator.get("/job?name=news").is(200).says("Run now").says("/job/trigger?name=news");
    operator.get("/job/trigger?name=news").is(200).says("Run news now?").says("<form method=\"post\"");
    let done = operator.post("/job/trigger?name=news", "").is(303);
    assert_eq!(done.header("location"), Some("/job?name=news"));
    let notice = done.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let session = operator.cookie.clone();
    operator.cookie = format!("{session}; {notice}");
    let told = operator.get("/job?name=news").is(200).says("news is requested: run ");
    assert!(told.head.contains("mooncast_notice=;"), "{told:#?}");
    operator.cookie = session;
    operator.post("/job/trigger?name=nothing", "").is(404).says("there is no job `nothing`");
    operator.get("/broadcasts/7").is(404).says("The action was refused");
    operator.get("/nowhere").is(404).says("there is nothing at this address");
    operator.get("/broadcasts/1?state=odd").is(404).says("no state `odd`");
    // Another site's page cannot act through this browser, and a request without an origin is refused.
    operator.ask("POST", "/job/pause?name=news", "origin: http://evil.test\r\n", "").is(403);
    operator.ask("POST", "/job/pause?name=news", "", "").is(403);
    assert_eq!(operator.post("/logout", "").is(303).header("location"), Some("/login"));
}

#[test]
fn who_may_only_look_sees_everything_and_nothing_to_press() {
    let project = Project::with_script(NEWS);
    let site = Site::simulated(&project);
    project.mooncast(&["jobs", "trigger", "slow"]).exits(0);
    let (reader, operator) = (Plain::logged_in(&site, &site.read), Plain::logged_in(&site, &site.operate));
    until("it is sent", || operator.get("/").is(200).body.contains("/broadcasts/1/cancel"));
    for place in ["/", "/broadcasts/1", "/job?name=slow"] {
        let page = reader.get(place).is(200).says("slow").says("Read-only session");
        for act in ["/cancel", "/pause", "/trigger", "<dialog"] {
            assert!(!page.body.contains(act), "{place} offers {act}");
        }
    }
    for act in ["/broadcasts/1/cancel", "/job/cancel?name=slow"] {
        reader.get(act).is(403).says("this needs the role operator");
        reader.post(act, "").is(403).says("this needs the role operator");
    }
    // Its plan may still be growing.
    let export = "/api/v1/broadcasts/1/export?format=csv";
    until("the last is planned", || operator.get(export).is(200).body.contains("184524748161500"));
    for format in ["csv", "jsonl"] {
        let export = format!("/api/v1/broadcasts/1/export?format={format}");
        reader.get("/broadcasts/1").says(&export);
        reader.get(&export).is(200).says("184524748161500");
    }
}

#[test]
fn the_first_screen_is_small_with_fifty_jobs_and_a_page_of_many_recipients_is_quick() {
    let project = Project::with_script(
        "local schedule = require('schedule')
        for i = 1, 49 do
          schedule.cron('0 9 * * 1-5', { name = 'a-job-with-a-name-of-usual-length-' .. i, tz = 'Asia/Shanghai' }, function() end)
        end
        schedule.every('10000h', { name = 'large' }, function()
          local i = 0
          im.broadcast { name = 'large', run = '1', rate = 1, message = { type = 'txt', body = { msg = 'x' } }, to = function()
            i = i + 1
            return i <= 100000 and 184524748161000 + i or nil
          end }
        end)",
    );
    let site = Site::simulated(&project);
    project.mooncast(&["jobs", "trigger", "large"]).exits(0);
    let operator = Plain::logged_in(&site, &site.operate);
    until("all are planned", || operator.get("/").is(200).body.contains("100,"));
    let first = operator.get("/").is(200);
    assert!(first.body.matches("/job/trigger").count() >= 50);
    assert!(first.body.len() < 100_000, "{} bytes", first.body.len());
    let began = Instant::now();
    operator
        .get("/broadcasts/1?state=pending&after=99900")
        .is(200)
        .says("184524748261000")
        .says("First page");
    operator.get("/broadcasts/1?state=rejected").is(200).says("No recipients are in this state");
    eprintln!(
        "first screen {} bytes; two pages of 100,000 recipients {:?}",
        first.body.len(),
        began.elapsed()
    );
}

#[test]
fn thirty_two_browsers_are_told_of_changes_and_one_more_is_when_another_leaves() {
    let project = Project::with_script(NEWS);
    let site = Site::simulated(&project);
    let reader = Plain::logged_in(&site, &site.read);
    let stream = || {
        let mut stream = reader.begin("GET", "/events", "", "");
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        (String::from_utf8_lossy(&head).into_owned(), stream)
    };
    let mut streams: Vec<TcpStream> = Vec::new();
    for _ in 0..32 {
        let (head, stream) = stream();
        assert!(head.ends_with("200"), "{head}");
        streams.push(stream);
    }
    assert!(stream().0.ends_with("503"));
    // A stream begins with every part of the page.
    let mut first = streams.swap_remove(0);
    let mut said = String::new();
    let mut chunk = [0; 4096];
    while !said.contains("\n\n") || !said.contains("data:") {
        let read = first.read(&mut chunk).unwrap();
        said += &String::from_utf8_lossy(&chunk[..read]);
    }
    for part in ["running", "chart", "quotas", "jobs", "scripts", "finished", "tail", "banner"] {
        assert!(said.contains(&format!("\"{part}\":")), "{part}: {said}");
    }
    drop(first);
    until("there is room again", || stream().0.ends_with("200"));
    Plain::of(&site).get("/events").is(303);
}
