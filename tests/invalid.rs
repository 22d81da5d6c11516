//! A malformed call raises `invalid` with the right field and makes no request.
//!
//! Store: file

use crate::support::Project;
use crate::support::service::Service;

/// (the call, the field at fault)
const MALFORMED: &[(&str, &str)] = &[
    ("group_send { type = 'txt', body = { msg = 'x' } }", "to"),
    ("group_send { to = {}, type = 'txt', body = { msg = 'x' } }", "to"),
    ("group_send { to = '', type = 'txt', body = { msg = 'x' } }", "to"),
    ("group_send { to = { '' }, type = 'txt', body = { msg = 'x' } }", "to"),
    ("group_send { to = { '1', '2', '3', '4' }, type = 'txt', body = { msg = 'x' } }", "to"),
    ("group_send { to = { '1', '1' }, type = 'txt', body = { msg = 'x' } }", "to"),
    ("group_send { to = { '1', 1 }, type = 'txt', body = { msg = 'x' } }", "to"),
    ("group_send { to = 1.5, type = 'txt', body = { msg = 'x' } }", "to"),
    ("group_send { to = true, type = 'txt', body = { msg = 'x' } }", "to"),
    ("group_send { to = { a = '1' }, type = 'txt', body = { msg = 'x' } }", "to"),
    ("group_send { to = { {} }, type = 'txt', body = { msg = 'x' } }", "to"),
    ("targeted_send { to = { '1', '2' }, type = 'txt', body = { msg = 'x' }, users = { 'u' } }", "to"),
    ("targeted_send { type = 'txt', body = { msg = 'x' }, users = { 'u' } }", "to"),
    ("user_send { type = 'txt', body = { msg = 'x' } }", "to"),
    ("user_send { to = {}, type = 'txt', body = { msg = 'x' } }", "to"),
    ("user_send { to = { 'u', 'u' }, type = 'txt', body = { msg = 'x' } }", "to"),
    ("user_send { to = { 'a;b' }, type = 'txt', body = { msg = 'x' } }", "to"),
    ("user_send { to = 'u', type = 'txt', body = { msg = 'x' }, need_group_ack = true }", "need_group_ack"),
    ("user_send { to = 'u', type = 'txt', body = { msg = 'x' }, users = { 'v' } }", "users"),
    ("user_send { to = 'u', type = 'txt', body = { msg = 'x' }, sync_device = 1 }", "sync_device"),
    ("user_send { to = 'u', type = 'txt', body = { msg = 'x' }, routetype = 'ONLINE' }", "routetype"),
    (
        "user_send { to = 'u', type = 'txt', body = { msg = 'x' }, chatroom_msg_level = 'high' }",
        "chatroom_msg_level",
    ),
    ("room_send { type = 'txt', body = { msg = 'x' } }", "to"),
    ("room_send { to = 'r', type = 'txt', body = { msg = 'x' }, need_group_ack = true }", "need_group_ack"),
    ("room_send { to = 'r', type = 'txt', body = { msg = 'x' }, users = { 'v' } }", "users"),
    (
        "room_send { to = 'r', type = 'txt', body = { msg = 'x' }, chatroom_msg_level = 'urgent' }",
        "chatroom_msg_level",
    ),
    ("group_send { to = '1', type = 'txt', body = { msg = 'x' }, sync_device = 1 }", "sync_device"),
    ("group_send { from = '', to = '1', type = 'txt', body = { msg = 'x' } }", "from"),
    ("group_send { from = {}, to = '1', type = 'txt', body = { msg = 'x' } }", "from"),
    ("group_send { from = false, to = '1', type = 'txt', body = { msg = 'x' } }", "from"),
    ("group_send { to = '1', body = { msg = 'x' } }", "type"),
    ("group_send { to = '1', type = '', body = { msg = 'x' } }", "type"),
    ("group_send { to = '1', type = 'text', body = { msg = 'x' } }", "type"),
    ("group_send { to = '1', type = 7, body = { msg = 'x' } }", "type"),
    ("group_send { to = '1', type = 'TXT', body = { msg = 'x' } }", "type"),
    ("group_send { to = '1', type = 'txt' }", "body"),
    ("group_send { to = '1', type = 'txt', body = {} }", "body"),
    ("group_send { to = '1', type = 'txt', body = 'x' }", "body"),
    ("group_send { to = '1', type = 'txt', body = { 'x' } }", "body"),
    ("group_send { to = '1', type = 'txt', body = { msg = 5 } }", "body.msg"),
    ("group_send { to = '1', type = 'txt', body = { msg = {} } }", "body.msg"),
    ("group_send { to = '1', type = 'txt', body = { mgs = 'x' } }", "body.mgs"),
    ("group_send { to = '1', type = 'txt', body = { msg = 'x', url = 'y' } }", "body.url"),
    ("group_send { to = '1', type = 'img', body = { filename = 'x' } }", "body.url"),
    ("group_send { to = '1', type = 'img', body = { url = 'x', size = { width = 1 } } }", "body.size.height"),
    (
        "group_send { to = '1', type = 'img', body = { url = 'x', size = { width = -1, height = 2 } } }",
        "body.size.width",
    ),
    ("group_send { to = '1', type = 'img', body = { url = 'x', size = 'large' } }", "body.size"),
    ("group_send { to = '1', type = 'img', body = { url = 7 } }", "body.url"),
    ("group_send { to = '1', type = 'img', body = { file = { uuid = 'x' } } }", "body.file"),
    ("group_send { to = '1', type = 'img', body = { file = 'x.png' } }", "body.file"),
    ("group_send { to = '1', type = 'txt', body = { msg = 'x', file = { url = 'x' } } }", "body.file"),
    ("group_send { to = '1', type = 'audio', body = { length = 10 } }", "body.url"),
    ("group_send { to = '1', type = 'audio', body = { url = 'x', length = 'ten' } }", "body.length"),
    ("group_send { to = '1', type = 'audio', body = { url = 'x', length = -1 } }", "body.length"),
    ("group_send { to = '1', type = 'audio', body = { url = 'x', length = 1, Length = 1 } }", "body."),
    ("group_send { to = '1', type = 'video', body = { url = 'x', file_length = 1.5 } }", "body.file_length"),
    ("group_send { to = '1', type = 'video', body = { thumb = 'x' } }", "body.url"),
    ("group_send { to = '1', type = 'file', body = { secret = 'x' } }", "body.url"),
    ("group_send { to = '1', type = 'loc', body = { lat = 1, lng = 2 } }", "body.addr"),
    ("group_send { to = '1', type = 'loc', body = { lat = 1, addr = 'x' } }", "body.lng"),
    ("group_send { to = '1', type = 'loc', body = { lng = 1, addr = 'x' } }", "body.lat"),
    ("group_send { to = '1', type = 'loc', body = { lat = true, lng = 1, addr = 'x' } }", "body.lat"),
    ("group_send { to = '1', type = 'cmd', body = { actoin = 'x' } }", "body."),
    ("group_send { to = '1', type = 'cmd', body = { action = '' } }", "body.action"),
    ("group_send { to = '1', type = 'custom', body = { customEvent = 'with space' } }", "body.customEvent"),
    ("group_send { to = '1', type = 'custom', body = { customEvent = ('x'):rep(33) } }", "body.customEvent"),
    ("group_send { to = '1', type = 'custom', body = { customEvent = '' } }", "body.customEvent"),
    ("group_send { to = '1', type = 'custom', body = { customEvent = 'é' } }", "body.customEvent"),
    ("group_send { to = '1', type = 'custom', body = { customExts = { a = 1 } } }", "body.customExts"),
    ("group_send { to = '1', type = 'custom', body = { customExts = seventeen } }", "body.customExts"),
    ("group_send { to = '1', type = 'custom', body = { customExts = 'x' } }", "body.customExts"),
    ("group_send { to = '1', type = 'txt', body = { msg = 'x' }, ext = json.null }", "ext"),
    ("group_send { to = '1', type = 'txt', body = { msg = 'x' }, ext = 'x' }", "ext"),
    ("group_send { to = '1', type = 'txt', body = { msg = 'x' }, ext = { 1, 2 } }", "ext"),
    (
        "group_send { to = '1', type = 'txt', body = { msg = 'x' }, ext = { em_ignore_notification = 'yes' } }",
        "ext.em_ignore_notification",
    ),
    ("group_send { to = '1', type = 'txt', body = { msg = 'x' }, ext = { f = print } }", "ext.f"),
    ("group_send { to = '1', type = 'txt', body = { msg = 'x' }, ext = { n = 0/0 } }", "ext.n"),
    ("group_send { to = '1', type = 'txt', body = { msg = '\\xff' } }", "body.msg"),
    (
        "group_send { to = '1', type = 'txt', body = { msg = 'x' }, roam_ignore_users = many(21) }",
        "roam_ignore_users",
    ),
    (
        "group_send { to = '1', type = 'txt', body = { msg = 'x' }, roam_ignore_users = 'u' }",
        "roam_ignore_users",
    ),
    ("group_send { to = '1', type = 'txt', body = { msg = 'x' }, routetype = 'ROUTE_OFFLINE' }", "routetype"),
    ("group_send { to = '1', type = 'txt', body = { msg = 'x' }, routetype = true }", "routetype"),
    ("group_send { to = '1', type = 'txt', body = { msg = 'x' }, need_group_ack = 'yes' }", "need_group_ack"),
    ("group_send { to = '1', type = 'txt', body = { msg = 'x' }, users = { 'u' } }", "users"),
    ("group_send { to = '1', type = 'txt', body = { msg = 'x' }, form = 'u' }", "form"),
    ("group_send { to = '1', type = 'txt', body = { msg = ('x'):rep(5111) } }", "body"),
    ("group_send { to = '1', type = 'txt', body = { msg = ('中'):rep(1704) } }", "body"),
    ("group_send { to = '1', type = 'txt', body = { msg = 'x' }, ext = { big = ('x'):rep(5100) } }", "ext"),
    ("group_send('hello')", "message"),
    ("group_send()", "message"),
    ("group_send { 'to', 'type' }", ""),
    ("targeted_send { to = '1', type = 'txt', body = { msg = 'x' } }", "users"),
    ("targeted_send { to = '1', type = 'txt', body = { msg = 'x' }, users = {} }", "users"),
    ("targeted_send { to = '1', type = 'txt', body = { msg = 'x' }, users = many(21) }", "users"),
    ("targeted_send { to = '1', type = 'txt', body = { msg = 'x' }, users = { 'u', 'u' } }", "users"),
    (
        "targeted_send { to = '1', type = 'txt', body = { msg = 'x' }, users = { 'u' }, need_group_ack = true }",
        "need_group_ack",
    ),
    (
        "targeted_send { to = '1', type = 'txt', body = { msg = 'x' }, users = { 'u' }, routetype = 'ROUTE_ONLINE' }",
        "routetype",
    ),
    (
        "targeted_send { to = '1', type = 'txt', body = { msg = 'x' }, users = { 'u' }, roam_ignore_users = { 'v' } }",
        "roam_ignore_users",
    ),
    (
        "group_send({ to = '1', type = 'txt', body = { msg = 'x' } }, { prioritty = 'high' })",
        "options.prioritty",
    ),
    (
        "group_send({ to = '1', type = 'txt', body = { msg = 'x' } }, { priority = 'urgent' })",
        "options.priority",
    ),
    ("group_send({ to = '1', type = 'txt', body = { msg = 'x' } }, { timeout = 'soon' })", "options.timeout"),
    ("group_send({ to = '1', type = 'txt', body = { msg = 'x' } }, { timeout = -1 })", "options.timeout"),
];

