//! A list, its form, its rehearsal, the test group and the broadcast: the whole way on the page, in a browser and without a
//! script.
//!
//! Store: file

use serde_json::json;

use super::{Site, browse};
use crate::support::service::Service;
use crate::support::{Project, until};
use crate::web::{Answer, request};

const INVITE: &str = r#"
--- Invites the groups of a list.
--- @arg city string The city to invite to
--- @arg day date The day of the meeting
--- @arg starts datetime When it begins
--- @arg seats integer = 20 How many seats there are
--- @arg tone choice warm|formal = warm How it is said
--- @arg open boolean Whether guests may come
--- @arg note? text What else there is to say
--- @arg list file .csv,.xlsx The groups, with a column group_id
function main(args)
  require("campaign").run({
    name = "invite-" .. args.city, run = args.day, to = args.list, from = "news",
    text = "Hello {{ name }}! " .. (args.tone == "warm" and "We look forward to you" or "You are invited")
      .. " in " .. args.city .. " at " .. args.starts .. ", " .. args.seats .. " seats."
      .. (args.open and " Bring your friends." or "") .. (args.note and "\n\n" .. args.note or ""),
    test = { "900" }, test_as = { name = "Tester" },
  })
end
"#;

/// What is filled in otherwise, the file's name and content, the problem's place, and a part of it.
type WrongForm<'a> = (&'a [(&'a str, &'a str)], Option<(&'a str, &'a [u8])>, &'a str, &'a str);

const LIST: &str = "group_id,name\n101,Ann\n102,Bo\n103,Cyrus of the many morning runners\n102,Bo again\n";

fn recipients(service: &Service) -> Vec<String> {
    let mut all: Vec<String> =
        service.messages().iter().map(|message| message["to"][0].as_str().unwrap().to_owned()).collect();
    all.sort();
    all
}

fn site(service: &Service) -> (Project, Site) {
    let project = Project::with_script(INVITE).file("lists/audience.csv", LIST).file("lists/empty.csv", "");
    let site = Site::start(&project, project.command_against(service, &["serve", "--listen", "127.0.0.1:0"]));
    (project, site)
}

#[test]
fn an_operations_lead_sends_a_list_without_a_terminal() {
    let service = Service::accepting();
    let (project, site) = site(&service);
    let list = project.path("lists/audience.csv").canonicalize().unwrap().display().to_string();
    browse(async {
        let browser = site.operator("en-US").await;
        browser.wait_text("#scripts", "scripts/main.lua").await;
        browser.click("#scripts a[href^='/script/run']").await;
        browser.wait_text("h1", "scripts/main.lua").await;
        let put = async |name: &str, value: &str| {
            let script = format!("document.getElementById('arg-{name}').value = '{value}'");
            browser.client.execute(&script, Vec::new()).await.unwrap();
        };
        let attach = async |path: &str| {
            let field = browser.client.find(fantoccini::Locator::Css("#arg-list")).await.unwrap();
            field.send_keys(path).await.unwrap();
        };
        browser.fill("#arg-city", "Berlin").await;
        put("day", "2026-12-01").await;
        put("starts", "2026-12-01T19:00").await;
        put("tone", "formal").await;
        browser.click("#arg-open").await;
        browser.fill("#arg-note", "Doors open at six.").await;
        // A list without a line: the problem stands beside its field, and the others keep what was filled in.
        attach(&list.replace("audience", "empty")).await;
        browser.click("button[value='rehearse']").await;
        browser.wait_text("#arg-list-problem", "The file is empty.").await;
        assert_eq!(browser.value("document.getElementById('arg-city').value").await, json!("Berlin"));
        assert_eq!(
            browser.value("document.getElementById('arg-starts').value").await,
            json!("2026-12-01T19:00")
        );
        assert_eq!(browser.value("document.getElementById('arg-open').checked").await, json!(true));
        browser.picture("form-problem").await;
        attach(&list).await;
        browser.click("button[value='rehearse']").await;
        browser.wait_text("main", "Ready to send").await;
        browser.wait_text(".figures", "Recipients").await;
        browser.wait_text(".samples", "Hello Ann! You are invited in Berlin at 2026-12-01T19:00").await;
        browser.wait_text(".samples", "Bring your friends.").await;
        browser.wait_text("main", "Listed twice, dropped").await;
        assert!(recipients(&service).is_empty(), "a rehearsal sends nothing");
        browser.picture("rehearsal").await;

        browser.click("a[href$='/test']").await;
        browser.wait_text("dialog[open]", "Only the test group").await;
        browser.click("dialog button").await;
        browser.wait_text("#notice", "Look at them, then send").await;
        until("the test message", || recipients(&service) == ["900"]);
        browser.click("a[href$='/send']").await;
        browser.wait_text("dialog[open]", "rehearsed messages, and nothing else").await;
        browser.picture("rehearsal-send").await;
        browser.click("dialog button").await;
        browser.wait_text("#notice", "sends what was rehearsed").await;
        let all = ["101", "102", "103", "900"];
        until("the broadcast", || recipients(&service) == all);

        // The form is filled again from the rehearsal, with the list.
        browser.open(&site.url("/rehearsals/1")).await;
        browser.click("a[href*='from=1']").await;
        browser.wait_text(".kept", "audience.csv").await;
        assert_eq!(browser.value("document.getElementById('arg-tone').value").await, json!("formal"));
        browser.wait_text("#before-title", "Rehearsals").await;
        browser.close().await;
    });
    let note = service.messages().iter().find(|message| message["to"][0] == "103").unwrap().clone();
    let said = note["body"]["msg"].as_str().unwrap();
    assert!(said.starts_with("Hello Cyrus") && said.ends_with("\n\nDoors open at six."), "{said}");
}

