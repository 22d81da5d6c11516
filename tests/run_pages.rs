//! A run and a recipient's message on the page, in the API and by `mooncast runs message`; and runs that send nothing,
//! because their messages were sent before.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::service::{self, Service};
use crate::support::{Project, Ran};
use crate::web::{Answer, Site, request};

const HEAD: &str = "local schedule, task, log = require('schedule'), require('task'), require('log')\n";

/// A PNG of one pixel.
pub const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\0\x05\0\x01\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82";

/// Gets a page as a program with the operator's token.
fn page(site: &Site, path: &str, language: &str) -> Answer {
    let bearer = format!("Bearer {}", site.operate);
    let headers = [("authorization", bearer.as_str()), ("accept-language", language)];
    request(&site.address, &format!("GET {path}"), &headers, b"")
}

/// Gets the bytes of an answer.
fn bytes(site: &Site, path: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(&site.address).unwrap();
    let (address, token) = (&site.address, &site.operate);
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n").unwrap();
    (String::from_utf8_lossy(&answer[..end]).to_lowercase(), answer[end + 4..].to_vec())
}

#[test]
fn the_page_of_a_run_has_its_output_and_what_it_sent() {
    let site = Site::start(&format!(
        "{HEAD}schedule.every('10000h', {{ name = 'news <b>' }}, function()
          print('<script>alert(1)</script>')
          log.warn('careful')
          im.broadcast {{ name = 'b', to = {{ '1', '2' }}, message = {{ from = 'a', type = 'txt', body = {{ msg = 'x' }} }} }}
          for i = 1, 1000 do print('line ' .. i) end
          error('the end')
        end)"
    ));
    site.ask("POST /jobs/news%20%3Cb%3E/trigger");
    let runs = site.until("/runs", |runs| runs[0]["state"] == "failed");
    let id = runs[0]["id"].as_str().unwrap().to_owned();
    let address = format!("/run?id={}", id.replace(' ', "%20").replace('<', "%3C").replace('>', "%3E"));
    for (language, title) in [("en", "Output"), ("zh", "输出")] {
        let shown = page(&site, &address, language);
        assert_eq!(shown.status, 200, "{shown:?}");
        let body = &shown.body;
        assert!(body.contains("&lt;script&gt;alert(1)") && !body.contains("<script>alert"), "{body}");
        for text in [title, "line 1<", "line 1000<", "careful", "the end", "/broadcasts/1\"", "scripts"] {
            assert!(body.contains(text), "{text}: {body}");
        }
        // Between the first and the last lines, the page names how many it leaves out.
        assert!(!body.contains("line 500<") && body.contains("data-key=\"hidden\""), "{body}");
    }
    let text = page(&site, &address.replace("/run?", "/run/output?"), "en");
    assert_eq!(text.header("content-type"), Some("text/plain; charset=utf-8"));
    assert!(text.body.contains(" print line 500\n"), "{}", text.body);
    let broadcast = page(&site, "/broadcasts/1", "en").body;
    assert!(broadcast.contains("/run?id=news%20"), "{broadcast}");
    assert_eq!(site.json("/broadcasts/1")["broadcast"]["job_runs"], serde_json::json!([id]));
    let job = page(&site, "/job?name=news%20%3Cb%3E", "en").body;
    assert!(job.contains("/run?id=news%20"), "{job}");
    assert_eq!(page(&site, "/run?id=nothing", "en").status, 404);
    let said = site.project.mooncast(&["runs", "--simulator", "show", "b"]).exits(0);
    said.prints(&format!("job run: {id}"));
    site.serving.stop().exits(0);
}