const HELPERS: &str = r"
json = require('json')
function many(count) local list = {} for i = 1, count do list[i] = 'user' .. i end return list end
seventeen = {} for i = 1, 17 do seventeen['key' .. i] = 'value' end
local function try(call, field)
  local chunk = assert(load('im.' .. call, '=case'))
  local ok, problem = pcall(chunk)
  if ok then
    print('ACCEPTED', call)
  elseif type(problem) ~= 'table' or problem.kind ~= 'invalid' then
    print('NOT INVALID', call, tostring(problem))
  elseif not tostring(problem.field or ''):find('^' .. field:gsub('%.', '%%.')) then
    print('WRONG FIELD', call, tostring(problem.field), field)
  elseif problem.retryable or tostring(problem):find('\n') or #problem.message < 10 then
    print('WRONG SHAPE', call, tostring(problem))
  else
    Right = (Right or 0) + 1
  end
end
";

#[test]
fn malformed_messages_raise_invalid_with_their_field_and_reach_no_socket() {
    assert!(MALFORMED.len() >= 60);
    let mut script = HELPERS.to_owned();
    for (call, field) in MALFORMED {
        script.extend([format!("try([==[{call}]==], '{field}')\n")]);
    }
    script.push_str("print('right:', Right)");
    let service = Service::accepting();
    let ran = Project::with_script(script).run_against(&service).exits(0);
    assert_eq!(ran.stdout.trim(), format!("right:\t{}", MALFORMED.len()));
    assert!(service.requests().is_empty(), "{:?}", service.requests());
}

