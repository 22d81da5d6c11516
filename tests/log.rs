//! The daemon's log on its page and in its API: filters, pages, restarts, and files that cannot be written.
//!
//! Store: file

use std::fmt::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use serde_json::Value;

use crate::support::{Project, until};
use crate::web::{Answer, Site, request};

const SCRIPT: &str = "local schedule, log = require('schedule'), require('log')
schedule.every('10000h', { name = 'news' }, function()
  im.broadcast { name = 'news', run = '1', to = { '1' }, message = { type = 'txt', body = { msg = 'x' } } }
end)
schedule.every('10000h', { name = 'boom' }, function() error('Torn Paper') end)
schedule.every('10000h', { name = 'many' }, function() end)
";

fn numbers(lines: &Value) -> Vec<u64> {
    lines.as_array().unwrap().iter().map(|line| line["number"].as_u64().unwrap()).collect()
}

fn texts(lines: &Value) -> Vec<&str> {
    lines.as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap()).collect()
}

fn page(site: &Site, path: &str) -> Answer {
    let bearer = format!("Bearer {}", site.operate);
    request(&site.address, &format!("GET {path}"), &[("authorization", bearer.as_str())], b"")
}

fn run(site: &Site, job: &str) {
    site.ask(&format!("POST /jobs/{job}/trigger"));
    site.until(&format!("/runs?job={job}"), |runs| runs[0]["finished_at"].is_string());
}

#[test]
fn the_log_is_found_by_what_it_is_about_and_outlives_a_restart() {
    let site = Site::start(SCRIPT);
    for job in ["news", "boom"] {
        run(&site, job);
    }
    let before = site.json("/log?limit=500");
    let last = *numbers(&before).last().unwrap();
    let site = {
        let Site { project, serving, .. } = site;
        serving.stop().exits(0);
        Site::of(project)
    };
    let after = site.json("/log?limit=500");
    let all = numbers(&after);
    assert!(all.windows(2).all(|pair| pair[1] == pair[0] + 1), "numbers go on: {all:?}");
    assert!(all[0] == 1 && *all.last().unwrap() > last, "{all:?}");
    assert_eq!(texts(&after)[..texts(&before).len()], texts(&before));

    let only = |query: &str| site.json(&format!("/log?limit=500&{query}"));
    let failed = only("level=error");
    assert!(texts(&failed).iter().any(|text| text.contains("run failed")), "{failed}");
    assert!(failed.as_array().unwrap().iter().all(|line| line["level"] == "error"));
    let job = only("job=boom");
    assert!(
        !texts(&job).is_empty() && job.as_array().unwrap().iter().all(|line| line["job"] == "boom"),
        "{job}"
    );
    assert!(texts(&only("text=TORN%20paper")).iter().all(|text| text.contains("Torn Paper")));
    assert!(!texts(&only("text=torn")).is_empty());
    assert!(!texts(&only("broadcast=news/1")).is_empty() && !texts(&only("broadcast=news")).is_empty());
    assert_eq!(texts(&only("broadcast=new")), [""; 0]);
    let middle = after[after.as_array().unwrap().len() / 2]["at"].as_str().unwrap();
    let early = only(&format!("to={middle}"));
    assert!(early.as_array().unwrap().iter().all(|line| line["at"].as_str().unwrap() <= middle), "{early}");
    let late = only(&format!("from={middle}"));
    assert!(late.as_array().unwrap().iter().all(|line| line["at"].as_str().unwrap() >= middle));
    assert!(early.as_array().unwrap().len() + late.as_array().unwrap().len() >= all.len());
    for (wrong, why) in
        [("level=loud", "level"), ("from=yesterday", "2026-06-01T08:00:00Z"), ("before=0", "1 or more")]
    {
        let answer = site.ask(&format!("GET /log?{wrong}"));
        assert!(answer.status == 400 && answer.body.contains(why), "{answer:?}");
    }

    // Page by page, each line once.
    let (mut seen, mut before) = (Vec::new(), String::new());
    loop {
        let some = site.json(&format!("/log?limit=7&to={middle}{before}"));
        let numbers = numbers(&some);
        let Some(first) = numbers.first() else { break };
        before = format!("&before={first}");
        seen.extend(numbers.into_iter().rev());
    }
    seen.reverse();
    assert_eq!(seen, numbers(&early));

    // The page, without a script.
    let shown = page(&site, "/log?level=error").body;
    assert!(shown.contains("run failed") && !shown.contains("l-info"), "{shown}");
    assert!(
        shown.contains("<form") && shown.contains("name=\"text\"") && shown.contains("selected>Errors"),
        "{shown}"
    );
    let shown = page(&site, "/log?about=boom&text=torn").body;
    assert!(
        shown.contains("value=\"boom\"") && shown.contains("Torn Paper") && shown.contains("data-events="),
        "{shown}"
    );
    for place in ["/broadcasts/1", "/job?name=boom"] {
        let link = page(&site, place)
            .body
            .split("href=\"/log?")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .to_owned();
        let shown = page(&site, &format!("/log?{link}")).body;
        assert!(shown.contains("data-key=") && !shown.contains("listening"), "{link}: {shown}");
    }
    let shown = page(&site, "/log?before=3").body;
    assert!(shown.contains("data-key=\"2\"") && !shown.contains("data-key=\"3\""), "{shown}");
    assert!(!shown.contains("data-events="), "an older page does not change");
    let probe = page(&site, "/log?text=%3Cscript%3Ealert(1)%3C/script%3E").body;
    assert!(!probe.contains("<script>alert"), "{probe}");

    let log = site.project.path(".mooncast");
    let file = std::fs::read_dir(&log).unwrap().flatten().map(|entry| entry.path().join("log/daemon.log"));
    let file = file.chain([log.join("log/daemon.log")]).find(|path| path.is_file()).unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let kept = std::fs::read_to_string(&file).unwrap();
    for secret in [&site.operate, &site.read] {
        assert!(!kept.contains(secret.as_str()), "the log has a token");
    }
    site.serving.stop().exits(0);
}

