//! Names of functions and modules.

use super::{assert_found, lint};

#[test]
fn misspelt_members_are_named_with_the_nearest() {
    assert_found(&[
        ("print(1)\nim.group_sned({})", 2, "`im` has no `group_sned`; did you mean `group_send`?"),
        ("im.target_send({})", 1, "did you mean `targeted_send`?"),
        ("im.uplaod('a.png')", 1, "did you mean `upload`?"),
        ("im.chekc({})", 1, "did you mean `check`?"),
        ("for g in im.group() do print(g) end", 1, "did you mean `groups`?"),
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
        ("im.frobnicate()", 1, "there is: "),
        ("require('jsonn')", 1, "there is no module `jsonn`; did you mean `json`?"),
        ("local c = require('campain_helper_x')", 1, "neither built in nor a file"),
        ("Im.group_send({})", 1, "`Im` is not defined; did you mean `im`?"),
        ("function mian()\nend", 1, "did you mean `main`?"),
        ("function Main(args)\nprint(args)\nend", 1, "did you mean `main`?"),
        ("IM = 1", 1, "did you mean `im`?"),
    ]);
}

#[test]
fn every_mistake_is_named_in_the_order_of_the_lines() {
    let found = lint("im.a_a()\nlocal j = require('json')\nj.b_b()\nim.group_send({ tpye = 'txt' })");
    let lines: Vec<_> = found.iter().map(|finding| &finding[..1]).collect();
    assert_eq!(lines, ["1", "3", "4"], "{found:#?}");
}