#[test]
fn the_form_and_the_rehearsal_fit_a_telephone_by_day_and_night_in_both_languages() {
    let service = Service::accepting();
    let (_project, site) = site(&service);
    let id = rehearse(&site, &[]);
    browse(async {
        for (language, tag) in [("en-US", "en"), ("zh-CN,zh", "zh-CN")] {
            let browser = site.operator(language).await;
            let places = [
                ("form", "/script/run?name=scripts/main.lua".to_owned()),
                ("rehearsal", format!("/rehearsals/{id}")),
                ("rehearsal-ask", format!("/rehearsals/{id}/send")),
            ];
            for (name, place) in &places {
                browser.open(&site.url(place)).await;
                for (width, height, dark) in
                    [(1280, 900, false), (1280, 900, true), (360, 740, false), (360, 740, true)]
                {
                    browser.show(width, height, dark).await;
                    browser.fits().await;
                    let (hour, screen) =
                        (if dark { "night" } else { "day" }, if width < 400 { "phone" } else { "desk" });
                    browser.picture(&format!("{name}-{tag}-{screen}-{hour}")).await;
                }
            }
            browser.close().await;
        }
    });
}

/// Posts a form as a browser without scripts does.
fn submit(site: &Site, place: &str, fields: &[(&str, &str)], file: Option<(&str, &[u8])>) -> Answer {
    const BOUNDARY: &str = "a-line-between-the-parts";
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend_from_slice(
            format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
                .as_bytes(),
        );
    }
    if let Some((name, content)) = file {
        let head = format!(
            "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"arg.list\"; filename=\"{name}\"\r\ncontent-type: text/csv\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    let bearer = format!("Bearer {}", site.operate);
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let headers =
        [("authorization", bearer.as_str()), ("content-type", kind.as_str()), ("accept", "text/html")];
    request(&site.address, &format!("POST {place}"), &headers, &body)
}

fn get(site: &Site, place: &str) -> String {
    let bearer = format!("Bearer {}", site.operate);
    let answer = request(&site.address, &format!("GET {place}"), &[("authorization", &bearer)], b"");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

/// Fills in the form, with other values where they are given. Returns the number of the rehearsal once it has ended.
fn rehearse(site: &Site, other: &[(&str, &str)]) -> i64 {
    until("the script", || get(site, "/").contains("/script/run?name="));
    let answer = filled(site, other, Some(("audience.csv", LIST.as_bytes())));
    assert_eq!(answer.status, 303, "{answer:?}");
    let id = answer.header("location").unwrap().rsplit('/').next().unwrap().parse().unwrap();
    until("the rehearsal", || !get(site, &format!("/rehearsals/{id}")).contains("http-equiv=\"refresh\""));
    id
}

fn filled(site: &Site, other: &[(&str, &str)], file: Option<(&str, &[u8])>) -> Answer {
    let usual = [
        ("name", "scripts/main.lua"),
        ("arg.city", "Rome"),
        ("arg.day", "2026-12-01"),
        ("arg.starts", "2026-12-01T19:00"),
        ("arg.seats", "7"),
        ("arg.tone", "warm"),
        ("arg.note", ""),
        ("do", "rehearse"),
    ];
    let fields: Vec<(&str, &str)> = usual
        .into_iter()
        .map(|(name, value)| {
            let given = other.iter().find(|(known, _)| *known == name);
            (name, given.map_or(value, |(_, value)| *value))
        })
        .collect();
    submit(site, "/script/run", &fields, file)
}

#[test]
fn the_way_goes_without_a_script_in_the_browser() {
    let service = Service::accepting();
    let (_project, mut site) = site(&service);
    let id = rehearse(&site, &[]);
    let page = get(&site, &format!("/rehearsals/{id}"));
    for said in [
        "Ready to send",
        "Hello Ann! We look forward to you in Rome",
        "7 seats",
        "audience.csv",
        "101, 102, 103",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
    for (act, all) in [("test", &["900"][..]), ("send", &["101", "102", "103", "900"])] {
        let place = format!("/rehearsals/{id}/{act}");
        assert!(page.contains(&format!("href=\"{place}\"")), "{place}: {page}");
        assert!(get(&site, &place).contains(&format!("action=\"{place}\"")));
        assert_eq!(submit(&site, &place, &[], None).status, 303);
        until(act, || recipients(&service) == all);
    }
    // What was sent is not offered again; the run that sends it is.
    let place = format!("/rehearsals/{id}");
    let sent = get(&site, &place);
    assert!(!sent.contains(&format!("{place}/send")) && !sent.contains(&format!("{place}/test")), "{sent}");
    assert!(
        sent.contains("A run was begun to send what was rehearsed") && !sent.contains("Nothing was sent")
    );
    let sent = sent.replace("&#x2f;", "/");
    let run =
        sent.split("href=\"").find(|link| link.starts_with("/run?id=")).unwrap_or_else(|| panic!("{sent}"));
    assert!(get(&site, run.split('"').next().unwrap()).contains("invite-Rome"), "{run}");
    let question = get(&site, &format!("{place}/send"));
    assert!(
        question.contains("rehearse it again") && !question.contains("<button class=\"button main\">Send")
    );
    let again = submit(&site, &format!("{place}/send"), &[], None);
    assert!(again.status == 409 && again.body.contains("was already begun"), "{again:?}");
    assert_eq!(recipients(&service).len(), 4);
    site.stop();
}

#[test]
fn a_body_that_is_too_long_and_other_refusals_are_pages_in_the_readers_language() {
    let service = Service::accepting();
    let (_project, mut site) = site(&service);
    let bearer = format!("Bearer {}", site.operate);
    let kind = ("content-type", "multipart/form-data; boundary=b");
    let head = "--b\r\ncontent-disposition: form-data; name=\"arg.list\"; filename=\"a.csv\"\r\n\r\n";
    let large = [head.as_bytes(), &vec![b'1'; 17 * 1024 * 1024], b"\r\n--b--\r\n"].concat();
    let pages = [
        (
            "en",
            "has more than 16 MiB, which is the limit; remove what is not needed, or split a list",
            "64 KiB",
        ),
        ("zh", "内容超过上限 16 MiB；请删去不需要的部分，或把名单分成几份逐一发送", "64 KiB"),
    ];
    for (language, said, small) in pages {
        let headers = [("authorization", bearer.as_str()), kind, ("accept-language", language)];
        let answer = request(&site.address, "POST /script/run", &headers, &large);
        assert!(answer.status == 413 && answer.body.contains(said), "{} {}", answer.status, answer.body);
        let answer = request(&site.address, "POST /suppressions", &headers, &large[..100_000]);
        assert!(answer.status == 413 && answer.body.contains(small), "{} {}", answer.status, answer.body);
        for body in [&answer.body, &request(&site.address, "GET /broadcasts/x", &headers, b"").body] {
            assert!(body.contains("<h1>") && !body.contains("\"error\""), "{body}");
        }
        let form = ("content-type", "application/x-www-form-urlencoded");
        let headers = [("authorization", bearer.as_str()), form, ("accept-language", language)];
        let answer = request(&site.address, "POST /broadcasts/1/approve", &headers, b"note=x");
        assert_eq!(answer.status, 422, "{answer:?}");
        assert!(answer.body.contains("<h1>") && answer.body.contains("missing field `plan`"), "{answer:?}");
        // The host's name and another page's origin are checked first.
        for odd in [("host", "evil.example"), ("origin", "http://evil.example")] {
            let headers = [&headers[..], &[odd]].concat();
            let answer = request(&site.address, "POST /suppressions", &headers, b"");
            assert!([403, 421].contains(&answer.status) && answer.body.contains("<h1>"), "{answer:?}");
        }
    }
    // Programs get JSON.
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/octet-stream")];
    let answer = request(&site.address, "POST /api/v1/run-files?name=a.csv", &headers, &large);
    assert!(
        answer.status == 413 && answer.json()["error"].as_str().unwrap().contains("16 MiB"),
        "{answer:?}"
    );
    site.stop();
}

#[test]
fn problems_stand_beside_their_fields_and_hostile_forms_are_refused() {
    let service = Service::accepting();
    let (project, mut site) = site(&service);
    let id = rehearse(&site, &[]);
    let list = Some(("audience.csv", LIST.as_bytes()));
    let cases: &[WrongForm] = &[
        (&[("arg.city", " ")], list, "arg-city-problem", "A value is needed."),
        (&[("arg.city", "<script>\u{7}")], list, "arg-city-problem", "One line of text"),
        (&[("arg.day", "2026-02-30")], list, "arg-day-problem", "A date that exists"),
        (&[("arg.starts", "soon")], list, "arg-starts-problem", "A date and a time"),
        (&[("arg.seats", "many")], list, "arg-seats-problem", "A whole number"),
        (&[("arg.tone", "rude")], list, "arg-tone-problem", "warm, formal"),
        (&[], None, "arg-list-problem", "A value is needed."),
        (&[], Some(("audience.txt", b"101")), "arg-list-problem", "must end with .csv or .xlsx"),
        (&[], Some(("a/../../b.csv", b"101")), "arg-list-problem", "name is not usable"),
        (&[], Some((".csv", b"101")), "arg-list-problem", "name is not usable"),
        (&[], Some(("a.csv", b"")), "arg-list-problem", "The file is empty."),
    ];
    for (other, file, field, said) in cases {
        let answer = filled(&site, other, *file);
        assert_eq!(answer.status, 422, "{other:?}: {answer:?}");
        let after = answer.body.split(&format!("id=\"{field}\"")).nth(1).unwrap_or_default();
        let problem = after.split("</p>").next().unwrap();
        assert!(problem.contains(said), "{other:?} {field}: {problem}");
        assert!(!answer.body.contains("<script>\u{7}"), "{}", answer.body);
        assert_eq!(answer.body.matches("class=\"problem\"").count(), 1, "{other:?}: {}", answer.body);
    }
    assert!([400, 422].contains(&filled(&site, &[], Some(("\u{1}.csv", b"101"))).status));
    let bearer = format!("Bearer {}", site.operate);
    for (kind, body) in [
        ("multipart/form-data", &b"x"[..]),
        ("multipart/form-data; boundary=b", b"--b\r\ncontent-disposition: form-data; name=\"na"),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\ncontent-disposition: form-data; name=\"name\"\r\n\r\n\xff\r\n--b--\r\n",
        ),
        ("application/x-www-form-urlencoded", b"%ff=%"),
        ("text/plain", b"name=scripts/main.lua"),
    ] {
        let headers = [("authorization", bearer.as_str()), ("content-type", kind)];
        let answer = request(&site.address, "POST /script/run", &headers, body);
        assert!([400, 404, 415].contains(&answer.status), "{kind}: {answer:?}");
    }
    // Neither a field of another name nor a missing act runs anything.
    assert_eq!(filled(&site, &[("do", "")], list).status, 400);

    // A changed script is rehearsed again before it is sent.
    project.write("scripts/main.lua", INVITE.replace("Hello", "Good evening"));
    until("the new version", || get(&site, &format!("/rehearsals/{id}")).contains("has changed since"));
    let answer = submit(&site, &format!("/rehearsals/{id}/send"), &[], None);
    assert_eq!(answer.status, 409, "{answer:?}");
    assert!(!get(&site, &format!("/rehearsals/{id}")).contains("/send\""));
    assert!(recipients(&service).is_empty());
    site.stop();
}
