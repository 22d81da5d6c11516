//! Single sends in doubt and an interrupted broadcast on the page.

use super::{Site, browse};
use crate::support::service::Service;
use crate::support::{Project, Ran};

const SCRIPT: &str = r#"
function main(args)
  if args[1] == "once" then
    im.group_send({ to = "184524748161025", type = "txt", body = { msg = "hi" } }, { once = "order 7" })
  else
    local groups = {}
    for i = 1, 200 do groups[i] = 184524748161000 + i end
    im.broadcast { name = "notice", to = groups, message = { type = "txt", body = { msg = "hi" } } }
  end
end
"#;

#[test]
fn doubts_are_settled_and_an_interrupted_broadcast_is_resumed_from_the_page() {
    let service = Service::accepting();
    let project =
        Project::with_script(SCRIPT).file("mooncast.toml", "[app.limits]\ngroup_per_second = 1000\n");
    for (what, point) in [("once", "after-request:1"), ("notice", "after-request:60")] {
        let mut command = project.command_against(&service, &["run", "scripts/main.lua", what]);
        let ran = Ran::of(&command.env("MOONCAST_FAIL_POINT", point).output().unwrap());
        assert_eq!(ran.status, None, "{ran:#?}");
    }
    let site =
        Site::start(&project, project.command_against(&service, &["serve", "--listen", "127.0.0.1:0"]));
    browse(async {
        for (language, tag) in [("en-US", "en"), ("zh-CN,zh", "zh-CN")] {
            let browser = site.operator(language).await;
            browser.wait("document.querySelector('#doubts table') !== null").await;
            browser.wait("document.querySelector('#running .chip.is-interrupted') !== null").await;
            for (width, height, dark) in [(1280, 900, false), (1280, 900, true), (360, 740, false)] {
                browser.show(width, height, dark).await;
                browser.fits().await;
                let screen = if width < 400 { "phone" } else { "desk" };
                let hour = if dark { "night" } else { "day" };
                browser.picture(&format!("doubts-{tag}-{screen}-{hour}")).await;
            }
            browser.open(&site.url("/broadcasts/1?state=sent")).await;
            browser.show(1280, 900, false).await;
            browser.picture(&format!("interrupted-{tag}")).await;
            browser.open(&site.url("/sends/1/settle_again")).await;
            browser.picture(&format!("doubts-ask-{tag}")).await;
            browser.close().await;
        }
        let browser = site.operator("en-US").await;
        browser.click("#doubts a[href$='/settle_as_sent']").await;
        browser.wait_text("dialog[open]", "Count single send 1 (order 7) as sent?").await;
        browser.click("dialog button").await;
        browser.wait_text("#notice", "Single send 1 counts as sent.").await;
        browser.wait("document.querySelector('#doubts table') === null").await;
        browser.click("#running a[href$='/resume']").await;
        browser.wait_text("dialog[open]", "Resume notice/1?").await;
        browser.click("dialog button").await;
        browser.wait_text("#finished", "notice").await;
        browser.close().await;
    });
}
