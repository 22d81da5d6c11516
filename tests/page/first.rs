//! The first page leads to what waits for a person, by keyboard; and times are those of the browser, also when it moved.
//!
//! Store: file

use serde_json::json;

use super::{NEWS, Site, browse};
use crate::support::Project;

#[test]
fn a_failed_job_is_mended_from_the_top_of_the_first_page_by_keyboard() {
    let project = Project::with_script(format!(
        "{NEWS}\nschedule.every('10000h', {{ name = 'boom' }}, function() error('the list is empty') end)"
    ));
    let site = Site::simulated(&project);
    browse(async {
        let browser = site.operator("en-US").await;
        browser.wait_text("#needs", "Nothing waits for you.").await;
        project.mooncast(&["jobs", "trigger", "boom"]).exits(0);
        browser.wait_text("#needs", "Job boom failed: scripts/main.lua").await;
        let first = "document.querySelector('main a').closest('#needs') !== null";
        assert_eq!(browser.value(first).await, json!(true));
        browser.value("document.querySelector('#needs a').focus()").await;
        browser.press(fantoccini::key::Key::Enter, 1).await;
        browser.wait("location.pathname === '/run'").await;
        browser.wait_text("#output", "the list is empty").await;
        browser.close().await;
    });
}

#[test]
fn a_browser_that_moved_sees_its_own_times_at_once() {
    let project = Project::with_script(NEWS);
    let site = Site::simulated(&project);
    project.mooncast(&["jobs", "trigger", "quick"]).exits(0);
    browse(async {
        let browser = site.operator("en-US").await;
        browser.wait("document.querySelector('#finished tbody a') !== null").await;
        for (zone, language) in [("Asia/Tokyo", "en"), ("America/St_Johns", "zh")] {
            browser.open(&site.url(&format!("/language/{language}?next=/broadcasts"))).await;
            browser.travel(zone).await;
            browser.open(&site.url("/broadcasts/1")).await;
            // The server rendered the times in the zone before.
            assert_ne!(browser.value("document.body.dataset.zone").await, json!(zone));
            let moved = browser
                .value("[...document.querySelectorAll('#recipients time')].map((time) => time.textContent)")
                .await;
            let facts = browser.value("document.querySelector('#zone').textContent").await;
            assert!(facts.as_str().unwrap().ends_with(zone), "{facts}");
            // Now it knows, and renders the same.
            browser.open(&site.url("/broadcasts/1")).await;
            assert_eq!(browser.value("document.body.dataset.zone").await, json!(zone));
            let rendered = browser
                .value("[...document.querySelectorAll('#recipients time')].map((time) => time.textContent)")
                .await;
            assert_eq!(moved, rendered);
            assert_eq!(moved.as_array().unwrap().len(), 3);
        }
        browser.close().await;
    });
}
