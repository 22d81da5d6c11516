//! A run's page with live output, and the page of a recipient's message, in a browser.
//!
//! Store: file

use super::{Site, browse};
use crate::support::Project;

const SCRIPT: &str = "
local schedule, task, log, store = require('schedule'), require('task'), require('log'), require('store')
schedule.every('10000h', { name = 'slow' }, function(c)
  print('begins with ' .. c.name)
  log.warn('one list is old', { list = 'groups.csv', days = 12 })
  im.broadcast { name = 'pictures', to = { '184524748161025', '184524748161026' }, message = { from = 'shop', type = 'img',
    body = { file = im.upload('assets/picture.png') }, ext = { order = 17, tags = { 'spring', 'sale' } } } }
  im.broadcast { name = 'texts', to = { '184524748161025' }, message = { from = 'shop', type = 'txt',
    body = { msg = 'Good morning!\\nThe shop opens at nine today.' }, ext = { order = 17 } } }
  im.group_send { to = '184524748161027', from = 'shop', type = 'txt', body = { msg = 'x' } }
  while not store.get('go') do task.sleep(0.05) end
  print('goes on')
  error('the list has no column `city`')
end)
function main() store.set('go', true) end
";

#[test]
fn the_output_of_a_run_is_shown_live_and_a_message_as_on_a_phone() {
    let picture = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/en/src/images/page.png"));
    let picture = picture.unwrap_or_else(|_| crate::run_pages::PNG.to_vec());
    let project = Project::with_script(SCRIPT).file("assets/picture.png", picture);
    let site = Site::simulated(&project);
    browse(async {
        let browser = site.operator("en-US").await;
        let said = project.mooncast(&["jobs", "trigger", "slow"]).exits(0).stdout;
        let run = said.split("run ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        browser.wait_text("#jobs", "running").await;
        browser.open(&site.url(&format!("/run?id=slow%40{run}"))).await;
        browser.wait_text("#output", "begins with slow").await;
        browser.wait_text("#output", "one list is old").await;
        browser.wait_text("#run", "texts/").await;
        browser.picture("run-day").await;
        project.mooncast(&["jobs", "run-script", "main.lua"]).exits(0);
        browser.wait_text("#output", "goes on").await;
        browser.wait_text("#output", "the list has no column").await;
        browser.wait_text("#run .chip", "failed").await;
        browser.show(1280, 900, true).await;
        browser.picture("run-night").await;
        browser.show(390, 844, false).await;
        browser.picture("run-phone").await;
        browser.show(1280, 900, false).await;
        browser.open(&site.url("/broadcasts/1/recipients/1")).await;
        browser.wait("document.querySelector('.bubble img').naturalWidth > 0").await;
        browser.picture("message-picture-day").await;
        browser.open(&site.url("/language/zh?next=/broadcasts/2/recipients/1")).await;
        browser.wait_text(".bubble", "The shop opens at nine today.").await;
        browser.click("details summary").await;
        browser.wait_text("details[open]", "\"order\": 17").await;
        browser.picture("message-text-zh").await;
        browser.close().await;
    });
}
