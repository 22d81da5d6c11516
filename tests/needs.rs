//! What waits for a person, on the first page, in the API and in `mooncast top`; and what the ledger says, in the reader's
//! language.
//!
//! Store: file

use std::path::Path;

use serde_json::Value;

use crate::support::Project;
use crate::support::service::{Request, Service, accept, json};
use crate::web::{Answer, Site, request};

/// A script whose jobs leave much behind that somebody has to look at.
const SCRIPT: &str = "local schedule = require('schedule')
local function send(name, fields)
  fields.name, fields.run = name, '1'
  fields.message = { from = 'shop', type = 'txt', body = { msg = name } }
  return im.broadcast(fields)
end
schedule.every('10000h', { name = 'boom' }, function() error('the list is empty') end)
schedule.every('10000h', { name = 'halted' }, function()
  send('halted', { to = { '901', '902', '903' }, stop_after_failures = 1 })
end)
schedule.every('10000h', { name = 'left-out' }, function()
  send('first', { to = { '1', '2' } })
  send('again', { to = { '1', '2', '3', '4' }, cap = { per_group = 1, within = '7d' } })
end)
schedule.cron('0 9 * * *', { name = 'morning', tz = 'Asia/Shanghai' }, function() end)
";

/// A service that refuses groups from 900 on.
fn refusing(count: usize, request: &Request) -> Vec<u8> {
    if request.path.contains("/messages/chatgroups") && request.json()["to"][0].as_str().unwrap() > "9" {
        return json(403, r#"{"error":"forbidden_op","error_description":"not a member of this group"}"#);
    }
    accept(count, request)
}

/// What a page says outside of its times and of what is shown as it was written: the log, code and the output of runs.
fn outside_of_times(page: &str) -> String {
    let mut text = page.to_owned();
    for (start, end) in [
        ("<time", "</time>"),
        ("<pre", "</pre>"),
        ("<ol class=\"log", "</ol>"),
        ("<title", "</title>"),
        ("data-at=", "</text>"),
        ("<code", "</code>"),
    ] {
        while let Some((before, rest)) = text.split_once(start) {
            let (_, after) = rest.split_once(end).unwrap();
            text = format!("{before}{after}");
        }
    }
    text.split('<')
        .map(|part| part.split_once('>').map_or(part, |(_, text)| text))
        .collect::<Vec<_>>()
        .join(" ")
}

/// The places of a page that look like a time: `9:30` or `2026-06-01`.
fn times_in(text: &str) -> Vec<&str> {
    let digit = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
    let is = |at: &usize| {
        let sign = text.as_bytes()[*at];
        (sign == b':' || sign == b'-')
            && digit(at.wrapping_sub(1))
            && digit(at + 1)
            && digit(at + 2)
            && !digit(at + 3)
    };
    let around =
        |at: usize| &text[text.floor_char_boundary(at.saturating_sub(30))..text.ceil_char_boundary(at + 30)];
    (0..text.len()).filter(is).map(around).collect()
}

#[test]
fn each_time_is_a_time_of_the_zone_of_the_browser_or_of_the_project() {
    let service = Service::answering(refusing);
    let site = rich(&service);
    let mut places = places(&site);
    places.push("/audit".to_owned());
    let bearer = format!("Bearer {}", site.operate);
    let mut seen = 0;
    for place in places {
        let get = |cookie: &str| {
            let headers = [("authorization", bearer.as_str()), ("accept-language", "zh"), ("cookie", cookie)];
            request(&site.address, &format!("GET {place}"), &headers, b"").body
        };
        for (cookie, named) in [("a=b", true), ("mooncast_zone=America/Lima", false)] {
            let page = get(cookie);
            for time in page.split("<time ").skip(1) {
                let text = time.split('>').nth(1).unwrap().split('<').next().unwrap();
                assert_eq!(text.ends_with(" CST"), named, "{place}: {text}");
                let offset = if named { "+08:00" } else { "-05:00" };
                assert!(
                    time.starts_with("datetime=\"") && time.split('>').next().unwrap().contains(offset),
                    "{time}"
                );
                seen += 1;
            }
            assert!(page.contains(if named { "Asia&#x2f;Shanghai" } else { "America&#x2f;Lima" }), "{page}");
            let outside = outside_of_times(&page);
            assert_eq!(times_in(&outside), [""; 0], "{place}: {outside}");
        }
    }
    assert!(seen > 60, "{seen}");
    site.serving.stop().exits(0);
}

/// A daemon after much went wrong.
fn rich(service: &Service) -> Site {
    let project = Project::with_script(SCRIPT).file("scripts/broken.lua", "local x = = 1\n").file(
        "mooncast.toml",
        "[serve]\nzone = \"Asia/Shanghai\"\n[app.limits]\ngroup_per_second = 1000\n[alerts]\nurl = \"http://127.0.0.1:9/hook\"\n",
    );
    let add = ["suppress", "add", "4", "--reason", "the owner asked"];
    crate::support::Ran::of(&project.command_against(service, &add).output().unwrap()).exits(0);
    let site = Site::of_against(project, service);
    for job in ["boom", "left-out", "halted"] {
        site.ask(&format!("POST /jobs/{job}/trigger"));
    }
    site.until("/runs", |runs| {
        let runs = runs.as_array().unwrap();
        runs.len() == 3 && runs.iter().all(|run| !run["finished_at"].is_null())
    });
    let codes = |overview: &Value| -> Vec<String> {
        let needs = overview["needs"].as_array().unwrap();
        needs.iter().map(|need| need["code"].as_str().unwrap().to_owned()).collect()
    };
    site.until("/overview", |overview| {
        codes(overview) == ["paused_by_itself", "script_stale", "run_failed", "run_failed", "alert_pending"]
    });
    site
}

/// The pages of a site.
fn places(site: &Site) -> Vec<String> {
    let mut places: Vec<String> = ["/", "/broadcasts", "/suppressions"].map(str::to_owned).into();
    for broadcast in site.json("/broadcasts")["broadcasts"].as_array().unwrap() {
        places.push(format!("/broadcasts/{}", broadcast["id"]));
    }
    for job in ["boom", "halted", "left-out", "morning"] {
        places.push(format!("/job?name={job}"));
    }
    for run in site.json("/runs").as_array().unwrap() {
        places.push(format!("/run?id={}", run["id"].as_str().unwrap().replace('@', "%40")));
    }
    places
}

fn page(site: &Site, path: &str, language: &str) -> String {
    let bearer = format!("Bearer {}", site.operate);
    let headers = [("authorization", bearer.as_str()), ("accept-language", language)];
    let Answer { status, body, .. } = request(&site.address, &format!("GET {path}"), &headers, b"");
    assert_eq!(status, 200, "{path}: {body}");
    let entities =
        [("&#x27;", "'"), ("&#x2f;", "/"), ("&quot;", "\""), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
    entities.iter().fold(body, |body, (entity, letter)| body.replace(entity, letter))
}

/// The texts of the catalogue: code and sentence.
fn catalogue(language: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/language/reasons/{language}.toml"));
    let texts: toml::Table = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    texts.into_iter().map(|(code, text)| (code, text.as_str().unwrap().to_owned())).collect()
}

/// The pieces of a sentence between its parameters, without punctuation at their ends.
fn pieces(text: &str) -> Vec<&str> {
    let outside = text.split(['{', '}']).step_by(2);
    outside.map(|piece| piece.trim_matches(|letter: char| !letter.is_alphanumeric())).collect()
}

#[test]
fn what_waits_for_a_person_stands_first_and_leads_to_where_it_is_mended() {
    let service = Service::answering(refusing);
    let site = rich(&service);
    let overview = site.json("/overview");
    let needs = overview["needs"].as_array().unwrap();
    let broadcasts = site.json("/broadcasts")["broadcasts"].clone();
    let halted = broadcasts.as_array().unwrap().iter().find(|one| one["name"] == "halted").unwrap();
    assert_eq!(needs[0]["page"], format!("/broadcasts/{}", halted["id"]));
    assert_eq!(needs[0]["params"]["name"], "halted/1");
    let text = needs[0]["text"].as_str().unwrap();
    assert!(text.starts_with("Broadcast halted/1 paused itself and waits: 1 failures in a row"), "{text}");
    let failed =
        needs[2..4].iter().map(|need| need["text"].as_str().unwrap()).find(|text| text.contains("boom"));
    let failed = failed.unwrap();
    assert!(failed.starts_with("Job boom failed: scripts/main.lua:7: the list is empty"), "{failed}");
    // The reason has a code and parameters beside its English text.
    assert_eq!(halted["reason"]["code"], "paused_by_itself");
    assert!(halted["note"].as_str().unwrap().starts_with("paused by itself: "), "{halted}");
    let again = broadcasts.as_array().unwrap().iter().find(|one| one["name"] == "again").unwrap();
    let recipients = site.json(&format!("/broadcasts/{}/recipients", again["id"]));
    let reasons: Vec<&Value> =
        recipients["recipients"].as_array().unwrap().iter().map(|one| &one["reason"]).collect();
    assert_eq!(reasons[0]["code"], "capped");
    assert_eq!((&reasons[0]["params"]["n"], &reasons[0]["params"]["within"]), (&"1".into(), &"7d".into()));
    assert_eq!(reasons[2], &Value::Null);
    assert_eq!(reasons[3]["params"]["reason"], "the owner asked");

    for language in ["en", "zh"] {
        let first = page(&site, "/", language);
        let place = |text: &str| first.find(text).unwrap_or_else(|| panic!("no {text} in {first}"));
        let order = ["id=\"needs\"", "id=\"running\"", "id=\"next\"", "id=\"chart\""].map(place);
        assert!(order.is_sorted(), "{order:?}");
        let needs = &first[order[0]..order[1]];
        let links: Vec<&str> =
            needs.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert_eq!(links.len(), 5, "{needs}");
        for link in links {
            let link = link.split('#').next().unwrap().replace('@', "%40");
            page(&site, &link, language);
        }
        let next = &first[order[2]..order[3]];
        assert!(next.contains("/job?name=morning") && next.contains("<time datetime="), "{next}");
    }
    let top = site.project.command_against(&service, &["top", "--once"]);
    let shown = crate::support::Ran::of(&{ top }.output().unwrap()).exits(0);
    shown.prints("needs you").prints("Broadcast halted/1 paused itself and waits").prints("Job boom failed");

    // A problem that was corrected is not listed any more.
    site.ask(&format!("POST /broadcasts/{}/cancel", halted["id"]));
    site.project.write("scripts/broken.lua", "local x = 1\n");
    site.until("/overview", |overview| {
        let needs = overview["needs"].as_array().unwrap();
        needs.iter().all(|need| need["code"] == "run_failed" || need["code"] == "alert_pending")
    });
    site.serving.stop().exits(0);
}

#[test]
fn no_sentence_of_the_ledger_stays_english_on_a_chinese_page() {
    let service = Service::answering(refusing);
    let site = rich(&service);
    let catalogue = catalogue("en");
    let sentences: Vec<&str> =
        catalogue.iter().flat_map(|(_, text)| pieces(text)).filter(|piece| piece.len() >= 12).collect();
    assert!(sentences.len() > 70, "{}", sentences.len());
    let mut seen = [false, false, false];
    for place in places(&site) {
        let shown = page(&site, &place, "zh");
        // The log is English, whoever reads it.
        let shown = shown.split("id=\"tail\"").next().unwrap();
        for sentence in &sentences {
            assert!(!shown.contains(sentence), "{place} says {sentence:?}: {shown}");
        }
        // What the service and the script said stays as it was said.
        seen[0] |= shown.contains("被拒绝：状态码 403 forbidden_op: not a member of this group");
        seen[1] |= shown.contains("the list is empty");
        seen[2] |= shown.contains("最近 7d 内已有 1 条消息，上限为 1 条")
            && shown.contains("在禁发名单中：the owner asked");
    }
    assert_eq!(seen, [true, true, true]);
    site.serving.stop().exits(0);
}

#[test]
fn the_catalogue_has_the_sentences_that_the_program_writes() {
    // Sentences that the program puts together from parts.
    const PARTS: [&str; 52] = [
        "script_error",
        "broadcast_paused",
        "broadcast_interrupted",
        "capped",
        "capped_with_tag",
        "member_suppressed",
        "member_suppressed_because",
        "new_plan_asked",
        "restored_send",
        "stop_if_rejected",
        "stop_if_in_doubt",
        "stop_if_missing",
        "cancelled_before",
        "cancelled_before_rest",
        "rejected_before",
        "rejected_before_rest",
        "cancelled_by_before",
        "cancelled_by_before_rest",
        "edit_rejected",
        "edit_cancelled",
        "edit_cancelled_by",
        "recipients_added",
        "recipients_removed",
        "separated_by_comma",
        "separated_by_semicolon",
        "separated_by_tab",
        "held_count",
        "held_broadcast",
        "not_now_building",
        "not_now_ready",
        "not_now_finished",
        "not_now_cancelled",
        "not_now_cancelling",
        "not_now_held",
        // What the system and libraries say.
        "system_denied",
        "system_missing",
        "system_full",
        "system_read_only",
        "system_failed",
        "system_is_folder",
        "system_no_folder",
        "system_too_many",
        "form_incomplete",
        "form_cut_off",
        "file_not_writable",
        "file_outside",
        "store_damaged_file",
        "form_boundary",
        "form_not_sent",
        "not_awaiting",
        "not_in_state",
        "job_is_script",
    ];
    let mut source = String::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("language/reason.rs")
            {
                source += &std::fs::read_to_string(path).unwrap();
            }
        }
    }
    // A text may be continued on the next line.
    let mut lines = String::new();
    let mut continued = false;
    for line in source.lines() {
        let line = if continued { line.trim_start() } else { line };
        continued = line.ends_with('\\');
        lines += line.trim_end_matches('\\');
        if !continued {
            lines.push('\n');
        }
    }
    let source = lines.replace("\\\"", "\"");
    let mut lost = Vec::new();
    for (code, text) in catalogue("en") {
        let form = text.split('|').next().unwrap();
        let longest = pieces(form).into_iter().max_by_key(|piece| piece.len()).unwrap().to_owned();
        if !PARTS.contains(&code.as_str()) && !source.contains(&longest) {
            lost.push(format!("{code}: {longest}"));
        }
    }
    assert!(lost.is_empty(), "the program no longer writes:\n{}", lost.join("\n"));
}

