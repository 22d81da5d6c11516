//! Changes without a click: scripts, restarts, hidden tabs.
//!
//! Store: file

use std::time::Duration;

use mooncast::{Clock, Ledger, NewActivity};
use serde_json::json;

use super::{NEWS, Site, browse};
use crate::support::Project;

#[test]
fn the_last_hour_is_drawn_below_its_quota_and_told_in_numbers() {
    let project = Project::with_script(NEWS);
    let clock = Clock::real();
    let place = project.simulate("");
    let written = clock.block_on(async {
        let ledger = Ledger::open_at(&place, clock.clone()).await.unwrap();
        let app = ledger.app("an app").await.unwrap();
        let now = clock.unix_time();
        let span = |ago: u64| {
            let sent = if ago % 90 < 60 { 9_000 - ago * 20 } else { 0 };
            let throttled = if ago % 40 == 7 { 400 } else { 0 };
            NewActivity {
                app,
                quota: "group messages",
                at: now.saturating_sub(Duration::from_secs(ago * 10)),
                sent,
                throttled,
            }
        };
        let news: Vec<NewActivity> = (20..350).rev().map(span).collect();
        ledger.add_activity(&news).await.unwrap();
        news.iter().map(|one| one.sent).sum::<u64>()
    });
    let written = written.unwrap();
    let site = Site::simulated(&project);
    browse(async {
        let browser = site.operator("en-US").await;
        let said = browser.text("#chart-said").await;
        assert!(said.starts_with(&format!("{},", written / 1_000_000)), "{said} {written}");
        let total = "[...document.querySelectorAll('#chart tbody td:nth-child(2)')].reduce((sum, one) => sum + Number(one.textContent.replaceAll(',', '')), 0)";
        assert_eq!(browser.value(total).await, json!(written));
        let quota = "document.querySelector('#chart .quota').getBoundingClientRect().top > document.querySelector('#chart svg').getBoundingClientRect().top";
        assert_eq!(browser.value(quota).await, json!(true));
        // An unfolded section stays unfolded while everything around it changes.
        browser.click("#chart summary").await;
        project.mooncast(&["jobs", "trigger", "slow"]).exits(0);
        browser.wait_text("#running", "slow/1").await;
        assert_eq!(browser.value("document.querySelector('#chart details').open").await, json!(true));
        browser.picture("first-chart-day").await;
        browser.show(1280, 900, true).await;
        browser.picture("first-chart-night").await;
        browser.close().await;
    });
}

#[test]
fn a_stale_script_is_shown_with_its_line_until_it_is_mended() {
    let project = Project::with_script(NEWS);
    let site = Site::simulated(&project);
    browse(async {
        let browser = site.operator("en-US").await;
        browser.wait_text("#scripts", "scripts/main.lua").await;
        project.write("scripts/main.lua", format!("{NEWS}\nlocal = 3\n"));
        browser.wait_text("#scripts .stale", "1 script failed to load").await;
        browser.wait_text("#scripts .stale pre", "scripts/main.lua:14").await;
        browser.wait_text("#scripts .stale", "keeps running").await;
        browser.picture("first-stale").await;
        project.write("scripts/main.lua", format!("{NEWS}\njob('another', 1)\n"));
        browser.wait_text("#jobs", "another").await;
        browser.wait("document.querySelector('#scripts .stale') === null").await;
        browser.close().await;
    });
}

#[test]
fn a_page_says_since_when_it_hears_nothing_and_goes_on_after_a_restart() {
    let project = Project::with_script(NEWS);
    let mut site = Site::simulated(&project);
    project.mooncast(&["jobs", "trigger", "quick"]).exits(0);
    browse(async {
        let browser = site.operator("en-US").await;
        browser.wait_text("#finished", "quick/1").await;
        browser.wait("document.querySelector('#lost').hidden").await;
        site.stop();
        browser.wait_text("#lost", "Disconnected since").await;
        assert_eq!(browser.value("document.querySelector('#live').className").await, json!("live off"));
        browser.picture("first-lost").await;
        // While the daemon is unreachable, the page does not report that an action was done.
        browser.click("a[href='/job/trigger?name=quick']").await;
        browser.wait_text("#notice", "The daemon did not answer").await;
        site.again(&project);
        browser.wait("document.querySelector('#lost').hidden && document.querySelector('#live.on')").await;
        project.mooncast(&["jobs", "trigger", "news"]).exits(0);
        browser.wait_text("#running", "news/1").await;
        browser.wait_text("#finished", "quick/1").await;
        browser.close().await;
    });
}

#[test]
fn a_session_ends_with_its_token() {
    let project = Project::with_script(NEWS);
    let site = Site::simulated(&project);
    browse(async {
        let browser = site.operator("en-US").await;
        project.mooncast(&["tokens", "renew"]).exits(0);
        browser.wait("location.pathname === '/login'").await;
        browser.fill("#token", &site.operate).await;
        browser.click("main button").await;
        browser.wait_text("#wrong", "This token was revoked, or its time is over").await;
        browser.picture("login-wrong").await;
        browser.close().await;
    });
}
