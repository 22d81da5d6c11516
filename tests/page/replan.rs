//! A broadcast whose inputs changed, on the page: the differences, and the two ways to continue.
//!
//! Store: file

use super::{Site, browse};
use crate::support::service::Service;
use crate::support::{Project, Ran};

const SCRIPT: &str = r#"
function main(args)
  im.broadcast({ name = "news", to = "groups.csv", rate = 100,
    message = function(row) return { type = "txt", body = { msg = require("words") .. row.group_id } } end })
end
"#;

fn groups(all: impl IntoIterator<Item = u32>) -> String {
    all.into_iter().fold("group_id\n".to_owned(), |text, group| format!("{text}{group}\n"))
}

/// A broadcast that was killed half-way under `mooncast run` and then refused since its inputs changed; and a daemon.
fn refused() -> (Project, Service, Site, usize) {
    let service = Service::accepting();
    let project = Project::with_script(SCRIPT)
        .file("groups.csv", groups(1001..1041))
        .file("scripts/lib/words.lua", "return 'old '")
        .file("mooncast.toml", "[app.limits]\ngroup_per_second = 1000\n");
    let mut command = project.command_against(&service, &["run", "scripts/main.lua"]);
    let ran = Ran::of(&command.env("MOONCAST_FAIL_POINT", "after-request:8").output().unwrap());
    assert_eq!(ran.status, None, "{ran:#?}");
    service.wait_for_the_gone();
    project.wait_for_death();
    project.write("groups.csv", groups((1001..1031).chain(2001..2004)));
    project.write("scripts/lib/words.lua", "return 'new '");
    let run = project.command_against(&service, &["run", "scripts/main.lua"]).output().unwrap();
    Ran::of(&run).exits(2);
    let before = service.messages().len();
    let site =
        Site::start(&project, project.command_against(&service, &["serve", "--listen", "127.0.0.1:0"]));
    (project, service, site, before)
}

/// Returns the texts after this many messages, and checks that no group has two.
fn texts(service: &Service, before: usize) -> Vec<String> {
    let messages = service.messages();
    let mut groups: Vec<&str> = messages.iter().map(|one| one["to"][0].as_str().unwrap()).collect();
    groups.sort_unstable();
    let many = groups.len();
    groups.dedup();
    assert_eq!(groups.len(), many, "{groups:?}");
    messages[before..].iter().map(|one| one["body"]["msg"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_differs_is_shown_and_the_broadcast_is_planned_anew() {
    let (_project, service, site, before) = refused();
    browse(async {
        let browser = site.operator("en-US").await;
        browser.open(&site.url("/broadcasts/1")).await;
        for text in [
            "The inputs changed",
            "the audience groups.csv",
            "the module words",
            "3 recipients are only in the new plan: 2001, 2002, 2003",
            "10 recipients are only in the stored plan: 1031",
            "old 1001",
            "new 1001",
            "a new run",
        ] {
            browser.wait_text("#changes", text).await;
        }
        assert_eq!(service.messages().len(), before);
        for (width, height, dark) in [(1280, 900, false), (1280, 900, true), (360, 740, false)] {
            browser.show(width, height, dark).await;
            browser.fits().await;
            browser.picture(&format!("changes-{width}-{}", if dark { "night" } else { "day" })).await;
        }
        browser.show(1280, 900, false).await;
        browser.click("#broadcast a[href$='/replan']").await;
        browser.wait_text("dialog[open]", "Replan news/1?").await;
        browser.click("dialog button").await;
        browser.wait_text("#notice", "news/1 is being replanned").await;
        browser.wait_text("#broadcast .chip", "finished").await;
        browser.wait("document.querySelector('#changes') === null").await;
        browser.close().await;
    });
    let texts = texts(&service, before);
    assert!(texts.iter().all(|text| text.starts_with("new ")), "{texts:?}");
    assert!((2001..2004).all(|group| texts.contains(&format!("new {group}"))), "{texts:?}");
}

#[test]
fn a_broadcast_whose_inputs_changed_continues_as_stored_in_chinese() {
    let (_project, service, site, before) = refused();
    browse(async {
        let browser = site.operator("zh-CN,zh").await;
        browser.wait_text("#running", "按原计划继续").await;
        browser.wait_text("#running", "重新计划").await;
        browser.click("#running a[href$='/continue']").await;
        browser.wait_text("dialog[open]", "按原计划继续 news/1").await;
        browser.click("dialog button").await;
        browser.wait_text("#finished", "news/1").await;
        browser.close().await;
    });
    let texts = texts(&service, before);
    assert!(!texts.is_empty() && texts.iter().all(|text| text.starts_with("old ")), "{texts:?}");
}