#[test]
fn a_recipient_s_message_is_shown_without_its_secrets_and_with_its_picture() {
    let project = Project::with_script(format!(
        "{HEAD}schedule.every('10000h', {{ name = 'pictures' }}, function()
          local file = im.upload('map.png')
          im.broadcast {{ name = 'pictures', to = {{ '1', '2' }}, message = function(group)
            return {{ from = 'shop', type = 'img', body = {{ file = file }}, ext = {{ copy = file.secret, note = '<i>' }} }}
          end }}
          im.broadcast {{ name = 'texts', to = {{ '1', '2', '3' }}, message = function(group)
            if group == '3' then return nil end
            return {{ from = 'shop', type = 'txt', body = {{ msg = 'Hello ' .. group .. '\\n<b>two</b>' }} }}
          end }}
          im.broadcast {{ name = 'away', to = {{ '1' }}, message = {{ from = 'shop', type = 'img',
            body = {{ url = 'http://127.0.0.1:9/other/chatfiles/1', secret = 'elsewhere', filename = 'x.png' }} }} }}
          print('secret ' .. file.secret)
        end)"
    ))
    .file("map.png", PNG);
    let site = Site::of(project);
    site.ask("POST /jobs/pictures/trigger");
    let runs = site.until("/runs", |runs| !runs[0]["finished_at"].is_null());
    assert_eq!(runs[0]["state"], "done", "{runs}");
    let run = runs[0]["run"].as_str().unwrap().to_owned();
    let output = site.json(&format!("/runs/pictures@{run}/output"));
    let secret = output["lines"][0]["text"].as_str().unwrap().strip_prefix("secret ").unwrap().to_owned();
    assert!(secret.len() > 5, "{secret}");
    // API.
    let message = site.json("/broadcasts/1/recipients/1/message");
    assert_eq!(message["type"], "img");
    assert_eq!((&message["from"], &message["state"]), (&"shop".into(), &"sent".into()));
    assert_eq!(message["media"]["name"], "map.png");
    assert_eq!((&message["media"]["width"], &message["media"]["height"]), (&1.into(), &1.into()));
    assert_eq!(message["media"]["has_picture"], true);
    assert_eq!(message["ext"], serde_json::json!({ "copy": "[hidden]", "note": "<i>" }));
    let text = site.json("/broadcasts/2/recipients/2/message");
    assert_eq!(text["text"], "Hello 2\n<b>two</b>");
    assert_eq!(text["media"], serde_json::Value::Null);
    let none = site.json("/broadcasts/2/recipients/3/message");
    assert_eq!((&none["state"], &none["type"]), (&"skipped".into(), &serde_json::Value::Null));
    assert_eq!(site.ask("GET /broadcasts/1/recipients/9/message").status, 404);
    assert_eq!(site.ask("GET /broadcasts/9/recipients/1/message").status, 404);
    // The page, with the picture from the service.
    let shown = page(&site, "/broadcasts/1/recipients/1", "en").body;
    assert!(
        shown.contains("src=\"/broadcasts/1/recipients/1/picture\"") && shown.contains("<details>"),
        "{shown}"
    );
    assert!(shown.contains("&lt;i&gt;") && !shown.contains("<i>"), "{shown}");
    let (head, picture) = bytes(&site, "/broadcasts/1/recipients/1/picture");
    assert!(head.contains("200 ok") && head.contains("content-type: image/png"), "{head}");
    assert_eq!(picture, PNG);
    let shown = page(&site, "/broadcasts/2/recipients/2", "zh").body;
    assert!(shown.contains("Hello 2\n&lt;b&gt;two&lt;&#x2f;b&gt;") && shown.contains("类型"), "{shown}");
    assert!(page(&site, "/broadcasts/2", "en").body.contains("/broadcasts/2/recipients/2\""));
    // Only the app's own files are fetched.
    assert!(bytes(&site, "/broadcasts/3/recipients/1/picture").0.contains(" 502 "));
    assert!(bytes(&site, "/broadcasts/2/recipients/1/picture").0.contains(" 404 "));
    // The command line.
    let told = |args: &[&str]| site.project.mooncast(&[&["runs", "--simulator", "message"], args].concat());
    let said =
        told(&["pictures", "1"]).exits(0).prints("file: map.png").prints("1 x 1 pixels").prints("ext: ");
    let json = told(&["texts", "2", "--run", &run, "--json"]).exits(0).stdout;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), text);
    told(&["texts", "2"]).exits(0).prints("| Hello 2").prints("| <b>two</b>").prints("from: shop");
    told(&["texts", "3"]).exits(0).prints("it gets no message");
    told(&["texts", "77"]).exits(2).says("has no group `77`");
    for text in [said.stdout, message.to_string(), page(&site, "/broadcasts/1/recipients/1", "en").body] {
        assert!(!text.contains(&secret), "{text}");
    }
    let away = told(&["away", "1"]).exits(0).stdout;
    assert!(!away.contains("elsewhere"), "{away}");
    let logged = site.serving.stop().exits(0).stderr;
    assert!(logged.contains("cannot fetch the picture") && !logged.contains("elsewhere"), "{logged}");
}