#[test]
fn a_failed_request_needs_somebody_until_the_script_is_run_again() {
    let service = Service::accepting();
    let script = "function main(args) if args[1] == 'fails' then error('the list is empty') end end";
    let site = Site::against(&service, script);
    site.until("/scripts", |scripts| scripts[0]["script"]["version"].is_string());
    let ask = |arg: &str| {
        let asked = site.post("/scripts/run", &serde_json::json!({ "script": "main.lua", "args": [arg] }));
        assert_eq!(asked.status, 202, "{asked:?}");
    };
    ask("fails");
    let overview = site.until("/overview", |overview| !overview["needs"][0].is_null());
    let need = &overview["needs"][0];
    assert_eq!(need["code"], "request_failed", "{need:#}");
    let text = "The requested run of scripts/main.lua failed: scripts/main.lua:1: the list is empty";
    assert_eq!(need["text"], text);
    let runs = site.json("/runs");
    let id = runs[0]["id"].as_str().unwrap().replace(' ', "%20").replace(['@', ':'], "%");
    let place = need["page"].as_str().unwrap();
    assert!(place.replace("%40", "%").replace("%3A", "%").contains(&id), "{place} {id}");
    assert!(page(&site, place, "en").contains("the list is empty"), "{place}");
    assert!(page(&site, "/", "en").contains(text));
    assert!(page(&site, "/", "zh").contains("按请求运行的 scripts/main.lua 失败"));
    site.project.mooncast(&["top", "--once"]).exits(0).prints(text);
    ask("fine");
    site.until("/overview", |overview| overview["needs"] == serde_json::json!([]));
    site.serving.stop().exits(0);
}

#[test]
fn a_restore_that_awaits_acceptance_needs_somebody() {
    let service = Service::accepting();
    let project =
        Project::with_script("im.group_send { to = 3, from = 'a', type = 'txt', body = { msg = 'x' } }");
    project.run_against(&service).exits(0);
    project.mooncast(&["store", "backup", "a.backup"]).exits(0);
    project.mooncast(&["store", "restore", "a.backup"]).exits(0);
    let text = "The ledger was restored from a backup, so nothing is sent";
    project.mooncast(&["top", "--once"]).exits(0).prints(text);
    project.mooncast(&["store", "accept", "--yes"]).exits(0);
    assert!(!project.mooncast(&["top", "--once"]).exits(0).stdout.contains(text));
}
