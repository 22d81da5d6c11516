//! Row "empty text": a text without visible characters is refused with its line unless it is allowed.

use crate::support::Project;
use crate::support::service::Service;

const TABLE: &str = "group_id,name\n184524748161025,Ann\n184524748161026,\n";

#[test]
fn a_template_that_gives_nothing_is_refused_by_line() {
    for text in ["{{ name }}", " {{ name }}\\n"] {
        let service = Service::accepting();
        let script = format!("require('campaign').run {{ name = 'c', to = 'a.csv', text = '{text}' }}");
        let project = Project::with_script(script).file("a.csv", TABLE);
        project.run_against(&service).exits(1).says("line 3").says("allow_empty = true");
        assert!(service.messages().is_empty());
    }
}

#[test]
fn an_empty_text_is_sent_where_that_is_allowed() {
    let campaign =
        "require('campaign').run { name = 'c', to = 'a.csv', text = '{{ name }}', allow_empty = true,
        test = { '184524748161027' }, test_as = { name = '' } }";
    let function = "im.broadcast { name = 'b', to = 'a.csv', allow_empty = true,
        message = function(row) return { type = 'txt', body = { msg = row.name } } end }";
    let plain = "im.broadcast { name = 'b', to = 'a.csv', allow_empty = true, message = { type = 'txt', body = { msg = '' } } }";
    let message = "im.broadcast { name = 'b', to = 'a.csv', message = { type = 'txt', body = { msg = ' ' }, allow_empty = true } }";
    for (script, count) in [(campaign, 3), (function, 2), (plain, 2), (message, 2)] {
        let service = Service::accepting();
        Project::with_script(script).file("a.csv", TABLE).run_against(&service).exits(0);
        assert_eq!(service.messages().len(), count, "{script}");
        assert!(service.messages().iter().all(|message| message.get("allow_empty").is_none()));
    }
}

#[test]
fn an_empty_body_is_refused() {
    for msg in ["", " ", "\\n\\t", "\\u{3000}", "\\u{200b}\\u{feff}", "\\u{2800}", "\\u{3164}"] {
        let service = Service::accepting();
        let script = format!("im.group_send {{ to = '1', type = 'txt', body = {{ msg = '{msg}' }} }}");
        let ran = Project::with_script(script).run_against(&service).exits(1);
        ran.says("body.msg").says("allow_empty = true");
        assert!(service.messages().is_empty(), "{msg}");
        let script = format!(
            "im.targeted_send {{ to = '1', users = {{ 'a' }}, type = 'txt', body = {{ msg = '{msg}' }}, allow_empty = true }}"
        );
        Project::with_script(script).run_against(&service).exits(0);
        assert_eq!(service.messages().len(), 1);
        assert!(service.messages()[0].get("allow_empty").is_none());
    }
}
