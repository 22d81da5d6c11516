//! The daemon's metrics, parsed as Prometheus parses them; its health; and the counts that processes report.
//!
//! On a server: in the soak

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mooncast::{Clock, Ledger, LedgerLocation};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::daemon::Serving;
use crate::support::service::{Service, accept, json};
use crate::support::store::{self, Refusal};
use crate::support::{Project, Ran, until, wrapped};

/// A job that sends a test's messages on request.
const NEWS: &str = "local schedule = require('schedule')
schedule.every('10000h', { name = 'news' }, function(c)
  local text = { type = 'txt', body = { msg = 'x' } }
  im.broadcast { name = 'news', to = { 6, 7, 8 }, message = text }
  pcall(im.group_send, { to = { 1, 2 }, type = 'txt', body = { msg = 'x' } })
end)\n";

/// Returns the address that a daemon listens at.
fn address(serving: &Serving) -> String {
    let logged = serving.logged();
    let line = logged.iter().find(|line| line.contains("listening: ")).unwrap();
    line.split("address=").nth(1).unwrap().split(' ').next().unwrap().to_owned()
}

/// Returns the status and the body of an answer.
fn ask(address: &str, path: &str, host: &str, token: Option<&str>) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let token = token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{token}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let body = if head.to_lowercase().contains("transfer-encoding") {
        panic!("an answer of known length is expected: {head}")
    } else {
        body.to_owned()
    };
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
}

/// Returns a new read token.
fn token(project: &Project, args: &[&str]) -> String {
    let shown = project.mooncast(&[&["tokens"], args, &["renew", "read"]].concat()).exits(0).stdout;
    shown.split_whitespace().find(|word| word.starts_with("mooncast_read_")).unwrap().to_owned()
}

/// The metrics of a page.
#[derive(Debug)]
struct Page {
    /// Name to type.
    families: BTreeMap<String, String>,
    /// Name with labels to value.
    samples: BTreeMap<String, f64>,
}

impl Page {
    fn of(address: &str, token: &str) -> Self {
        let (status, text) = ask(address, "/metrics", address, Some(token));
        assert_eq!(status, 200, "{text}");
        Self::parse(&text)
    }

    /// Parses a page and fails on anything that Prometheus would reject.
    #[track_caller]
    fn parse(text: &str) -> Self {
        let mut page = Self { families: BTreeMap::new(), samples: BTreeMap::new() };
        let mut helped = BTreeSet::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, what) = help.split_once(' ').unwrap();
                assert!(what.len() > 10 && helped.insert(name.to_owned()), "{line}");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert!(helped.contains(name), "no help for {name}");
                assert!(name.starts_with("mooncast_"), "{name}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                assert!(page.families.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
            } else {
                let (name, value) = line.rsplit_once(' ').unwrap();
                let value: f64 = value.parse().unwrap();
                assert!(value.is_finite() && value >= 0.0, "{line}");
                assert!(page.samples.insert(name.to_owned(), value).is_none(), "twice: {line}");
                let family = page.family(name);
                assert!(family.is_some(), "{line} belongs to nothing");
            }
        }
        page.check_histograms();
        page
    }

    /// Returns the name of the metric that a sample belongs to. A sample of a histogram has the metric's name
    /// and a suffix.
    fn family(&self, sample: &str) -> Option<&String> {
        let name = sample.split('{').next().unwrap();
        let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let histogram = of_histogram.and_then(|name| self.families.get_key_value(name));
        let found = histogram.filter(|(_, kind)| *kind == "histogram");
        found.or_else(|| self.families.get_key_value(name)).map(|(name, _)| name)
    }

    fn check_histograms(&self) {
        for (sample, count) in self.samples.iter().filter(|(name, _)| name.contains("_bucket{")) {
            if let Some((before, _)) = sample.split_once("le=\"+Inf\"") {
                let labels = before.split_once('{').unwrap().1.trim_end_matches(',');
                let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
                let name = before.split("_bucket{").next().unwrap();
                assert_eq!(self.samples.get(&format!("{name}_count{labels}")), Some(count), "{sample}");
                assert!(self.samples.contains_key(&format!("{name}_sum{labels}")), "{sample}");
            }
        }
    }

    #[track_caller]
    fn shows(&self, sample: &str, value: f64) {
        let shown = self.samples.get(sample);
        let alike = shown.is_some_and(|shown| (shown - value).abs() < 1e-9);
        assert!(alike, "{sample} is {shown:?} and not {value}: {self:#?}");
    }

    #[track_caller]
    fn shows_some(&self, sample: &str) {
        assert!(self.samples.get(sample).is_some_and(|shown| *shown > 0.0), "{sample}: {self:#?}");
    }
}

