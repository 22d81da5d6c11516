//! The page's appearance: two languages, light and dark, a phone. Also, no shown text is executed.
//!
//! Store: file

use serde_json::json;

use super::{NEWS, Site, browse};
use crate::support::Project;
use crate::support::service::{Service, json as answer};

/// A job that fails, and one with a next time.
const BOOM: &str = "schedule.every('10000h', { name = 'boom' }, function() error('the list is empty') end)
schedule.cron('0 9 * * *', { name = 'morning', tz = 'Asia/Shanghai' }, function() end)";

#[test]
fn every_place_fits_a_telephone_by_day_and_night_in_both_languages() {
    let project =
        Project::with_script(format!("{NEWS}\n{BOOM}")).file("scripts/broken.lua", "local x = = 1\n");
    let site = Site::simulated(&project);
    for job in ["slow", "quick", "boom"] {
        project.mooncast(&["jobs", "trigger", job]).exits(0);
    }
    browse(async {
        for (language, tag) in [("en-US", "en"), ("zh-CN,zh", "zh-CN")] {
            let browser = site.operator(language).await;
            assert_eq!(browser.value("document.documentElement.lang").await, json!(tag));
            browser.wait("document.querySelector('#finished a[href=\"/broadcasts/2\"], #finished a[href=\"/broadcasts/1\"]')").await;
            browser.wait("document.querySelectorAll('#needs li').length === 2").await;
            let slow =
                browser.value("document.querySelector('#running article h3 a').getAttribute('href')").await;
            let slow = slow.as_str().unwrap().to_owned();
            let places = [
                ("first", "/".to_owned()),
                ("broadcast", slow.clone()),
                ("broadcasts", "/broadcasts".to_owned()),
                ("job", "/job?name=slow".to_owned()),
                ("log", "/log".to_owned()),
                ("log-filtered", "/log?level=error&about=boom".to_owned()),
                ("ask", format!("{slow}/cancel")),
                ("missing", "/broadcasts/99".to_owned()),
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
            // No text stays in the other language.
            browser.open(&site.url("/")).await;
            let text = browser.text("nav").await;
            assert_eq!(text.is_ascii(), tag == "en", "{text}");
            browser.click("header form button").await;
            browser.wait("location.pathname === '/login'").await;
            browser.show(360, 740, false).await;
            browser.fits().await;
            browser.picture(&format!("login-{tag}-phone-day")).await;
            browser.close().await;
        }
    });
}

#[test]
fn a_language_can_be_chosen_and_times_are_those_of_the_reader() {
    let project = Project::with_script(NEWS);
    let site = Site::simulated(&project);
    browse(async {
        let browser = site.operator("en-US").await;
        browser.click("header a[lang='zh-CN']").await;
        browser.wait("document.documentElement.lang === 'zh-CN'").await;
        browser.wait_text("nav", "总览").await;
        browser.wait_text("#jobs", "立即运行").await;
        browser.wait_text("#quotas", "群消息").await;
        browser
            .client
            .execute("document.cookie = 'mooncast_zone=Asia/Shanghai; path=/'", Vec::new())
            .await
            .unwrap();
        let listed =
            browser.client.execute("return fetch('/log').then((answer) => answer.text())", Vec::new());
        assert!(listed.await.unwrap().as_str().unwrap().contains("+08:00"));
        browser.close().await;
    });
}

/// A text that would run if it were not escaped.
const PROBE: &str = "<img src=x onerror=\"window.injected=1\"><script>window.injected=1</script>'\"&{{7*7}}";

#[test]
fn nothing_that_comes_from_outside_runs() {
    let service = Service::answering(|_, _| {
        let error = PROBE.replace('"', "\\\"");
        answer(400, &format!("{{\"error\":\"illegal_argument\",\"error_description\":\"{error}\"}}"))
    });
    let lua = PROBE.replace('\\', "\\\\").replace('\'', "\\'");
    let project = Project::with_script(format!(
        "local schedule, log = require('schedule'), require('log')
        schedule.every('10000h', {{ name = '{lua}' }}, function()
          log.warn('{lua}')
          im.broadcast {{ name = '{lua}', run = '{lua}', to = {{ (('{lua}'):gsub('[ \"{{}}]', '/')) }}, message = {{ type = 'txt', body = {{ msg = '{lua}' }} }} }}
        end)
        schedule.every('10000h', {{ name = 'failing' }}, function() error('{lua}') end)",
    ))
    .file("scripts/<img src=x onerror=window.injected=1>.lua", format!("error('{lua}')"));
    let site =
        Site::start(&project, project.command_against(&service, &["serve", "--listen", "127.0.0.1:0"]));
    browse(async {
        let browser = site.operator("en-US").await;
        browser.wait_text("#scripts .stale", "<img src=x onerror=window.injected=1>.lua").await;
        let jobs = "document.querySelectorAll('#jobs a[href^=\"/job/trigger\"]')";
        for job in 0..2 {
            browser.value(&format!("{jobs}[{job}].click()")).await;
            browser.wait_text("dialog[open]", "now?").await;
            browser.click("dialog button").await;
            browser.wait("document.querySelector('dialog[open]') === null").await;
        }
        browser.wait("document.querySelector('#finished tbody a') !== null").await;
        browser.wait_text("#tail", "<script>window.injected=1</script>").await;
        browser.wait_text("#jobs", "failed").await;
        browser.picture("injection-first").await;
        let broadcast =
            browser.value("document.querySelector('#finished tbody a').getAttribute('href')").await;
        let job = browser
            .value("document.querySelector('#jobs tbody tr:first-child a').getAttribute('href')")
            .await;
        let broadcast = broadcast.as_str().unwrap().to_owned();
        let mut seen = 0;
        for place in [
            "/",
            &broadcast,
            &format!("{broadcast}/retry"),
            "/broadcasts",
            job.as_str().unwrap(),
            "/log",
            "/job?name=failing",
        ] {
            browser.open(&site.url(place)).await;
            assert_eq!(browser.value("window.injected ?? null").await, json!(null), "{place}");
            assert!(browser.client.get_alert_text().await.is_err());
            let shown = browser.value("document.body.innerText").await;
            seen += usize::from(
                shown.as_str().unwrap().contains("<script>window.injected=1</script>'\"&{{7*7}}"),
            );
            assert_eq!(
                browser.value("document.querySelectorAll('main img, main script').length").await,
                json!(0),
                "{place}"
            );
        }
        assert_eq!(seen, 7);
        // Even injected elements do not run, and only the page's own script may write HTML.
        let tries = "(() => {
            const script = document.createElement('script');
            let refused = false;
            try { document.body.innerHTML = '<p>'; } catch { refused = true; }
            try { script.textContent = 'window.injected = 1'; document.body.append(script); } catch {}
            try { trustedTypes.createPolicy('mooncast', {}); refused = false; } catch {}
            return refused && window.injected === undefined;
        })()";
        assert_eq!(browser.value(tries).await, json!(true));
        let policy = browser.client.execute(
            "return fetch('/').then((answer) => answer.headers.get('content-security-policy'))",
            Vec::new(),
        );
        let policy = policy.await.unwrap();
        let policy = policy.as_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        browser.close().await;
    });
}