#[test]
fn a_run_whose_messages_were_sent_before_is_not_done_but_already_sent() {
    let site = Site::start(&format!(
        "{HEAD}schedule.every('10000h', {{ name = 'same' }}, function()
          im.broadcast {{ name = 'b', run = '1', to = {{ '1', '2' }}, message = {{ from = 'a', type = 'txt', body = {{ msg = 'x' }} }} }}
          im.group_send({{ to = '3', from = 'a', type = 'txt', body = {{ msg = 'x' }} }}, {{ once = 'k' }})
        end)
        schedule.every('10000h', {{ name = 'mixed' }}, function(c)
          im.group_send({{ to = '3', from = 'a', type = 'txt', body = {{ msg = 'x' }} }}, {{ once = 'k' }})
          im.group_send({{ to = '4', from = 'a', type = 'txt', body = {{ msg = 'x' }} }}, {{ once = c.run }})
        end)
        schedule.every('10000h', {{ name = 'nothing' }}, function() end)"
    ));
    let run = |job: &str, state: &str| {
        let said = site.ask(&format!("POST /jobs/{job}/trigger")).json();
        let path = format!("/runs/{job}@{}", said["run"].as_str().unwrap());
        // Until the daemon has claimed the run, it does not exist.
        let runs = site.until("/runs", |runs| {
            let runs = runs.as_array().unwrap();
            runs.iter()
                .any(|run| run["job"] == job && run["run"] == said["run"] && !run["finished_at"].is_null())
        });
        assert!(runs.is_array());
        let detail = site.json(&path);
        assert_eq!(detail["run"]["state"], state, "{detail}");
        detail
    };
    let first = run("same", "done");
    assert_eq!(first["sends"].as_array().unwrap().len(), 1);
    let again = run("same", "already_sent");
    assert!(again["run"]["note"].as_str().unwrap().contains("sent before"), "{again}");
    assert_eq!(again["broadcasts"][0]["id"], first["broadcasts"][0]["id"]);
    run("mixed", "done");
    run("nothing", "done");
    for (language, text) in [("en", "sent before, nothing now"), ("zh", "此前已发送")] {
        let shown = page(&site, "/job?name=same", language).body;
        assert!(shown.contains("run-already_sent") && shown.contains(text), "{shown}");
    }
    site.project.mooncast(&["jobs", "--simulator"]).exits(0).prints("already_sent 20");
    let metrics = page(&site, "/metrics", "en").body;
    assert!(metrics.contains("job_name=\"same\",outcome=\"already_sent\"} 1"), "{metrics}");
    let document = request(&site.address, "GET /api/v1/openapi.json", &[], b"").json();
    let states = document["components"]["schemas"]["JobState"]["enum"].as_array().unwrap().clone();
    assert!(states.contains(&"already_sent".into()), "{states:?}");
    site.serving.stop().exits(0);
}

