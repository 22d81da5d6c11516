//! Syntax errors in plain words.

use super::assert_found;

#[test]
fn what_is_no_lua_is_named_in_plain_words() {
    assert_found(&[
        ("local x = ", 1, "expected"),
        ("if true then\n  print(1)\n", 1, "`if` has no `end`"),
        ("local function f()\n  print(1)\n", 1, "`function` has no `end`"),
        ("for i = 1, 3 do\nprint(i)", 1, "has no `end`"),
        ("print(1)\nend", 2, "`end` closes no block"),
        ("local t = {\n  a = 1\n  b = 2\n}", 3, "separated by commas"),
        ("local a\nif a = 1 then end", 2, "write `==`"),
        ("local a = 1\na += 1", 2, "write it in full, like `x = x + 1`"),
        ("print(“hello”)", 1, "plain double quote"),
        (
            "print('`fine`') -- `fine`\nprint(`hello`)",
            2,
            "``` is not valid in Lua here; write a plain single quote",
        ),
        ("print('hello'，1)", 1, "plain comma"),
        ("if a != b then end", 1, "~="),
        ("local s = 'it's'", 1, "not closed on its line"),
        ("local s = \"open\nprint(s)", 1, "not closed"),
        ("--[[ never\nclosed", 1, "comment is not closed"),
        ("local x = 3days", 1, "not a number"),
        ("print('C:\\data')", 1, "`\\d` is not a valid escape"),
        ("print \"a\nb\"", 1, "not closed"),
        ("im.group_send", 1, "alone is not a statement"),
        ("return 1\nprint(2)", 2, "never be reached"),
        ("local x <const> = 1\nx = 2", 2, "constant"),
        ("local x <constant> = 1", 1, "`<constant>` is unknown"),
        ("local x <close>, y <close> = nil, nil", 1, "only one"),
        ("break", 1, "outside of a loop"),
        ("goto done", 1, "no label `::done::`"),
        ("::a::\n::a::", 2, "already defined"),
        ("do\ngoto a\nlocal b\n::a::\nprint(b)\nend", 2, "jump over a `local`"),
        ("function f()\n  return ...\nend", 2, "`...` is valid only"),
        ("(a) = 1", 1, "only a name or a field"),
        ("f() = 1", 1, "call"),
        ("local continue = 1\nwhile true do continue end", 2, "alone is not a statement"),
    ]);
}

#[test]
fn nesting_beyond_lua_s_own_limit_is_said_and_survived() {
    for (open, close) in [("(", ")"), ("{", "}"), ("print(", ")"), ("function() return ", " end")] {
        let nested = |levels: usize| format!("x = {}1{}", open.repeat(levels), close.repeat(levels));
        assert!(super::lint(&nested(150)).is_empty());
        assert_found(&[(&nested(300), 1, "nested too deeply")]);
        assert_found(&[(&nested(100_000), 1, "nested too deeply")]);
    }
    assert_found(&[(&format!("x = {}a", "a..".repeat(50_000)), 1, "nested too deeply")]);
    assert_found(&[(&format!("x = {}a", "not ".repeat(50_000)), 1, "nested too deeply")]);
    assert!(super::lint(&format!("x = {}1", "1 + ".repeat(100_000))).is_empty());
    assert!(super::lint(&format!("x = {}1", "1 - ".repeat(900))).is_empty());
}
