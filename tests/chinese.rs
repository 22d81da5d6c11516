//! Errors on the Chinese page: of the store, of files, and of forms that cannot be read.
//!
//! Store: file

use crate::support::Project;
use crate::support::service::Service;
use crate::web::{Answer, Site, request};

const SCRIPT: &str = "require('schedule').every('10000h', { name = 'reads' }, function()
  require('fs').read('gone.csv')
end)
function main() im.broadcast { name = 'news', to = { '1' }, message = { type = 'txt', body = { msg = 'x' } } } end
";

fn ask(site: &Site, head: &str, kind: &str, body: &[u8]) -> Answer {
    let bearer = format!("Bearer {}", site.operate);
    let headers = [("authorization", bearer.as_str()), ("content-type", kind), ("accept-language", "zh")];
    let mut answer = request(&site.address, head, &headers, body);
    let entities =
        [("&#x27;", "'"), ("&#x2f;", "/"), ("&quot;", "\""), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
    answer.body = entities.iter().fold(answer.body, |body, (entity, letter)| body.replace(entity, letter));
    answer
}

#[track_caller]
fn says(answer: &Answer, chinese: &str, english: &str) {
    assert!(answer.body.contains(chinese), "no {chinese} in {} {}", answer.status, answer.body);
    assert!(!answer.body.contains(english), "{english} in {}", answer.body);
}

#[test]
fn refusals_of_forms_actions_and_files_are_said_in_chinese() {
    let service = Service::accepting();
    let project = Project::with_script(SCRIPT);
    project.run_against(&service).exits(0);
    let site = Site::of_against(project, &service);
    let cut = b"--b\r\ncontent-disposition: form-data; name=\"na";
    let bytes = b"--b\r\ncontent-disposition: form-data; name=\"name\"\r\n\r\n\xff\r\n--b--\r\n";
    for (kind, body, said) in [
        ("multipart/form-data", &b"x"[..], "浏览器发来的表单缺少分隔标记"),
        ("multipart/form-data; boundary=b", cut, "浏览器发来的表单不完整"),
        ("multipart/form-data; boundary=b", bytes, "`name` 一栏不是 UTF-8 文字"),
    ] {
        let answer = ask(&site, "POST /script/run", kind, body);
        says(&answer, &format!("表单无法读取：{said}"), "cannot be read");
    }
    let form = "application/x-www-form-urlencoded";
    says(&ask(&site, "GET /broadcasts/999", form, b""), "没有群发 999", "there is no");
    let paused = ask(&site, "POST /broadcasts/1/pause", form, b"");
    says(&paused, "群发 1 已完成：没有剩下要发送的", "nothing is left");
    // What a file's error ends a run with.
    site.ask("POST /jobs/reads/trigger");
    let runs = site.until("/runs?job=reads", |runs| runs[0]["state"] == "failed");
    let id = runs[0]["id"].as_str().unwrap().replace('@', "%40");
    let run = ask(&site, &format!("GET /run?id={id}"), form, b"");
    assert!(run.body.contains("`gone.csv` 不存在"), "{}", run.body);
    site.serving.stop().exits(0);
}

#[test]
fn a_ledger_that_cannot_be_written_is_told_in_chinese() {
    let service = Service::accepting();
    let site = Site::of_against(Project::with_script(SCRIPT), &service);
    let (state, away) = (site.project.path(".mooncast"), site.project.path("away"));
    std::fs::rename(&state, &away).unwrap();
    let form = "application/x-www-form-urlencoded";
    let answer = ask(&site, "POST /job/pause?name=reads", form, b"name=reads");
    assert_eq!(answer.status, 503, "{answer:?}");
    says(&answer, "账本的文件在打开期间被移走或替换", "was removed or replaced");
    std::fs::rename(&away, &state).unwrap();
    site.serving.stop();
}
