//! Row "Lua's own": everything that Lua 5.4 accepts is accepted. `print` shows tables.

use crate::support::Project;

#[track_caller]
fn prints(script: &str, expected: &str) {
    assert_eq!(Project::with_script(script).run_simulated().exits(0).stdout, expected);
}

#[test]
fn times_take_numbers_written_as_texts() {
    prints(r#"print(os.time{year="2026", month="11", day="28"})"#, "1795867200\n");
    prints(r#"print(os.time{year=" 2026 ", month="0xB", day="28.0", hour="0"})"#, "1795824000\n");
    prints(r#"print(os.date("%F", "1000000000"))"#, "2001-09-09\n");
    prints(r#"print(os.date("!%Y-%m-%d %H", "1e9"))"#, "2001-09-09 01\n");
}

#[test]
fn times_take_lua_s_own_letters_and_no_others() {
    prints(
        r#"print(os.date("!%Ey|%OH|%EX|%D|%e|%h|%j|%n|%p|%R|%t|%u|%V|%g|%G|%%", 1000000000))"#,
        "01|01|01:46:40|09/09/01| 9|Sep|252|\n|AM|01:46|\t|7|36|01|2001|%\n",
    );
    for wrong in ["%Q", "%N", "%f", "%E", "%Eq", "%Od%Oz", "%", "%3d", "%-d", "%:z"] {
        Project::with_script(format!("os.date('!{wrong}', 0)"))
            .run_simulated()
            .exits(1)
            .says("invalid conversion specifier");
    }
}

#[test]
fn null_is_shown_by_its_name() {
    prints(
        "local null = require('json').null print(null, { null, x = null })",
        "json.null\t{ json.null, x = json.null }\n",
    );
}

#[test]
fn times_refuse_what_is_no_number() {
    for script in [
        r#"os.time{year="soon", month=1, day=1}"#,
        r#"os.date("%F", "soon")"#,
        "os.time{year=2026.5, month=1, day=1}",
    ] {
        Project::with_script(script).run_simulated().exits(1).says("a whole number");
    }
}

#[test]
fn print_shows_tables() {
    prints(
        "print({ 1, 'a', name = 'x', ['e-mail'] = { true } }, 'b', nil)",
        "{ 1, \"a\", [\"e-mail\"] = { true }, name = \"x\" }\tb\tnil\n",
    );
    prints("print(setmetatable({}, { __tostring = function() return 'mine' end }))", "mine\n");
    prints("local t = {} t.self = t print(t)", "{ self = {…} }\n");
    prints("print({ 'a\\nb\\27' })", "{ \"a\\nb\\x1B\" }\n");
}

#[test]
fn print_bounds_what_it_shows() {
    let deep = "local t = {} local inner = t for i = 1, 5000 do inner.x = {} inner = inner.x end print(t)";
    assert!(Project::with_script(deep).run_simulated().exits(0).stdout.contains("{…}"));
    let long = "local t = {} for i = 1, 200000 do t[i] = i end print(t)";
    let shown = Project::with_script(long).run_simulated().exits(0).stdout;
    assert!(shown.len() < 100_000 && shown.contains(" more"), "{}", shown.len());
}

#[test]
fn log_shows_tables() {
    Project::with_script("require('log').info({ a = 1 })").run_simulated().exits(0).says("{ a = 1 }");
}
