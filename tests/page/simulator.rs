//! The simulator's page in a browser: both languages, light and dark, a phone.
//!
//! Store: file

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use serde_json::json;

use super::browse;
use super::browser::Browser;
use crate::support::{Project, Ran};

/// A running `mooncast sim`.
struct Sim {
    child: Child,
    address: String,
}

impl Sim {
    fn start(project: &Project) -> Self {
        let mut command = project.command(&["sim", "--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains("to see what it received")).unwrap();
        let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
        Self { child, address }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const CAMPAIGN: &str = r#"
local picture = im.upload("assets/picture.png")
for i = 1, 70 do
  im.group_send({ to = tostring(184524748161000 + i), from = "office", type = "txt", body = { msg = "Hello, group " .. i } })
end
local group = "184524748161025"
local sent = im.group_send({ to = group, from = "office", type = "txt", body = { msg = "The meeting is at nine." } })
im.group_send({ to = group, from = "office", type = "img", body = { file = picture } })
im.group_send({ to = group, type = "loc", body = { lat = "39.9", lng = "116.3", addr = "The office, 3rd floor" } })
im.group_send({ to = group, type = "custom", body = { customEvent = "vote", customExts = { question = "When?" } } })
im.group_send({ to = group, type = "txt", body = { msg = "<script>window.injected=1</script>\n会议室已改。" }, ext = { topic = "office" } })
im.targeted_send({ to = group, users = { "ann", "ben" }, type = "txt", body = { msg = "Please bring the keys." } })
im.recall(sent, { note = "wrong time" })
im.announce({ to = "all", from = "office", type = "txt", body = { msg = "Maintenance tonight." } })
"#;

#[test]
fn what_was_received_is_shown_as_on_a_phone() {
    let project = Project::with_script(CAMPAIGN)
        .file("mooncast.toml", "[permissions]\nannounce = [\"all\"]\n")
        .file("assets/picture.png", include_bytes!("../../scripts/assets/picture.png"));
    let sim = Sim::start(&project);
    let mut command = project.command(&["run", "scripts/main.lua"]);
    command
        .env("MOONCAST_BASE_URL", format!("http://{}", sim.address))
        .env("MOONCAST_ORG", "simulator")
        .env("MOONCAST_APP", "demo")
        .env("MOONCAST_CLIENT_ID", "simulator-client")
        .env("MOONCAST_CLIENT_SECRET", "simulator-secret");
    Ran::of(&command.output().unwrap()).exits(0);
    browse(async {
        for (language, tag) in [("en-US", "en"), ("zh-CN,zh", "zh-CN")] {
            let browser = Browser::start(language).await;
            browser.open(&format!("http://{}/", sim.address)).await;
            assert_eq!(browser.value("document.documentElement.lang").await, json!(tag));
            for place in ["/", "/?to=184524748161025", "/?to=announcement:all", "/?find=16103"] {
                browser.open(&format!("http://{}{place}", sim.address)).await;
                for (width, height, dark) in
                    [(1280, 900, false), (1280, 900, true), (360, 740, false), (360, 740, true)]
                {
                    browser.show(width, height, dark).await;
                    browser.fits().await;
                    let (hour, screen) =
                        (if dark { "night" } else { "day" }, if width < 400 { "phone" } else { "desk" });
                    let name: String = place.chars().filter(char::is_ascii_alphanumeric).collect();
                    browser.picture(&format!("simulator-{name}-{tag}-{screen}-{hour}")).await;
                }
                assert_eq!(browser.value("window.injected ?? null").await, json!(null));
                assert_eq!(browser.value("document.scripts.length").await, json!(0));
            }
            // A person looks for a group and opens it.
            browser.show(360, 740, false).await;
            browser.open(&format!("http://{}/", sim.address)).await;
            browser.fill("input[name=find]", "161025").await;
            browser.click("nav form button").await;
            browser.click("nav li a").await;
            browser.wait_text("main", "Please bring the keys.").await;
            let in_sight = "document.querySelector('.chat > li:last-child').getBoundingClientRect().bottom <= innerHeight + 1";
            assert_eq!(browser.value(in_sight).await, json!(true), "the newest message is out of sight");
            let loaded = "document.querySelector('.bubble img').complete
                && document.querySelector('.bubble img').naturalWidth > 0";
            browser
                .wait(&format!("(document.querySelector('.bubble img').scrollIntoView(), {loaded})"))
                .await;
            let text = browser.text("main").await;
            assert!(text.contains("<script>window.injected=1</script>"), "{text}");
            browser.click("a.back").await;
            browser.wait("document.querySelectorAll('nav li').length === 1").await;
            browser.close().await;
        }
    });
}