#[test]
fn figures_are_right_after_a_campaign_and_dashboard_and_alerts_name_no_others() {
    let busy = AtomicBool::new(true);
    let service = Service::answering(move |number, request| match request.json()["to"][0].as_str() {
        Some("6") if busy.swap(false, Ordering::SeqCst) => {
            json(429, r#"{"error":"reach_limit","error_description":"This request has reached api limit"}"#)
        }
        Some("7") => json(400, r#"{"error":"illegal_argument","error_description":"no such group"}"#),
        Some("1") => json(500, r#"{"error":"internal"}"#),
        _ => accept(number, request),
    });
    let project = Project::with_script(NEWS);
    project.write("scripts/bad.lua", "this is no Lua");
    let token = token(&project, &[]);
    let command = project.command_against(&service, &["serve", "--listen", "127.0.0.1:0"]);
    let serving = Serving::start(command);
    let address = address(&serving);
    let begun = Page::of(&address, &token);
    begun.shows(r#"mooncast_messages_total{app="default",call="group",outcome="sent"}"#, 0.0);
    project.mooncast(&["jobs", "trigger", "news"]).exits(0);
    serving.says("run finished", 1);
    serving.says("broadcast finished", 1);
    let page = Page::of(&address, &token);
    for (sample, value) in [
        (r#"mooncast_messages_total{app="default",call="group",outcome="sent"}"#, 2.0),
        (r#"mooncast_messages_total{app="default",call="group",outcome="rejected"}"#, 1.0),
        (r#"mooncast_messages_total{app="default",call="group",outcome="in_doubt"}"#, 2.0),
        (r#"mooncast_messages_total{app="default",call="targeted",outcome="sent"}"#, 0.0),
        (r#"mooncast_requests_total{app="default",call="group",class="accepted"}"#, 2.0),
        (r#"mooncast_requests_total{app="default",call="group",class="permanent"}"#, 1.0),
        (r#"mooncast_requests_total{app="default",call="group",class="throttled"}"#, 1.0),
        (r#"mooncast_requests_total{app="default",call="group",class="in_doubt"}"#, 1.0),
        (r#"mooncast_request_duration_seconds_count{app="default",call="group"}"#, 5.0),
        (r#"mooncast_quota_used_total{app="default",quota="group_messages"}"#, 6.0),
        (r#"mooncast_quota_refused_total{app="default",quota="group_messages"}"#, 1.0),
        (r#"mooncast_quota_granted_per_second{app="default",quota="group_messages"}"#, 20.0),
        (r#"mooncast_quota_wait_seconds_count{app="default",quota="group_messages"}"#, 5.0),
        (r#"mooncast_quota_waiters{app="default",quota="group_messages",priority="normal"}"#, 0.0),
        (r#"mooncast_broadcasts{app="default",state="finished"}"#, 1.0),
        (r#"mooncast_broadcasts{app="default",state="ready"}"#, 0.0),
        (r#"mooncast_recipients{app="default",state="sent"}"#, 0.0),
        (r#"mooncast_job_runs_total{job_name="news",outcome="undelivered"}"#, 1.0),
        ("mooncast_job_start_delay_seconds_count", 1.0),
        (r#"mooncast_script_loads_total{result="taken"}"#, 1.0),
        (r#"mooncast_script_loads_total{result="refused"}"#, 1.0),
        ("mooncast_scripts", 1.0),
        ("mooncast_scripts_stale", 1.0),
        ("mooncast_worker_cpu_seconds_count", 3.0),
        ("mooncast_ledger_healthy", 1.0),
        ("mooncast_ledger_failed_writes_total", 0.0),
        (r#"mooncast_web_requests_total{route="/metrics",status="200"}"#, 1.0),
        (&format!(r#"mooncast_build_info{{version="{}"}}"#, env!("CARGO_PKG_VERSION")), 1.0),
    ] {
        page.shows(sample, value);
    }
    for sample in [
        "mooncast_ledger_commits_total",
        "mooncast_ledger_size_bytes",
        "mooncast_worker_cpu_seconds_sum",
        "mooncast_worker_peak_memory_bytes_sum",
    ] {
        page.shows_some(sample);
    }
    let groups = page.samples.keys().filter(|name| name.contains("group_id"));
    assert_eq!(groups.count(), 0, "{page:#?}");
    names_only(&page);
    serving.stop().exits(0);
}

/// Every metric that the dashboard, the alerts and the scrape example name exists.
#[track_caller]
fn names_only(page: &Page) {
    let etc = Path::new(env!("CARGO_MANIFEST_DIR")).join("etc");
    let dashboard = std::fs::read(etc.join("grafana/mooncast.json")).unwrap();
    serde_json::from_slice::<serde_json::Value>(&dashboard).unwrap();
    for file in ["grafana/mooncast.json", "prometheus/mooncast-rules.yml", "prometheus/mooncast.yml"] {
        let text = std::fs::read_to_string(etc.join(file)).unwrap();
        let letter = |letter: char| letter.is_ascii_lowercase() || letter == '_';
        let words = text.split(|other| !letter(other)).filter(|word| word.starts_with("mooncast_"));
        let named: BTreeSet<&str> = words.collect();
        let unknown: Vec<_> = named.iter().filter(|name| page.family(name).is_none()).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}");
        assert_eq!(named.len() > 5, !file.ends_with("/mooncast.yml"), "{file}: {named:?}");
    }
}

#[test]
fn figures_are_for_whoever_has_the_token_and_health_is_for_all() {
    let project = Project::with_script(NEWS);
    let token = token(&project, &["--simulator"]);
    let serving = Serving::start(project.command(&["serve", "--simulator", "--listen", "127.0.0.1:0"]));
    let address = address(&serving);
    let (status, text) = ask(&address, "/metrics", &address, None);
    assert!(status == 401 && !text.contains("mooncast_ledger"), "{text}");
    assert_eq!(ask(&address, "/metrics", &address, Some("mooncast_read_wrong")).0, 401);
    assert_eq!(ask(&address, "/metrics", "elsewhere.example", Some(&token)).0, 421);
    // It serves a moment after it reports that it is ready.
    until("it is ready", || ask(&address, "/readyz", &address, None).0 != 503);
    // A prober uses a container's address, which is not among the daemon's host names.
    for host in [address.as_str(), "10.1.2.3:7311"] {
        assert_eq!(ask(&address, "/healthz", host, None), (200, r#"{"alive":true}"#.to_owned()));
        assert_eq!(ask(&address, "/readyz", host, None), (200, r#"{"ready":true}"#.to_owned()));
    }
    let page = Page::of(&address, &token);
    page.shows(r#"mooncast_web_requests_total{route="/metrics",status="401"}"#, 2.0);
    page.shows(r#"mooncast_web_requests_total{route="/readyz",status="200"}"#, 3.0);
    assert_eq!(ask(&address, "/no/such/place", &address, Some(&token)).0, 404);
    let page = Page::of(&address, &token);
    page.shows(r#"mooncast_web_requests_total{route="none",status="404"}"#, 1.0);
    serving.stop().exits(0);
}

#[test]
fn a_daemon_whose_ledger_cannot_be_written_lives_and_is_not_ready() {
    let project = Project::with_script(NEWS);
    let token = token(&project, &["--simulator"]);
    let plain = project.command(&["serve", "--simulator", "--listen", "127.0.0.1:0"]);
    let serving = Serving::start(wrapped(&["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"], &plain));
    let address = address(&serving);
    // The page's own file is open by then.
    assert_eq!(ask(&address, "/healthz", &address, None).0, 200);
    if store::server().is_some() {
        project.schema().fill_disk(0, Refusal::ForGood);
    } else {
        // From now on no file can grow, as on a full disk.
        let full = Rlimit { current: Some(0), maximum: None };
        prlimit(Some(Pid::from_child(serving.child())), Resource::Fsize, full).unwrap();
    }
    let (status, text) = ask(&address, "/readyz", &address, None);
    assert_eq!(status, 503, "{text}");
    assert!(text.contains(r#""ready":false"#) && text.contains("the ledger cannot be written"), "{text}");
    assert!(!text.contains('/'), "no paths: {text}");
    assert_eq!(ask(&address, "/healthz", &address, None).0, 200);
    let page = Page::of(&address, &token);
    page.shows("mooncast_ledger_healthy", 0.0);
    page.shows_some("mooncast_ledger_failed_writes_total");
    serving.kill();
}

#[test]
fn a_run_tells_what_it_sent_and_what_was_refused() {
    let refuses = AtomicBool::new(true);
    let service = Service::answering(move |number, request| {
        if refuses.swap(false, Ordering::SeqCst) {
            json(429, r#"{"error":"reach_limit","error_description":"This request has reached api limit"}"#)
        } else {
            accept(number, request)
        }
    });
    let project = Project::with_script(
        "im.group_send { to = { 1, 2, 3 }, type = 'txt', body = { msg = 'x' } }
        im.targeted_send { to = 1, users = { 'a' }, type = 'txt', body = { msg = 'x' } }",
    );
    project.run_against(&service).exits(0);
    let of = |folder: &str, quota: &'static str| {
        let clock = Clock::real();
        let simulated = folder.ends_with("simulator");
        let place = if simulated { LedgerLocation::Folder(project.path(folder)) } else { project.place() };
        let rows = clock.block_on(async {
            let ledger = Ledger::open_at(&place, clock.clone()).await.unwrap();
            ledger.activity(None, quota, Duration::ZERO).await.unwrap()
        });
        let now = clock.unix_time().as_secs();
        let sum = |sum: (u64, u64), row: &mooncast::Activity| {
            let at = row.at.as_secs();
            assert!(at.is_multiple_of(10) && at <= now && at + 120 > now, "{row:?}");
            (sum.0 + row.sent, sum.1 + row.throttled)
        };
        rows.unwrap().iter().fold((0, 0), sum)
    };
    assert_eq!(of(".mooncast", "group messages"), (6, 3));
    assert_eq!(of(".mooncast", "targeted calls"), (1, 0));
    assert_eq!(of(".mooncast", "reads"), (0, 0));
    Ran::of(&project.within(&["run", "--simulator", "scripts/main.lua"]).output().unwrap()).exits(0);
    assert_eq!(of(".mooncast/simulator", "group messages"), (3, 0));
    assert_eq!(of(".mooncast", "group messages"), (6, 3), "the simulator's are its own");
}