#[test]
fn a_run_whose_messages_are_not_all_delivered_is_undelivered() {
    let service = Service::answering(|count, request| {
        if request.path.contains("/chatgroups/7") {
            return service::json(504, "{}");
        }
        if request.path.contains("/messages") && request.json()["to"][0] == "2" {
            return service::json(400, r#"{"error":"illegal_argument","error_description":"no"}"#);
        }
        service::accept(count, request)
    });
    let project = Project::with_script(
        "local schedule = require('schedule')
        local function to(groups, run)
          im.broadcast { name = 'b', run = run, to = groups, message = { from = 'a', type = 'txt', body = { msg = 'x' } } }
        end
        schedule.every('10000h', { name = 'good' }, function(c) to({ '1' }, 'g' .. c.run) end)
        schedule.every('10000h', { name = 'refused' }, function(c) to({ '2', '1' }, 'r' .. c.run) end)
        schedule.every('10000h', { name = 'caught' }, function()
          pcall(im.group_send, { to = '2', from = 'a', type = 'txt', body = { msg = 'x' } })
        end)
        schedule.every('10000h', { name = 'doubtful' }, function()
          pcall(im.request, { method = 'POST', path = '/chatgroups/7/users/bob' })
        end)
        function main() to({ '2' }, 'main') end",
    )
    .file("mooncast.toml", "[permissions]\nrequests = ['POST /chatgroups/*/users/*']\n");
    let site = Site::of_against(project, &service);
    let one = "1 recipient did not get its message";
    let cases = [
        ("good", "done", Value::Null),
        ("refused", "undelivered", json!(one)),
        ("caught", "undelivered", json!(one)),
        ("doubtful", "undelivered", json!("1 call of im.request is in doubt")),
    ];
    for (job, state, note) in cases {
        let said = site.ask(&format!("POST /jobs/{job}/trigger")).json();
        let runs = site.until(&format!("/runs?job={job}"), |runs| !runs[0]["finished_at"].is_null());
        assert_eq!((&runs[0]["run"], &runs[0]["state"]), (&said["run"], &json!(state)), "{job}");
        assert_eq!(runs[0]["note"], note, "{job}");
    }
    site.post("/scripts/run", &json!({ "script": "scripts/main.lua" }));
    let needs = |overview: &Value| -> Vec<(String, String)> {
        let needs = overview["needs"].as_array().unwrap().iter();
        needs
            .filter(|need| need["code"].as_str().unwrap().ends_with("_undelivered"))
            .map(|need| {
                (need["code"].as_str().unwrap().to_owned(), need["text"].as_str().unwrap().to_owned())
            })
            .collect()
    };
    // Doubts are listed on their own, until they are settled.
    let listed = needs(&site.until("/overview", |overview| needs(overview).len() == 3));
    let text = |name: &str| format!("{name} did not deliver everything: {one}");
    assert_eq!(
        listed,
        [
            ("run_undelivered".to_owned(), text("Job caught")),
            ("run_undelivered".to_owned(), text("Job refused")),
            ("request_undelivered".to_owned(), text("The requested run of scripts/main.lua")),
        ]
    );
    for (language, chip, note) in
        [("en", "not all delivered", one), ("zh", "未全部送达", "1 个接收方没有收到消息")]
    {
        let shown = page(&site, "/job?name=refused", language).body;
        assert!(shown.contains("run-undelivered") && shown.contains(chip), "{shown}");
        assert!(page(&site, "/", language).body.contains(note), "{language}");
    }
    let ran =
        site.project.command_against(&service, &["run", "--job", "caught", "scripts/main.lua"]).output();
    Ran::of(&ran.unwrap()).exits(3);
    let shown = site.project.mooncast(&["jobs", "show", "caught"]).exits(0).stdout;
    assert_eq!(shown.matches(" undelivered").count(), 1, "{shown}");
    let shown = site.project.mooncast(&["jobs", "show", "run scripts/main.lua"]).exits(0).stdout;
    assert_eq!(shown.matches(" undelivered").count(), 2, "{shown}");
    let metrics = page(&site, "/metrics", "en").body;
    assert!(metrics.contains("job_name=\"caught\",outcome=\"undelivered\"} 1"), "{metrics}");
    site.serving.stop().exits(0);
}
