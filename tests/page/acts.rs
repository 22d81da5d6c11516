//! The operators' actions on the page, and the page's messages about them.
//!
//! Store: file

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fantoccini::key::Key;
use serde_json::json;

use super::{NEWS, Site, browse};
use crate::support::Project;
use crate::support::service::{Service, accept, json as answer};

/// The card of a broadcast on the overview.
const CARD: &str = "#running article";

#[test]
fn a_broadcast_is_run_watched_paused_resumed_and_comes_to_its_end() {
    let project = Project::with_script(NEWS);
    let site = Site::simulated(&project);
    browse(async {
        let browser = site.operator("en-US").await;
        browser.wait_text("#running", "No broadcast is running").await;
        browser.picture("first-quiet").await;
        browser.click("a[href='/job/trigger?name=news']").await;
        browser.wait_text("dialog[open]", "Run news now?").await;
        browser.picture("dialog-run").await;
        browser.click("dialog button").await;
        browser.wait_text("#notice", "news is requested: run ").await;
        browser.wait_text(CARD, "news/1").await;
        // While the plan is built, the number of pending recipients still grows.
        browser.wait_text("#running .chip", "running").await;
        browser.wait_text("#running .counts dt", "Sent").await;

        // After a reload half-way, the page shows the current state.
        browser.client.refresh().await.unwrap();
        let counts = "[...document.querySelectorAll('#running .counts dd')].map((one) => Number(one.innerText.replace(',', ''))).reduce((a, b) => a + b, 0)";
        assert_eq!(browser.value(counts).await, json!(2000));
        browser.picture("first-running").await;

        browser.click("#running a[href$='/pause']").await;
        browser.wait_text("dialog[open]", "Pause news/1?").await;
        browser.wait_text("dialog[open]", "pending recipients wait until the broadcast is resumed").await;
        browser.click("dialog button").await;
        browser.wait_text("#notice", "news/1 is being paused.").await;
        browser.wait_text(CARD, "Paused until resumed").await;
        assert_eq!(browser.text("#running .chip").await, "paused");
        browser.picture("first-paused").await;
        let listed = project.mooncast(&["runs", "list", "--unfinished"]).exits(0).stdout;
        assert!(listed.contains("paused"), "{listed}");

        // A cancelled dialog changes nothing.
        browser.click("#running a[href$='/cancel']").await;
        browser.wait_text("dialog[open]", "get nothing").await;
        browser.picture("dialog-cancel").await;
        browser.press(Key::Escape, 1).await;
        browser.wait("document.querySelector('dialog[open]') === null").await;
        assert_eq!(browser.text("#running .chip").await, "paused");

        browser.click("#running a[href$='/resume']").await;
        browser.wait_text("dialog[open]", "Resume news/1?").await;
        browser.click("dialog button").await;
        browser.wait_text("#finished", "news/1").await;
        browser.wait_text("#running", "No broadcast is running").await;
        browser.wait_text("#finished", "2,000").await;
        browser.click("#finished a[href='/broadcasts/1']").await;
        browser.wait_text("#recipients", "184524748161100").await;
        browser.picture("broadcast-finished").await;
        browser.close().await;
    });
}

