//! Literal messages and options.

use super::assert_found;

#[test]
fn misspelt_fields_are_named() {
    assert_found(&[
        ("im.group_send({\n  to = '1',\n  tpye = 'txt',\n})", 3, "no field `tpye`; did you mean `type`?"),
        ("im.group_send { too = '1' }", 1, "did you mean `to`?"),
        ("im.group_send({ ['boddy'] = {} })", 1, "did you mean `body`?"),
        ("im.group_send({ users = { 'a' } })", 1, "it belongs to `im.targeted_send`"),
        ("im.targeted_send({ users = {}, need_group_ack = true })", 1, "it belongs to `im.group_send`"),
        ("im.group_send({ msg = 'hi' })", 1, "`msg` belongs in `body`"),
        ("im.check({ form = 'a' })", 1, "did you mean `from`?"),
        ("im.check({ users = { 'a' }, routetype = 'ROUTE_ONLINE' })", 1, "it belongs to `im.group_send`"),
        ("local message = { tpye = 'txt' }\nim.group_send(message)", 1, "did you mean `type`?"),
        (
            "local m = { tpye = 'txt' }\nm.to = '1'\nprint(m.to)\npcall(im.group_send, m)",
            1,
            "did you mean `type`?",
        ),
        ("local send = im.group_send\nsend({ exts = {} })", 2, "did you mean `ext`?"),
        ("im.app('b').group_send({ exts = {} })", 1, "did you mean `ext`?"),
        ("require('task').spawn(im.group_send, { exts = {} })", 1, "did you mean `ext`?"),
        ("xpcall(im.group_send, print, { exts = {} })", 1, "did you mean `ext`?"),
        ("im.group_send({ type = 'txt', body = { mgs = 'hi' } })", 1, "has no `mgs`; did you mean `msg`?"),
        (
            "im.group_send({ type = 'loc', body = { lat = 1, lon = 2, addr = '' } })",
            1,
            "has no `lon`; it has lat, lng, addr",
        ),
        (
            "im.group_send({ type = 'custom', body = { custom_event = 'a' } })",
            1,
            "did you mean `customEvent`?",
        ),
        ("im.group_send({ type = 'txt', body = { msg = 'a', ext = {} } })", 1, "belongs beside `body`"),
        ("local body = { txet = 'a' }\nim.group_send({ type = 'txt', body = body })", 1, "has no `txet`"),
        ("im.group_send({}, { prioritty = 'high' })", 1, "no option `prioritty`; did you mean `priority`?"),
        ("im.upload('a.png', { file_name = 'b' })", 1, "did you mean `filename`?"),
        ("im.recall({}, { forced = true })", 1, "did you mean `force`?"),
    ]);
}

#[test]
fn wrong_values_are_named() {
    assert_found(&[
        ("im.group_send({ type = 'text' })", 1, "did you mean \"txt\"?"),
        ("im.group_send({ type = 'image' })", 1, "did you mean \"img\"?"),
        ("local kind = 'vidoe'\nim.group_send({ type = kind })", 2, "did you mean \"video\"?"),
        ("im.group_send({ type = 'txt', body = 'hello' })", 1, "`body` must be a table"),
        ("im.group_send({ routetype = 'ONLINE' })", 1, "must be \"ROUTE_ONLINE\""),
        ("im.group_send({ to = { '1', '2', '3', '4' } })", 1, "names 4 groups; a call can name at most 3"),
        (
            "im.targeted_send({ users = {}, to = { '1', '2' } })",
            1,
            "names 2 groups; a call can name at most 1",
        ),
        ("im.group_send({ to = {\n'1',\n'2',\n1 } })", 4, "names group 1 twice"),
        ("im.targeted_send({\nto = '1', type = 'txt' })", 1, "`users` is missing"),
        ("local m = { to = '1' }\nim.targeted_send(m)", 1, "`users` is missing"),
        ("im.targeted_send({ users = { 'a', 'b', 'a' } })", 1, "names user a twice"),
        ("local groups = { 1, 2, 3, 4 }\nim.group_send({ to = groups })", 2, "names 4 groups"),
    ]);
}
