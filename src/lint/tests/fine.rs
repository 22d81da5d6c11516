//! Correct code, and code that cannot be judged, has no findings.

use super::lint;

#[track_caller]
fn assert_fine(scripts: &[&str]) {
    for script in scripts {
        let mut found = lint(script);
        // The names in these scripts are placeholders, so undefined names are ignored.
        found.retain(|finding| !finding.contains("is not defined"));
        assert!(found.is_empty(), "{script}\n{found:#?}");
    }
}

#[test]
fn what_lua_takes_is_taken() {
    assert_fine(&[
        "",
        "-- only a comment",
        "print(7 // 2, 7 % 2, 1 << 4, ~5 & 3 | 1)",
        "local x <const>, y <close> = 1, nil\nprint(x, y)",
        "for i = 1, 3 do\n  if i == 2 then goto continue end\n  local a = i\n  print(a)\n  ::continue::\nend",
        "::top::\nlocal n = (n or 0) + 1\nif n < 3 then goto top end",
        "while true do\n  break\n  print('never')\nend",
        "while true do break; end repeat break until true",
        "for _ = 1, 2 do do break end print(1) end",
        "local function f(...) return select('#', ...) end\nreturn f(...)",
        ";;; print(1);",
        "local s = 'a\\z\n   b\\\nc' .. [==[\nlong ]] text]==]",
        "local t = { 1, 2; 3, [4] = 5, f = function() end, }",
        "a.b['c'].d:e(1) 'x' {} = nil".split(" 'x'").next().unwrap(),
        "local a = 0x1p4 + 0xA.8p0 + 1e3 + .5 + 3.",
        "return",
        "local self = {}\nfunction self:go() return self end\nfunction self.a.b.c:d(x) return self, x end",
        "print(('x'):rep(3), #'abc', -2 ^ 2, not nil == true)",
        "goto a do ::a:: end ::a::",
    ]);
}

#[test]
fn what_only_the_running_script_knows_is_taken_as_right() {
    assert_fine(&[
        "local im = { anything = print }\nim.anything()",
        "local function f(im) im.whatever() end\nf({})",
        "im.group_send = function() end\nim.group_send({ whatever = 1 })".split('\n').next().unwrap(),
        "function im.my_helper() end\nim.my_helper()",
        "im.extra = 1\nprint(im.extra)",
        "im = require('own')\nim.whatever()",
        "local name = 'group_' .. 'send'\nim[name]({})",
        "local m = im\nm = {}\nm.whatever()",
        "local json = require('own')\njson.whatever()",
        "local json = require('json')\nif x then json = {} end\njson.whatever()",
        "im.request({ method = method, path = '/chatgroups/' .. id, body = body })",
        "im.request { method = 'GET', path = '/chatgroups/1', query = { limit = 5 }, timeout = '5s' }",
        "local message = { note = 1 }\nmessage.note = nil\nim.group_send(message)",
        "local message = { note = 1 }\nstrip(message)\nim.group_send(message)",
        "local message = { note = 1 }\nlocal other = message\nother.note = nil\nim.group_send(message)",
        "local message = { note = 1 }\nfor k in pairs(message) do message[k] = nil end\nim.group_send(message)",
        "local m = { to = {} }\ntable.insert(m.to, '1')\nim.group_send(m)",
        "local to = { 1, 2, 3, 4 }\ntable.remove(to)\nim.group_send({ to = to })",
        "local to = { 1, 2, 3, 4 }\nto[4] = nil\nim.group_send({ to = to })",
        "im.group_send({ [key] = 1, to = { id, id }, type = kind, body = make(), ext = { any = 1 } })",
        "im.group_send(make('x'), options)",
        "im.group_send({ type = kind, body = { anything = 1 } })",
        "im.group_send({ type = 'img', body = { file = im.upload('a.png', { thumbnail = { width = 1, height = 1 } }) } })",
        "im.group_send({ type = 'audio', body = { url = 'x', Length = 3 } })",
        "im.targeted_send({ to = '1', users = { 'a' }, type = 'cmd', body = { action = 'x' } }, { priority = 'low' })",
        "require(name)",
        "require('lib.helper').anything()",
        "require('string').anything = 1",
        "min = function(a, b) return a < b and a or b end\nprint(min(1, 2))",
        "function main(args) print(args[1]) end",
        "img = 1\nprint(img.groups)",
        "local ok, e = pcall(im.group_send, build())\nprint(ok, e.kind)",
    ]);
}

#[test]
fn globals_that_may_be_set_are_taken_as_right() {
    assert_none(&[
        "count = 0\nprint(count)",
        "print(later)\nfunction later() end",
        "local function f() return set_by_main end\nreturn f",
        "require('own')\nprint(ours)\nhelp()",
        "if prnt then prnt = nil end",
        "local unpack = unpack or table.unpack\nprint(unpack({ 1 }))",
        "print(type(jit), not bit32, loadstring == nil, rawlen)\nwhile waiting do end",
        "_G.made = 1\nprint(made)",
        "setmetatable(_G, {})\nprint(anything)",
        "load('made = 1')()\nprint(made)",
        "require(name or 'x')\nprint(anything)",
        "local im, printt = {}, print\nprintt(im)",
        "for _, word in ipairs(arg) do print(word) end",
        "print(im.limits.message_bytes, im.limits.custom_exts)",
        "local limits = im.limits\nfor name in pairs(limits) do print(name) end",
        "im.targeted_send({ to = '1', [arg[1]] = {}, type = kind or 'txt' })",
        "local m = { to = '1' }\nm.users = { 'a' }\nim.targeted_send(m)",
        "local text = require('template').compile('x')\nprint(text:render({}))",
        "im.helper = function() end\nim:helper()",
        "print(('x'):rep(3))",
    ]);
}

#[track_caller]
fn assert_none(scripts: &[&str]) {
    for script in scripts {
        let found = lint(script);
        assert!(found.is_empty(), "{script}\n{found:#?}");
    }
}

#[test]
fn the_examples_and_the_library_are_fine() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for folder in ["scripts", "scripts/types", "stdlib", "stdlib/meta", "tests/lua/stdlib"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "lua") {
                let found = lint(&std::fs::read_to_string(&path).unwrap());
                assert!(found.is_empty(), "{}: {found:#?}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 20, "only {seen} files");
}

#[test]
fn modules_that_may_be_missing_are_left_alone() {
    assert_fine(&[
        "local ok, x = pcall(function() return require('nowhere_x') end)",
        "local ok, x = pcall(require, 'nowhere_x')",
        "local x = DEV and require('nowhere_x')",
        "local x = DEV and require('nowhere_x') or nil",
        "if DEV then require('nowhere_x') end",
        "if DEV then\nelseif QA then require('nowhere_x') else require('nowhere_y') end",
        "xpcall(function() require('nowhere_x') end, print)",
    ]);
}

#[test]
fn arguments_that_a_function_takes_are_left_alone() {
    assert_fine(&[
        "local log = require('log')\nlog.warn('x', { y = 1 })\nlog.info(5)\nlog.error({ 1 }, nil)",
        "local http = require('http')\nhttp.post('https://a', 'b', { json = nil, timeout = '5s', headers = {} })",
        "local http = require('http')\nhttp.post('https://a', nil, { json = { a = 1 } })",
        "require('json').encode({ a = 1 }, { pretty = true })",
        "require('template').render('{{ a }}', { a = 1 })",
    ]);
}
