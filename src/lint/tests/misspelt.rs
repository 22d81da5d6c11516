//! Names of functions and modules.

use super::{assert_found, lint};

#[test]
fn misspelt_members_are_named_with_the_nearest() {
    assert_found(&[
        ("print(1)\nim.group_sned({})", 2, "`im` has no `group_sned`; did you mean `group_send`?"),
        ("im.target_send({})", 1, "did you mean `targeted_send`?"),
        ("im.uplaod('a.png')", 1, "did you mean `upload`?"),
        ("im.chekc({})", 1, "did you mean `check`?"),
        ("for g in im.grups() do print(g) end", 1, "did you mean `groups`?"),
        ("print(im.limit.message_bytes)", 1, "did you mean `limits`?"),
        ("local m = im\nm.membres('1')", 2, "did you mean `members`?"),
        ("local m <const> = im\nlocal n = m\nn.recal({})", 3, "did you mean `recall`?"),
        ("local send = im.group_snd\nsend({})", 1, "did you mean `group_send`?"),
        ("im.app('b').grop_send({})", 1, "did you mean `group_send`?"),
        ("local b = im.app('b')\nb.groups_send({})", 2, "did you mean `group_send`?"),
        ("im['group_sent']({})", 1, "did you mean `group_send`?"),
        ("pcall(im.group_sende, {})", 1, "did you mean `group_send`?"),
        ("local im = require('im')\nim.uploads('x')", 2, "did you mean `upload`?"),
        ("local json = require('json')\njson.encod({})", 2, "did you mean `encode`?"),
        ("local j = require 'json'\nprint(j.Null)", 2, "did you mean `null`?"),
        ("require('log').warning('x')", 1, "`log` has no `warning`"),
        ("local task = require('task')\ntask.spwan(print)", 2, "did you mean `spawn`?"),
        ("local message = require('message')\nmessage.txt('hi')", 2, "did you mean `text`?"),
        ("im.request { method = 'get', path = '/chatgroups' }", 1, "did you mean \"GET\"?"),
        ("im.request { method = 'GET', path = 'chatgroups' }", 1, "must begin with a slash"),
        ("im.request { method = 'GET', path = '/chatgroups', qeury = {} }", 1, "did you mean `query`?"),
        ("local m = 'POST'\nim.request { method = m, path = '/messages/users' }", 2, "im.user_send"),
        ("im.request { method = 'GET', path = '/chatgroups/%2e%2e' }", 1, "Mooncast encodes it"),
        ("im.frobnicate()", 1, "; it has "),
        ("require('jsonn')", 1, "there is no module `jsonn`; did you mean `json`?"),
        (
            "local c = require('campain_helper_x')",
            1,
            "it is not built in, and scripts/ and scripts/lib/ have no such file",
        ),
        ("Im.group_send({})", 1, "`Im` is not defined; did you mean `im`?"),
        ("function mian()\nend", 1, "did you mean `main`?"),
        ("function Main(args)\nprint(args)\nend", 1, "did you mean `main`?"),
        ("IM = 1", 1, "did you mean `im`?"),
    ]);
}

#[test]
fn globals_that_nothing_sets_are_named() {
    assert_found(&[
        ("prnt('x')\nprnt('y')", 1, "`prnt` is not defined; did you mean `print`?"),
        ("local t = {}\nfor _, v in ipars(t) do print(v) end", 2, "did you mean `ipairs`?"),
        ("totl = 1\nprint(totla)", 2, "`totla` is not defined; did you mean `totl`?"),
        ("require('own')\nprint(our)", 2, "did you mean `ours`?"),
        ("print(nothing_like_it)", 1, "`nothing_like_it` is not defined: the script never assigns it"),
        ("print(json.encode({}))", 1, "`json` is not defined; add `local json = require(\"json\")`"),
        ("io.write('x')", 1, "`io` is not defined; read and write files with `require(\"fs\")`"),
        ("print(unpack({ 1 }))", 1, "write `table.unpack`"),
        ("if x == 1 then\nprint(x)\nend", 2, "`x` is not defined: the script never assigns it"),
        ("local m = {}\nfunction m.f() return tostrnig(1) end\nreturn m", 2, "did you mean `tostring`?"),
    ]);
}

#[test]
fn calls_with_a_colon_are_named() {
    assert_found(&[
        ("im:group_send { to = '1' }", 1, "write `im.group_send(…)`; with `:`, Lua passes `im`"),
        ("local json = require('json')\nprint(json:encode({}))", 2, "write `json.encode(…)`"),
        ("im.app('b'):check({})", 1, "write `im.check(…)`"),
        ("im:grop_send({})", 1, "did you mean `group_send`?"),
    ]);
}

#[test]
fn the_limits_are_known() {
    assert_found(&[
        ("im.limits.group_per_second = 5", 1, "`im.limits` is read-only; set limits in mooncast.toml"),
        (
            "print(im.limits.mesage_bytes)",
            1,
            "`im.limits` has no `mesage_bytes`; did you mean `message_bytes`?",
        ),
        ("local limits = im.limits\nprint(limits.fieldd)", 2, "`im.limits` has no `fieldd`"),
    ]);
}

#[test]
fn every_mistake_is_named_in_the_order_of_the_lines() {
    let found = lint("im.a_a()\nlocal j = require('json')\nj.b_b()\nim.group_send({ tpye = 'txt' })");
    let lines: Vec<_> = found.iter().map(|finding| &finding[..1]).collect();
    assert_eq!(lines, ["1", "3", "4"], "{found:#?}");
}

#[test]
fn arguments_that_a_function_does_not_take_are_named() {
    assert_found(&[
        ("local log = require('log')\nlog.warn('x', 'y')", 2, "argument 2 of `log.warn`, `fields`"),
        ("local log = require('log')\nlog.info('x', {}, 3)", 2, "`log.info` is called with 3 arguments"),
        (
            "local http = require('http')\nhttp.post('https://a', { json = {} })",
            2,
            "belong to `options`, argument 3",
        ),
        (
            "local http = require('http')\nhttp.get('https://a', { jsn = 1 })",
            2,
            "`http.get` has no option `jsn`",
        ),
        ("require('http').get('https://a', { timout = 5 })", 1, "did you mean `timeout`?"),
        ("require('campaign').run({ name = 'a', texxt = 'b' })", 1, "did you mean `text`?"),
    ]);
}