#[test]
fn a_broadcast_is_cancelled_from_its_own_page_with_the_numbers_said_before() {
    let project = Project::with_script(NEWS);
    let site = Site::simulated(&project);
    project.mooncast(&["jobs", "trigger", "slow"]).exits(0);
    browse(async {
        let browser = site.operator("en-US").await;
        browser.click(&format!("{} h3 a", "#running article")).await;
        browser.wait("document.querySelector('.tiles li strong').innerText !== '0'").await;
        browser.wait_text("#broadcast", "/s of 2/s").await;
        browser.picture("broadcast-running").await;
        browser.click("#broadcast a[href$='/cancel']").await;
        browser.wait_text("dialog[open]", "Cancel slow/1?").await;
        let said = browser.text("dialog p").await;
        let pending: u64 = said.split(' ').next().unwrap().parse().unwrap();
        assert!((1..500).contains(&pending) && said.contains("that have the message keep it"), "{said}");
        browser.click("dialog button").await;
        browser.wait_text("#notice", "slow/1 is cancelled").await;
        browser.wait_text("#broadcast .chip", "cancelled").await;
        let (sent, cancelled) = (
            browser.number("a[href*='=sent'] strong").await,
            browser.number("a[href*='=cancelled'] strong").await,
        );
        assert_eq!(sent + cancelled, 500);
        assert!(cancelled <= pending && sent > 0, "{sent} {cancelled} {pending}");
        browser.click("#broadcast a[href*='=cancelled']").await;
        browser.wait("document.querySelectorAll('#recipients tbody tr').length === 100").await;
        browser.click("#recipients a[rel=next]").await;
        browser.wait_text("#recipients .pages", "First page").await;
        let states = "new Set([...document.querySelectorAll('#recipients tbody .state')].map((one) => one.innerText)).size";
        assert_eq!(browser.value(states).await, json!(1));
        browser.picture("broadcast-cancelled").await;
        browser.close().await;
    });
}

#[test]
fn doubts_are_settled_and_the_refused_are_sent_to_again() {
    let good = Arc::new(AtomicBool::new(false));
    let is_good = Arc::clone(&good);
    let service = Service::answering(move |number, request| {
        let group = request.json()["to"][0].as_str().unwrap_or_default().to_owned();
        match group.as_str() {
            _ if is_good.load(Ordering::SeqCst) => accept(number, request),
            // The service gives no receipt, so it is unknown whether the message was accepted.
            "3" | "4" | "5" => answer(200, "{\"data\": {}}"),
            "8" => answer(400, r#"{"error":"illegal_argument","error_description":"no such <b>group</b>"}"#),
            _ => accept(number, request),
        }
    });
    let project = Project::with_script(
        "require('schedule').every('10000h', { name = 'news' }, function()
          im.broadcast { name = 'news', run = '1', to = { 1, 2, 3, 4, 5, 6, 7, 8 }, message = { type = 'txt', body = { msg = 'x' } } }
        end)",
    );
    let site =
        Site::start(&project, project.command_against(&service, &["serve", "--listen", "127.0.0.1:0"]));
    project.mooncast(&["jobs", "trigger", "news"]).exits(0);
    browse(async {
        let browser = site.operator("en-US").await;
        browser.click("#finished a[href='/broadcasts/1']").await;
        browser.wait_text("#recipients", "no such <b>group</b>").await;
        assert_eq!(browser.number("a[href*='=in_doubt'] strong").await, 3);
        browser.picture("broadcast-doubts").await;
        browser.click("a[href$='/settle_as_sent']").await;
        browser.wait_text("dialog[open]", "3 recipients are in doubt: they may have the message").await;
        browser.picture("dialog-settle").await;
        browser.click("dialog button").await;
        browser.wait_text("#notice", "3 recipients of news/1 count as sent.").await;
        browser.wait("document.querySelector(\"a[href$='/settle_as_sent']\") === null").await;
        assert_eq!(browser.number("a[href*='=sent'] strong").await, 7);
        good.store(true, Ordering::SeqCst);
        browser.click("a[href$='/retry']").await;
        browser.wait_text("dialog[open]", "The service refused 1 recipient").await;
        browser.click("dialog button").await;
        browser.wait("document.querySelector(\"a[href*='=sent'] strong\").innerText === '8'").await;
        browser.close().await;
    });
    // A recipient that was settled as sent did not get the message again.
    assert_eq!(service.messages().len(), 9);
}

