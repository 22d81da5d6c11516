//! The ten tasks of somebody who leads operations, each on the page and none in a terminal: a list from a colleague, its
//! form, its rehearsal, the test group, the approval of a second person, the broadcast, a recipient's message, a correction
//! with its own approval, and the export.
//!
//! Store: file

use serde_json::json;

use super::browser::Browser;
use super::{Site, after, browse};
use crate::approval::token;
use crate::book::workbook;
use crate::support::{Project, until};

const MEET: &str = r#"
--- Invites the groups of a list to a meeting.
--- @arg city string The city of the meeting
--- @arg list file .csv,.xlsx The groups, with a column group_id
function main(args)
  require("campaign").run({
    name = "meet-" .. args.city, run = "1", to = args.list, from = "news",
    text = "We mete in " .. args.city .. ".", test = { "900" },
  })
end
"#;

const SETTINGS: &str =
    "[app.limits]\ngroup_per_second = 1000\nedit_per_second = 1000\n\n[approval]\nover = 2\n";

/// Approves what the page shows, and waits until its chip says so.
async fn approve(browser: &Browser, note: &str) {
    browser.click("#broadcast a[href$='/approve']").await;
    browser.wait_text("dialog[open]", "Approve ").await;
    browser.fill("dialog #note", note).await;
    browser.click("dialog button").await;
    browser.wait_text("#broadcast .chip", "finished").await;
}

#[test]
fn ten_tasks_are_done_by_two_people_without_a_terminal() {
    let service = after::moderating();
    let recipients = || -> Vec<String> {
        let sent = after::requests(&service, "/messages/chatgroups");
        let mut all: Vec<String> =
            sent.iter().map(|one| one.json()["to"][0].as_str().unwrap().to_owned()).collect();
        all.sort();
        all
    };
    let rewritten = || after::requests(&service, "/messages/rewrite/").len();
    let project = Project::with_script(MEET).file("mooncast.toml", SETTINGS);
    let list = project.path("from a colleague.xlsx");
    std::fs::write(&list, workbook("name,group_id\nAnn,101\nBo,102\nCyrus,103\nBo again,102\n")).unwrap();
    let list = list.canonicalize().unwrap().display().to_string();
    let [ann, bob] = [("ann", "operator"), ("bob", "approver")]
        .map(|(name, role)| token(&project, name, &["--role", role]));
    let site =
        Site::start(&project, project.command_against(&service, &["serve", "--listen", "127.0.0.1:0"]));
    browse(async {
        let lead = Browser::start("en-US").await;
        site.log_in(&lead, &ann).await;
        // 1 and 2: the list, in the form of its script.
        lead.click("#scripts a[href^='/script/run']").await;
        lead.wait_text("h1", "scripts/main.lua").await;
        lead.fill("#arg-city", "Berlin").await;
        let field = lead.client.find(fantoccini::Locator::Css("#arg-list")).await.unwrap();
        field.send_keys(&list).await.unwrap();
        // 3: the rehearsal.
        lead.click("button[value='rehearse']").await;
        lead.wait_text("main", "Ready to send").await;
        lead.wait_text(".samples", "We mete in Berlin.").await;
        lead.wait_text("main", "Listed twice, dropped").await;
        assert!(recipients().is_empty(), "a rehearsal sends nothing");
        lead.picture("tasks-rehearsal").await;
        // 4: the test group.
        lead.click("a[href$='/test']").await;
        lead.click("dialog button").await;
        until("the test message", || recipients() == ["900"]);
        // 5: it is sent, and waits for a second person.
        lead.click("a[href$='/send']").await;
        lead.wait_text("dialog[open]", "rehearsed messages, and nothing else").await;
        lead.click("dialog button").await;
        lead.wait_text("#notice", "sends what was rehearsed").await;
        lead.open(&site.url("/")).await;
        lead.wait_text("#needs", "meet-Berlin/1").await;
        lead.click("#needs a").await;
        lead.wait_text("#broadcast .chip", "awaiting approval").await;
        lead.picture("tasks-waits").await;

        // 6: the approval, by another login.
        let second = Browser::start("en-US").await;
        site.log_in(&second, &bob).await;
        second.wait_text("#needs", "meet-Berlin/1").await;
        second.click("#needs a").await;
        second.wait_text("#broadcast .chip", "awaiting approval").await;
        assert_eq!(recipients(), ["900"], "nothing goes before the approval");
        second.picture("tasks-approver").await;
        let waiting = second.client.current_url().await.unwrap();
        second.click("#outlook a[href^='/rehearsals/']").await;
        second.wait_text("h1", "main.lua").await;
        second.open(waiting.as_ref()).await;
        approve(&second, "looks right").await;
        assert_eq!(recipients(), ["101", "102", "103", "900"]);

        // 7 and 8: the broadcast goes, and a recipient's message is looked at.
        lead.wait_text("#broadcast .chip", "finished").await;
        lead.wait_text("#recipients", "103").await;
        lead.click("#recipients tbody a[href*='/recipients/']").await;
        lead.wait_text("main", "We mete in Berlin.").await;
        lead.picture("tasks-message").await;

        // 9: a mistake is corrected, which a second person approves too.
        lead.client.back().await.unwrap();
        lead.click("a[href$='/edit']").await;
        lead.wait_text("dialog[open]", "Correct the text of meet-Berlin/1?").await;
        lead.value("document.querySelector('dialog textarea').value = 'We meet in Berlin.'").await;
        lead.click("dialog button").await;
        lead.wait_text("#notice", "3 messages of meet-Berlin/1 get the new text.").await;
        second.open(&site.url("/")).await;
        second.wait_text("#needs", "meet-Berlin.edit").await;
        assert_eq!(rewritten(), 0, "no edit goes before its approval");
        second.click("#needs a").await;
        approve(&second, "yes, meet").await;
        assert_eq!(rewritten(), 3);
        second.close().await;

        // 10: the export, for the colleague.
        lead.open(&site.url("/broadcasts")).await;
        lead.click("main a[href^='/broadcasts/']").await;
        let place =
            lead.value("document.querySelector('a[download][href*=\"format=csv\"]').getAttribute('href')");
        let place = place.await.as_str().unwrap().to_owned();
        let read = format!("await (await fetch('{place}')).text()");
        let csv = lead.value(&format!("(async () => {read})()")).await;
        let csv = csv.as_str().unwrap();
        for id in ["101", "102", "103"] {
            assert!(csv.contains(id), "{id}: {csv}");
        }
        lead.close().await;
    });
    let audit = project.mooncast(&["audit"]).exits(0).stdout;
    for act in ["script.rehearse", "script.run", "broadcast.approve", "broadcast.edit"] {
        assert!(audit.contains(act), "{act}: {audit}");
    }
    let edit = &after::requests(&service, "/messages/rewrite/")[0].json();
    assert_eq!(edit["new_msg"], json!({ "type": "txt", "msg": "We meet in Berlin." }));
}