#[test]
fn wrong_filters_are_refused_beside_their_fields() {
    let site = Site::start(SCRIPT);
    // A wrong filter is refused beside its field, with its value and what is allowed, and shows no lines.
    let wrong = |query: &str| {
        let answer = page(&site, &format!("/log?{query}"));
        assert_eq!(answer.status, 400, "{query}: {answer:?}");
        assert!(!answer.body.contains("data-key="), "{query}: {answer:?}");
        let fields = answer.body.split("<label").filter(|field| field.contains("class=\"problem\""));
        let fields: Vec<&str> = fields.map(|field| field.split("</label>").next().unwrap()).collect();
        (fields.concat(), answer.body.clone())
    };
    let (beside, _) = wrong("level=loud");
    assert!(beside.contains("name=\"level\"") && beside.contains("no level &quot;loud&quot;"), "{beside}");
    assert!(beside.contains("all, info, warn or error"), "{beside}");
    let (beside, whole) = wrong("from=soon&about=boom");
    assert!(
        beside.contains("name=\"from\"") && beside.contains("&quot;soon&quot; is not a time"),
        "{beside}"
    );
    assert!(whole.contains("value=\"boom\""), "the other fields keep their values: {whole}");
    let (beside, _) = wrong("from=2026-06-02T10:00&to=2026-06-01T10:00");
    assert!(beside.contains("name=\"to\"") && beside.contains("before the beginning"), "{beside}");
    for (query, told) in [
        ("before=x", "&quot;x&quot; is not the number of a line"),
        ("before=0", "1 or more"),
        ("levle=error", "unknown field `levle`"),
        ("level=info&level=error", "duplicate field `level`"),
    ] {
        let (_, whole) = wrong(query);
        assert!(whole.contains(told), "{query}: {whole}");
    }
    for query in ["level=all", "level=&from=&before=", "level=warn"] {
        assert_eq!(page(&site, &format!("/log?{query}")).status, 200, "{query}");
    }
    let list = page(&site, "/broadcasts?only=many");
    assert!(list.status == 400 && list.body.contains("unknown variant `many`"), "{list:?}");
    assert_eq!(page(&site, "/broadcasts?only=finished").status, 200);
    site.serving.stop().exits(0);
}

