//! The linter compared with Lua itself: each refuses the syntax that the other refuses.
//!
//! Store: file

use mooncast::Linter;

/// Valid and invalid pieces of Lua, which are combined in pairs.
const PIECES: &[&str] = &[
    "local a = 1",
    "a = a + 1",
    "a.b.c = 2",
    "f()",
    "f 'x' {} [[y]]",
    "a:b(1)",
    "local function g(...) return ... end",
    "function a.b:c() return self end",
    "do local z <const> = 1 end",
    "do local z <close> = nil end",
    "if a then elseif b then else end",
    "while a do break end",
    "while a do break f() end",
    "repeat local q = 1 until q",
    "for i = 1, 2 do f(i) end",
    "for k, v in pairs(t) do if k then goto continue end f(v) ::continue:: end",
    "do goto l; local x; ::l:: end",
    "do goto l; local x; ::l:: ; end",
    "::here::",
    "local t = { 1, a = 2, [3] = 4; 5 }",
    "local s = 'a\\x41\\065\\u{41}\\z  b'",
    "local n = 0x1p4 + 1e3 + .5 + 3. // 1 ~ 2 & 3 | 4 << 1 >> 1",
    ";",
    "return f(a)",
    "return",
    "break",
    "goto nowhere",
    "do goto l; local x; ::l:: f(x) end",
    "repeat if a then goto l end local x ::l:: until x",
    "local y <const> = 1; y = 2",
    "local y <other> = 1",
    "local y <close>, z <close> = nil, nil",
    "function h() return ... end",
    "(a) = 1",
    "(a).b = 1",
    "f() = 1",
    "a.b",
    "a.b:c = 1",
    "local s = 'a\\qb'",
    "local s = '\\300'",
    "local s = '\\u{110000}'",
    "local s = 'open",
    "local n = 3x",
    "local n = 1..2",
    "local n = 0x",
    "local n = 1e",
    "x = = 1",
    "x = {1, 2",
    "x = f(1,)",
    "x = {1,}",
    "local function a.b() end",
    "local a.b = 1",
    "for i = 1 do end",
    "for i in do end",
    "if a then",
    "end",
    "until a",
    "else",
    "a += 1",
    "a != b",
    "a ? b : c",
    "--[[ open",
    "--[==[ closed ]==]",
    "local goto = 1",
    "local a <const>",
    "f(function() end)",
    "f{function() break end}",
    "x = a and b or not c == #d .. -e ^ 2",
    "x = a b",
    "x, y = 1",
    "x, f() = 1, 2",
    "local x, y, = 1",
    "return 1, 2;",
    "return;",
    "::a:: ::a::",
    "do ::a:: end ::a::",
    "::a:: do ::a:: end",
    "x = function(a, b, ...) end",
    "x = function(..., a) end",
    "x = function(a b) end",
    "x = ...",
    "\u{b}\u{c}x = 1",
    "x = 'a\\\nb'",
    "x = 'a\\n\nb'",
    "x = ~1",
    "x = 1 ~= 2",
    "x = a.1",
    "x = a:b",
    "(f)()",
    "('x'):y()",
    "'x':y()",
    "{}.x = 1",
];

#[test]
fn syntax_is_judged_as_lua_judges_it() {
    let lua = mlua::Lua::new();
    let linter = Linter::new();
    let mut differences = Vec::new();
    let mut judged = 0;
    let mut judge = |source: &str| {
        let lua_says = lua.load(source).set_name("=s").into_function().err().map(|error| error.to_string());
        let mut findings = linter.lint(source, &|_| Some(String::new()));
        // Lua finds an undefined global only at run time.
        findings.retain(|finding| !finding.message.contains("is not defined"));
        judged += 1;
        if lua_says.is_some() == findings.is_empty() {
            differences.push(format!("{source:?}\n  Lua: {lua_says:?}\n  lint: {findings:?}"));
        }
    };
    for first in PIECES {
        judge(first);
        for second in PIECES {
            judge(&format!("{first}\n{second}"));
            judge(&format!("do {first} end\nlocal function f()\n{second}\nend"));
        }
    }
    assert!(judged > 10_000, "{judged}");
    assert!(
        differences.is_empty(),
        "{} differ:\n{}",
        differences.len(),
        differences[..differences.len().min(30)].join("\n")
    );
}