#[test]
fn all_problems_of_a_message_are_told_at_once() {
    let service = Service::accepting();
    Project::with_script(
        r#"local ok, problems = im.check { to = {}, type = "txt", body = { msg = 5 }, ext = false, form = "x" }
        assert(ok == nil)
        local fields = {}
        for _, problem in ipairs(problems) do fields[#fields + 1] = problem.field assert(#problem.message > 10) end
        table.sort(fields)
        print(table.concat(fields, " "))
        assert(im.check { to = "1", type = "txt", body = { msg = "x" } } == true)
        assert(im.check { to = "1", users = { "u" }, type = "txt", body = { msg = "x" } } == true)"#,
    )
    .run_against(&service)
    .exits(0)
    .prints("body.msg ext form to");
    assert!(service.requests().is_empty());
}

#[test]
fn an_uncaught_failure_names_the_scripts_line_and_what_to_do() {
    let service = Service::accepting();
    Project::with_script(
        "local function go()\n  im.group_send { to = '1', type = 'txt', body = { mgs = 'x' } }\nend\ngo()\n",
    )
    .run_against(&service)
    .exits(1)
    .says("error: scripts/main.lua:2: invalid: ")
    .says("did you mean `msg`?")
    .says("scripts/main.lua:2: in function 'go'")
    .says("scripts/main.lua:4: in the main chunk");
}