#[test]
fn the_files_stay_within_their_size_and_none_are_kept_if_so_said() {
    let settings = "simulator = true\n[serve]\nkeep_log = \"1MiB\"\n";
    let site = Site::of(Project::with_script(SCRIPT).file("mooncast.toml", settings));
    let folder = site.project.path(".mooncast/simulator/log");
    let path = if folder.is_dir() { folder } else { site.project.path(".mooncast/log") };
    site.serving.stop().exits(0);
    // As if much had been logged.
    let line = std::fs::read_to_string(path.join("daemon.log")).unwrap().lines().next().unwrap().to_owned();
    let line: Value = serde_json::from_str(&line).unwrap();
    let mut many = String::new();
    for number in 1..=4_000_u64 {
        let mut line = line.clone();
        (line["number"], line["text"]) = (number.into(), format!("line {number} {}", "x".repeat(60)).into());
        writeln!(many, "{line}").unwrap();
    }
    // A crash tore the last line.
    many += "{\"number\":4001,\"at\":\"20";
    std::fs::write(path.join("daemon.log"), &many).unwrap();
    let site = Site::of(site.project);
    let newest = site.json("/log?limit=500&text=line%2039");
    assert_eq!(newest.as_array().unwrap().len(), 111, "{newest}");
    let first = site.json("/log?limit=1&job=nothing");
    assert_eq!(first, serde_json::json!([]));
    for _ in 0..3 {
        run(&site, "many");
    }
    until("the file is renamed", || path.join("daemon.log.1").is_file());
    let all = numbers(&site.json("/log?limit=500"));
    assert!(all.windows(2).all(|pair| pair[1] > pair[0]), "{all:?}");
    assert!(*all.last().unwrap() > 4_000);
    assert!(site.json("/log?text=line%201%20&limit=1")[0]["text"].as_str().unwrap().starts_with("line 1 "));
    site.serving.stop().exits(0);

    site.project.write("mooncast.toml", "simulator = true\n[serve]\nkeep_log = \"0B\"\n");
    std::fs::remove_dir_all(&path).unwrap();
    let site = Site::of(site.project);
    assert!(!site.json("/log").as_array().unwrap().is_empty());
    assert!(!path.exists());
    site.serving.stop().exits(0);
    site.project.write("mooncast.toml", "simulator = true\n[serve]\nkeep_log = \"1KiB\"\n");
    site.project.mooncast(&["serve", "--listen", "nowhere"]).exits(2).says("1MiB");
}

#[test]
fn a_full_disk_loses_lines_with_a_count_and_no_message() {
    let project = Project::with_script(SCRIPT).file("mooncast.toml", "simulator = true\n");
    let site = Site::of(project);
    let folder = site.project.path(".mooncast/simulator/log");
    let path = if folder.is_dir() { folder } else { site.project.path(".mooncast/log") };
    site.serving.stop().exits(0);
    let file = path.join("daemon.log");
    std::fs::remove_file(&file).unwrap();
    symlink("/dev/full", &file).unwrap();
    let site = Site::of(site.project);
    run(&site, "news");
    assert_eq!(site.json("/broadcasts/1")["broadcast"]["counts"]["sent"], 1);
    assert!(texts(&site.json("/log?job=news")).iter().any(|text| text.contains("run finished")));
    // There is room again.
    std::fs::remove_file(&file).unwrap();
    until("the lost lines are counted", || {
        run(&site, "many");
        texts(&site.json("/log?level=warn&text=lost="))
            .iter()
            .any(|text| text.contains("lines of the log are missing"))
    });
    site.serving.stop().exits(0);
    assert!(std::fs::read_to_string(&file).unwrap().contains("\"job\":\"many\""));
}