#[test]
fn a_job_is_run_and_paused_with_the_keyboard_alone() {
    let project = Project::with_script(NEWS);
    let site = Site::simulated(&project);
    browse(async {
        let browser = site.operator("en-US").await;
        browser.client.refresh().await.unwrap();
        browser.wait("document.querySelector('#live.on') !== null").await;
        browser.press(Key::Tab, 1).await;
        assert_eq!(browser.value("document.activeElement.className").await, json!("skip"));
        browser.picture("keyboard-skip").await;
        browser.press(Key::Enter, 1).await;
        let is = "document.activeElement.getAttribute('aria-label') === 'Pause: quick'";
        for _ in 0..40 {
            browser.press(Key::Tab, 1).await;
            if browser.value(is).await == json!(true) {
                break;
            }
        }
        assert_eq!(browser.value(is).await, json!(true));
        let outlined = "getComputedStyle(document.activeElement).outlineStyle";
        assert_eq!(browser.value(outlined).await, json!("solid"));
        browser.press(Key::Enter, 1).await;
        browser.wait_text("dialog[open]", "Pause quick?").await;
        browser.wait("document.activeElement.matches('dialog button')").await;
        browser.picture("keyboard-dialog").await;
        browser.press(Key::Enter, 1).await;
        browser.wait_text("#notice", "quick is paused").await;
        browser.wait("document.querySelector(\"a[href='/job/resume?name=quick']\") !== null").await;
        // The focus is on the button that replaced the pressed one.
        browser.wait("document.activeElement.getAttribute('aria-label') === 'Resume: quick'").await;
        browser.press(Key::Enter, 1).await;
        browser.wait_text("dialog[open]", "Resume quick?").await;
        browser.press(Key::Enter, 1).await;
        browser.wait_text("#notice", "quick runs again").await;
        browser.close().await;
    });
}

#[test]
fn a_script_is_run_with_arguments() {
    let project = Project::with_script("function main(args) print('asked', table.concat(args, '+')) end");
    let site = Site::simulated(&project);
    browse(async {
        let browser = site.operator("en-US").await;
        browser.click("#scripts a[data-ask]").await;
        browser.wait_text("dialog[open]", "Run scripts/main.lua now?").await;
        browser.fill("dialog textarea", "first one\nsecond").await;
        browser.picture("dialog-script").await;
        browser.click("dialog button").await;
        browser.wait_text("#notice", "scripts/main.lua is requested: run ").await;
        site.serving.as_ref().unwrap().prints("asked\tfirst one+second", 1);
        browser.open(&site.url("/job?name=run%20scripts/main.lua")).await;
        browser.wait_text("#runs", "done").await;
        browser.wait_text("#runs", "first one second").await;
        browser.picture("script-runs").await;
        browser.close().await;
    });
}

#[test]
fn the_text_of_a_broadcast_is_corrected() {
    let project = Project::with_script(NEWS);
    let site = Site::simulated(&project);
    project.mooncast(&["jobs", "trigger", "quick"]).exits(0);
    browse(async {
        let browser = site.operator("en-US").await;
        browser.wait_text("#finished", "quick/1").await;
        browser.open(&site.url("/broadcasts/1")).await;
        browser.click("a[href='/broadcasts/1/edit']").await;
        browser.wait_text("dialog[open]", "Correct the text of quick/1?").await;
        browser.wait_text("dialog[open]", "The messages to 3 recipients get this text").await;
        // The question begins with the text as it is.
        assert_eq!(browser.value("document.querySelector('dialog textarea').value").await, json!("quick"));
        browser.fill("dialog textarea", " fix").await;
        browser.picture("dialog-edit").await;
        browser.click("dialog button").await;
        browser.wait_text("#notice", "3 messages of quick/1 get the new text").await;
        browser.open(&site.url("/broadcasts/2")).await;
        browser.wait_text("#broadcast", "quick.edit").await;
        browser.wait_text("#broadcast", "Corrects the messages of quick/1").await;
        browser.wait_text("#broadcast", "finished").await;
        browser.picture("broadcast-edit").await;
        browser.close().await;
    });
    project
        .mooncast(&["runs", "--simulator", "show", "quick.edit"])
        .exits(0)
        .prints("corrects quick/1")
        .prints("sent       3");
}
