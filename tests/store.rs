//! `store`: values outlive the run that wrote them, whatever other processes write; refused calls; and what a
//! rehearsal changes.

use std::process::Stdio;

use crate::support::{Project, Ran};

/// Runs the script with a text as `arg[1]`.
fn run(project: &Project, word: &str) -> Ran {
    project.mooncast(&["run", "--simulator", "scripts/main.lua", word])
}

#[test]
fn what_is_kept_outlives_the_process() {
    let project = Project::with_script(
        r#"local store, json = require("store"), require("json")
        if arg[1] == "write" then
          store.set("text", "grüße\n")
          store.set("number", 12.5)
          store.set("null", json.null)
          store.set("false", false)
          store.set("nested", { list = { 1, 2, { deep = true } }, empty = json.array() })
          store.set("gone", 1)
          assert(store.delete("gone") == true and store.delete("gone") == false)
          store.set("text", "second")
        else
          assert(store.get("text") == "second")
          assert(store.get("number") == 12.5)
          assert(store.get("null", 7) == json.null)
          assert(store.get("false", true) == false)
          local nested = store.get("nested")
          assert(nested.list[3].deep == true and json.encode(nested.empty) == "[]")
          assert(store.get("gone") == nil and store.get("gone", 7) == 7)
          local names = {}
          for key in store.keys() do names[#names + 1] = key end
          print(table.concat(names, " "))
        end"#,
    );
    run(&project, "write").exits(0);
    run(&project, "read").exits(0).prints("false nested null number text\n");
}

#[test]
fn each_script_has_its_own_and_a_name_is_shared() {
    let project = Project::with_script(
        r#"local store = require("store")
        store.set("key", "main")
        store.open("team").set("key", "shared")"#,
    )
    .file(
        "scripts/other.lua",
        r#"local store = require("store")
        print(store.get("key", "nothing"), store.open("team").get("key"), store.open("crew").get("key"))"#,
    );
    run(&project, "").exits(0);
    project.mooncast(&["run", "--simulator", "scripts/other.lua"]).exits(0).prints("nothing\tshared\tnil\n");
}

#[test]
fn two_processes_at_once_lose_no_change() {
    let project = Project::with_script(
        r#"local store = require("store").open("both")
        for _ = 1, 60 do
          store.increment("count")
          repeat
            local list = store.get("list", nil)
            local longer = { arg[1], before = nil }
            for _, item in ipairs(list or {}) do longer[#longer + 1] = item end
          until store.swap("list", list, longer)
        end"#,
    )
    .file(
        "scripts/sum.lua",
        r#"local store = require("store").open("both")
        local by = {}
        for _, who in ipairs(store.get("list")) do by[who] = (by[who] or 0) + 1 end
        print(store.get("count"), by.one, by.two)"#,
    );
    let start = |who: &str| {
        let mut command = project.command(&["run", "--simulator", "scripts/main.lua", who]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let (one, two) = (start("one"), start("two"));
    for child in [one, two] {
        Ran::of(&child.wait_with_output().unwrap()).exits(0);
    }
    project.mooncast(&["run", "--simulator", "scripts/sum.lua"]).exits(0).prints("120\t60\t60\n");
}

#[test]
fn a_swap_compares_what_is_in_tables_and_nil_is_no_value() {
    Project::with_script(
        r#"local store = require("store")
        assert(store.swap("a", nil, { x = 1, y = { z = 2.0 } }))
        assert(not store.swap("a", nil, 1))
        assert(not store.swap("a", { x = 1 }, 2))
        assert(store.swap("a", { y = { z = 2 }, x = 1 }, "next"))
        assert(store.swap("a", "next", nil) and store.get("a") == nil)
        assert(store.increment("n") == 1 and store.increment("n", 41) == 42 and store.increment("n", -2) == 40)"#,
    )
    .run_simulated()
    .exits(0);
}

#[test]
fn keys_come_in_order_page_after_page() {
    Project::with_script(
        r#"local store = require("store")
        local task = require("task")
        local writes = {}
        for i = 1, 450 do writes[i] = function() store.set(("k:%03d"):format(i), i) end end
        task.all(writes)
        store.set("k", 0) store.set("l", 0)
        -- Over a page's bytes, and the most that a value may have.
        for i = 1, 6 do store.set("large:" .. i, ("x"):rep(262142)) end
        local last, count = "", 0
        for key, value in store.keys("k:") do
          assert(key > last and value == tonumber(key:sub(3)))
          last, count = key, count + 1
        end
        local large = 0
        for key, value in store.keys("large:") do large = large + #value end
        print(count, last, large)"#,
    )
    .run_simulated()
    .exits(0)
    .prints(&format!("450\tk:450\t{}\n", 6 * 262_142));
}

#[test]
fn values_expire_by_the_run_s_clock() {
    // A rehearsal uses a simulated clock, so hours pass at once.
    let project = Project::with_script(
        r#"local store, task = require("store"), require("task")
        store.set("short", 1, { ttl = "90s" })
        store.set("long", 1, { ttl = 3600 })
        store.increment("window", 1, { ttl = "1m" })
        task.sleep("40s")
        assert(store.get("short") == 1)
        assert(store.increment("window", 1, { ttl = "1m" }) == 2)
        task.sleep("30s")
        -- The first addition began it; the second did not put it off.
        assert(store.get("window") == nil)
        assert(store.increment("window", 5) == 5)
        task.sleep("30s")
        assert(store.get("short") == nil and store.delete("short") == false)
        assert(store.swap("short", nil, 2, { ttl = "1s" }))
        task.sleep("1h")
        assert(store.get("long") == nil and not store.swap("short", 2, 3))
        store.set("short", 4)
        task.sleep("2h")
        local names = {}
        for key in store.keys() do names[#names + 1] = key end
        assert(table.concat(names, " ") == "short window", table.concat(names, " "))"#,
    );
    project.mooncast(&["rehearse", "--simulator", "scripts/main.lua"]).exits(0);
}

#[test]
fn a_rehearsal_sees_what_is_kept_lists_its_changes_and_makes_none() {
    let project = Project::with_script(
        r#"local store = require("store")
        if arg[1] == "begin" then
          store.set("a", 1) store.set("b", "old")
        elseif arg[1] == "show" then
          print(store.get("a"), store.get("b"), store.get("c"), store.open("x").get("d"))
        else
          assert(store.increment("a") == 2 and store.increment("a") == 3)
          assert(store.swap("b", "old", nil) and store.get("b") == nil)
          store.set("c", { one = true })
          store.open("x").set("d", 4)
        end"#,
    );
    run(&project, "begin").exits(0);
    let text = project.mooncast(&["rehearse", "--simulator", "scripts/main.lua"]).exits(0);
    let text = text.prints("set scripts/main.lua: a = 3").prints("delete scripts/main.lua: b");
    text.prints(r#"set scripts/main.lua: c = {"one":true}"#).prints("set x: d = 4");
    let json = project.mooncast(&["rehearse", "--simulator", "--json", "scripts/main.lua"]).exits(0);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let expected = serde_json::json!({ "change": "set", "of": "scripts/main.lua", "key": "a", "value": 3 });
    assert!(json["store"].as_array().unwrap().contains(&expected), "{json:#}");
    run(&project, "show").exits(0).prints("1\told\tnil\tnil\n");
}

#[test]
fn what_cannot_be_kept_is_refused_with_its_reason_and_line() {
    let refused = |call: &str, why: &str| {
        let script = format!("local store, json = require('store'), require('json')\n{call}");
        Project::with_script(script).run_simulated().exits(1).says("scripts/main.lua:2: ").says(why);
    };
    refused("store.set('a', nil)", "value: nil cannot be stored; to delete a key, call store.delete(key)");
    refused("store.set('a', print)", "value: JSON has no function");
    refused("store.set('a', { b = { 0/0 } })", "value: `b[1]`: JSON has no");
    refused("store.set('a', '\\xff')", "value: it holds bytes that are not UTF-8");
    refused("local t = {} t.t = t store.set('a', t)", "does one contain itself?");
    refused("store.set('a', ('x'):rep(262143))", "value: 262145 bytes as JSON, over the limit of 262144");
    refused("store.set('', 1)", "key: expected 1 to 256 bytes, got 0");
    refused("store.get(('k'):rep(257))", "key: expected 1 to 256 bytes, got 257");
    refused("store.get(12)", "key: expected a string, got integer");
    refused("store.set('a', 1, { tll = 5 })", "did you mean `ttl`?");
    refused("store.set('a', 1, { ttl = 0 })", "ttl: 0 would expire at once");
    refused(
        "store.set('a', 'x') store.increment('a')",
        "the value of `a` is \"x\", which is not a whole number",
    );
    refused("store.increment('a', 1.5)", "by: expected a whole number");
    refused(
        "store.set('a', math.maxinteger) store.increment('a')",
        "`a` is 9223372036854775807, and with 1 it would not fit",
    );
    refused("store.open('')", "name: expected a name");
}

#[test]
fn a_top_level_that_only_declares_reads_and_does_not_write() {
    let project = Project::with_script(
        "local store = require('store')
        local known = store.get('runs', 0)
        schedule.every('1h', { name = 'count' }, function() print(known, store.increment('runs')) end)",
    )
    .file("scripts/bad.lua", "require('store').set('a', 1)\nschedule.every('1h', function() end)");
    let job = |script: &str, name: &str| project.mooncast(&["run", "--simulator", "--job", name, script]);
    job("scripts/main.lua", "count").exits(0).prints("0\t1\n");
    job("scripts/main.lua", "count").exits(0).prints("1\t2\n");
    job("scripts/bad.lua", "bad").exits(1).says("scripts/bad.lua:1: ").says("only declares jobs");
}

#[test]
fn a_check_sees_no_data_and_ends_at_the_first_write() {
    let project = Project::with_script(
        "local store = require('store')
        assert(store.get('a', 5) == 5)
        for key in store.keys() do error(key) end
        store.set('a', 1)
        error('never reached')",
    );
    project.mooncast(&["check"]).exits(0).prints("no problems");
    assert!(!project.path(".mooncast").exists());
}
