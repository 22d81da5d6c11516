//! An approval on the page: who began a broadcast sees that another person must approve it, and the other person does.

use super::{Site, browse};
use crate::approval::{SCRIPT, project_with, token};
use crate::support::{Project, until};

fn site(project: &Project) -> Site {
    project.simulate("[approval]\nover = 2\n");
    Site::start(project, project.command(&["serve", "--listen", "127.0.0.1:0"]))
}

#[test]
fn a_second_person_approves_on_the_page_and_the_broadcast_goes() {
    let project = project_with(SCRIPT, "");
    let site = site(&project);
    let ann = token(&project, "ann", &["--role", "approver"]);
    let [olga, bob] = [("olga", "operator"), ("bob", "approver")]
        .map(|(name, role)| token(&project, name, &["--role", role]));
    browse(async {
        let browser = super::Browser::start("en-US").await;
        site.log_in(&browser, &ann).await;
        browser.open(&site.url("/script/run?name=scripts/main.lua")).await;
        browser.click("button[value='run']").await;
        until("it waits", || project.mooncast(&["runs", "list"]).stdout.contains("awaiting_approval"));
        browser.open(&site.url("/broadcasts/1")).await;
        browser.wait_text("#broadcast .chip", "awaiting approval").await;
        browser.wait_text("#approval", "You began this broadcast or changed its plan").await;
        assert_eq!(
            browser.value("document.querySelectorAll(\"#broadcast a[href$='/approve']\").length").await,
            serde_json::json!(0)
        );
        for (width, height, dark) in [(1280, 900, false), (360, 740, true)] {
            browser.show(width, height, dark).await;
            browser.fits().await;
            browser.picture(&format!("approval-own-{width}")).await;
        }
        browser.close().await;

        // An operator sees who may approve it.
        let browser = super::Browser::start("en-US").await;
        site.log_in(&browser, &olga).await;
        browser.open(&site.url("/broadcasts/1")).await;
        browser.wait_text("#approval", "mooncast runs approve 1").await;
        assert_eq!(
            browser.value("document.querySelectorAll(\"#broadcast a[href$='/approve']\").length").await,
            serde_json::json!(0)
        );
        browser.close().await;

        let browser = super::Browser::start("zh-CN,zh").await;
        site.log_in(&browser, &bob).await;
        browser.open(&site.url("/broadcasts/1")).await;
        browser.wait_text("#broadcast .chip", "等待审批").await;
        for (width, height, dark) in [(1280, 900, false), (1280, 900, true), (360, 740, false)] {
            browser.show(width, height, dark).await;
            browser.fits().await;
            browser.picture(&format!("approval-zh-{width}-{}", if dark { "night" } else { "day" })).await;
        }
        browser.show(1280, 900, false).await;
        browser.click("#broadcast a[href$='/approve']").await;
        browser.wait_text("dialog[open]", "批准 news/1？").await;
        browser.picture("dialog-approve").await;
        browser.fill("dialog #note", "看过了").await;
        browser.click("dialog button").await;
        browser.wait_text("#notice", "news/1 已批准").await;
        browser.wait_text("#broadcast .chip", "已完成").await;
        browser.wait_text("#approval", "bob").await;
        // Without a reload, nothing on the page says that it waits still.
        browser.wait("document.getElementById('outlook').hidden").await;
        browser.wait("!document.querySelector('#recipient_list .s-pending')").await;
        browser.wait_text("#recipient_list tbody", "已发送").await;
        // Hashes are long words.
        browser.open(&site.url("/audit")).await;
        browser.wait_text("main", "broadcast.approve").await;
        for (width, height) in [(1280, 900), (390, 844), (360, 740)] {
            browser.show(width, height, false).await;
            browser.fits().await;
            browser.picture(&format!("audit-zh-{width}")).await;
        }
        browser.close().await;
    });
    let shown = project.mooncast(&["runs", "show", "news"]).exits(0);
    assert!(shown.stdout.contains("approved by bob") && shown.stdout.contains("看过了"), "{shown:?}");
}
