//! Scripts that loop, allocate, recurse, hang or lie end with a clear error before their deadline.
//!
//! Store: file

use std::time::Duration;

use crate::support::{Project, Ran};

/// The CPU limit of scripts that must reach it.
const CPU: &str = "400ms";
/// The CPU limit of scripts that must reach another limit first, however slow the machine is.
const AMPLE_CPU: &str = "10s";
/// The latest end of each script, plus a second.
const DEADLINE: Duration = Duration::from_mins(1);

fn run(source: &[u8], cpu: &str) -> Ran {
    let project = Project::with_script(source);
    let deadline = format!("{}s", DEADLINE.as_secs());
    let limits = ["--cpu-limit", cpu, "--memory-limit", "96MiB", "--timeout", &deadline];
    let mut args = vec!["run", "--simulator"];
    args.extend(limits);
    args.push("scripts/main.lua");
    project.mooncast(&args)
}

/// (what the script does, the script, a part of the error)
const HOSTILE: &[(&str, &str, &str)] = &[
    // Loops.
    ("while loop", "while true do end", "computed for"),
    ("repeat loop", "repeat until false", "computed for"),
    ("for loop", "for i = 1, math.huge do end", "computed for"),
    ("goto loop", "::a:: goto a", "computed for"),
    ("tail calls", "local function f() return f() end f()", "computed for"),
    ("loop in a coroutine", "coroutine.wrap(function() while true do end end)()", "computed for"),
    (
        "loop in nested coroutines",
        "local function n(d) if d == 0 then while true do end end coroutine.wrap(n)(d - 1) end n(20)",
        "computed for",
    ),
    ("loop under pcall", "while true do pcall(function() while true do end end) end", "computed for"),
    ("loop of pcalls of errors", "while true do pcall(error, 'x') end", "computed for"),
    ("loop in an xpcall handler", "while true do xpcall(error, function() while true do end end) end", ""),
    (
        "xpcall handler that errs",
        "while true do xpcall(function() while true do end end, function() error('again') end) end",
        "computed for",
    ),
    (
        "loop in __close",
        "do local c <close> = setmetatable({}, { __close = function() while true do end end }) end",
        "computed for",
    ),
    (
        "loop in __close after an error",
        "local c <close> = setmetatable({}, { __close = function() while true do pcall(function() while true do end end) end end }) error('x')",
        "",
    ),
    (
        "loop in __index",
        "local t = setmetatable({}, { __index = function(t, k) while true do end end }) return t.x",
        "computed for",
    ),
    (
        "loop in __tostring of an error",
        "error(setmetatable({}, { __tostring = function() while true do end end }))",
        "",
    ),
    ("loop in an iterator", "for _ in function() return 1 end do end", "computed for"),
    (
        "loop in a sort comparator",
        "local t = {} for i = 1, 1000 do t[i] = i end table.sort(t, function(a, b) while true do end end)",
        "computed for",
    ),
    ("loop in a gsub callback", "('aaaa'):gsub('a', function() while true do end end)", "computed for"),
    ("loop in a load reader", "load(function() while true do end end)", "computed for"),
    ("endless load reader", "load(function() return 'x = 1 ' end)", ""),
    (
        "loop in a task",
        "local task = require('task') task.spawn(function() while true do end end)",
        "computed for",
    ),
    (
        "loops in many tasks",
        "local task = require('task') for i = 1, 500 do task.spawn(function() while true do pcall(function() while true do end end) end end) end",
        "computed for",
    ),
    ("metamethod chain", "local t = {} for i = 1, 1e9 do t = setmetatable({}, { __index = t }) end", ""),
    // C functions that never return.
    (
        "pattern with a dozen lazy repeats",
        "local s = ('a'):rep(3000) s:find(('.-'):rep(12) .. 'b')",
        "stopped",
    ),
    ("gsub with a slow pattern", "local s = ('a'):rep(5000) s:gsub(('a*'):rep(10) .. 'b', '')", "stopped"),
    ("table.move over everything", "table.move({}, 1, math.maxinteger - 1, 2)", ""),
    (
        "table.concat with a lying __len",
        "table.concat(setmetatable({}, { __len = function() return 1e15 // 1 | 0 end, __index = function() return '' end }))",
        "",
    ),
    ("table.unpack of a lie", "table.unpack({}, 1, 1e8 // 1 | 0)", "too many results"),
    (
        "table.insert with a lying __len",
        "local t = setmetatable({}, { __len = function() return math.maxinteger - 1 end }) table.insert(t, 1, 'x')",
        "",
    ),
    (
        "table.remove with a lying __len",
        "local t = setmetatable({}, { __len = function() return math.maxinteger - 1 end }) table.remove(t, 1)",
        "",
    ),
    (
        "sort with a lying __len",
        "table.sort(setmetatable({}, { __len = function() return 2^30 // 1 | 0 end, __index = function(_, i) return i end, __newindex = function() end }))",
        "",
    ),
    ("utf8.char of too many", "utf8.char(table.unpack({}, 1, 250))", ""),
    (
        "string.rep of nothing",
        "assert(string.rep('', 1e18 // 1 | 0) == '') while true do end",
        "computed for",
    ),
    // Memory.
    ("string.rep", "local s = string.rep('x', 1e10 // 1 | 0)", "memory limit"),
    ("doubling string", "local s = 'x' while true do s = s .. s end", "memory"),
    ("table that grows", "local t = {} while true do t[#t + 1] = {} end", "memory"),
    (
        "closures that grow",
        "local f = function() end while true do local g = f f = function() return g end end",
        "memory",
    ),
    (
        "coroutines that grow",
        "local t = {} while true do t[#t + 1] = coroutine.create(function() end) end",
        "memory",
    ),
    (
        "table under pcall",
        "local t = {} while true do pcall(function() t[#t + 1] = ('x'):rep(1e6 // 1 | 0) end) end",
        "",
    ),
    (
        "memory in an error handler",
        "while true do xpcall(error, function() local t = {} while true do t[#t + 1] = {} end end) end",
        "",
    ),
    ("big concat", "local t = {} for i = 1, 1e6 do t[i] = ('x'):rep(1000) end", "memory"),
    (
        "string.format",
        "local s = string.format('%99d', 1) while true do s = s .. string.format('%s%s', s, s) end",
        "memory",
    ),
    (
        "json of a huge table",
        "local t = {} for i = 1, 1e6 do t[i] = i end local json = require('json') local s = {} while true do s[#s + 1] = json.encode(t) end",
        "",
    ),
    ("print of a huge string", "for i = 1, 1e9 do print(('x'):rep(4e7 // 1 | 0)) end", ""),
    (
        "a million tasks",
        "local task = require('task') for i = 1, 1e6 do task.spawn(function() task.sleep(100) end) end",
        "tasks are alive",
    ),
    (
        "a million sleeping sends",
        "local task = require('task') for i = 1, 1e6 do task.spawn(function() im.group_send { to = '1', type = 'txt', body = { msg = ('x'):rep(4000) } } end) end",
        "tasks are alive",
    ),
    // Recursion.
    ("deep recursion", "local function f() return 1 + f() end f()", "stack overflow"),
    ("deep C recursion", "local function f() return (('x'):gsub('x', f)) end f()", "overflow"),
    ("deep pcall recursion", "local function f() return pcall(f) end f() while true do end", ""),
    ("nested coroutines", "local function f() return coroutine.wrap(f)() end f()", "overflow"),
    ("nested pattern", "return ('('):rep(1e5 // 1 | 0):find(('('):rep(1e5 // 1 | 0))", ""),
    (
        "a table in itself",
        "local t = {} t.t = t im.group_send { to = '1', type = 'txt', body = { msg = 'x' }, ext = t }",
        "nested",
    ),
    ("deep source", "return load('return ' .. ('('):rep(1e5 // 1 | 0))()", ""),
    // Functions that do not exist.
    ("io", "io.open('/etc/passwd')", "nil value (global 'io')"),
    ("os.execute", "os.execute('id')", "nil value (field 'execute')"),
    ("os.exit", "os.exit(0)", "nil value (field 'exit')"),
    ("os.getenv", "os.getenv('PATH')", "nil value (field 'getenv')"),
    ("debug", "debug.getregistry()", "nil value (global 'debug')"),
    ("package", "package.loadlib('/lib/x.so', 'f')", "nil value (global 'package')"),
    ("dofile", "dofile('/etc/passwd')", "nil value (global 'dofile')"),
    ("loadfile", "loadfile('/etc/passwd')", "nil value (global 'loadfile')"),
    ("string.dump", "string.dump(print)", "nil value (field 'dump')"),
    ("collectgarbage", "collectgarbage('stop')", "nil value (global 'collectgarbage')"),
    ("__gc", "setmetatable({}, { __gc = function() while true do end end })", "__gc is not available"),
    ("bytecode", "assert(load('\\27Lua', 'x', 'b'))", "attempt to load"),
    ("bytecode as text", "assert(load('\\27Lua\\x54\\0'))", ""),
    // Errors that are not texts.
    ("a table as an error", "error({})", "error value is a table"),
    ("nil as an error", "error(nil)", "error value is a nil"),
    ("a function as an error", "error(print)", "error value is a function"),
    ("an error with NUL", "error('a\\0b')", "a\\u{0}b"),
    ("an error with colours", "error('\\27[31mred')", "\\u{1b}[31mred"),
    ("an error of 30 MB", "error(('x'):rep(30e6 // 1 | 0))", "xxx"),
    ("an error with bad UTF-8", "error('\\xff\\xfe')", "\u{fffd}"),
    (
        "a __tostring that errs",
        "error(setmetatable({}, { __tostring = function() error('no') end }))",
        "__tostring fails",
    ),
    (
        "a __tostring that gives a number",
        "error(setmetatable({}, { __tostring = function() return 1 end }))",
        "error: 1",
    ),
    ("yield at the top", "coroutine.yield(1)", "outside a coroutine"),
    (
        "tasks that wait for each other",
        "local task = require('task') local a, b a = task.spawn(function() b:wait() end) b = task.spawn(function() a:wait() end) a:wait()",
        "none can continue",
    ),
];

#[test]
fn every_hostile_script_ends_with_a_clear_error_by_its_deadline() {
    assert!(HOSTILE.len() >= 40);
    // Two at a time, as there are two cores: more would disturb each other.
    let next = std::sync::atomic::AtomicUsize::new(0);
    let failures = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((what, source, expected)) =
                    HOSTILE.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                {
                    if let Err(failure) = ends_well(source, expected) {
                        failures.lock().unwrap().push(format!("{what}: {failure}"));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn ends_well(source: &str, expected: &str) -> Result<(), String> {
    let began = std::time::Instant::now();
    let cpu = if ["", "computed for", "stopped"].contains(&expected) { CPU } else { AMPLE_CPU };
    let ran = run(source.as_bytes(), cpu);
    let took = began.elapsed();
    if ran.status != Some(1) {
        return Err(format!("exit {:?}: {ran:#?}", ran.status));
    }
    if took > DEADLINE + Duration::from_secs(1) {
        return Err(format!("took {took:?}"));
    }
    let Some(error) = ran.stderr.lines().find(|line| line.starts_with("error: ")) else {
        return Err(format!("no error line in {ran:#?}"));
    };
    if error.len() > 9_000 || error.chars().any(|letter| letter.is_control() && letter != '\t') {
        return Err(format!("not a clean line: {} bytes", error.len()));
    }
    if !ran.stderr.contains(expected) {
        let shown: String = ran.stderr.chars().take(600).collect();
        return Err(format!("no {expected:?} in {shown}"));
    }
    Ok(())
}

#[test]
fn mutated_bytecode_is_never_loaded() {
    let compiled = mlua::Lua::new()
        .load("local t = {} for i = 1, 10 do t[i] = function(...) return i, ... end end return t")
        .into_function()
        .unwrap()
        .dump(false);
    let escaped: Vec<String> = compiled.iter().map(|byte| format!("\\x{byte:02x}")).collect();
    let escaped = escaped.concat();
    let script = format!(
        r#"local chunk = "{escaped}"
        assert(#chunk > 100 and chunk:byte(1) == 27)
        local function never(chunk, mode)
          local ok, loaded = pcall(load, chunk, "chunk", mode)
          assert(not (ok and loaded), "loaded")
        end
        for _, mode in ipairs {{ "b", "t", "bt", "x", false }} do never(chunk, mode or nil) end
        never(function() local piece = chunk chunk = nil return piece end)
        chunk = "{escaped}"
        math.randomseed(7)
        for _ = 1, 2000 do
          local bytes = {{ chunk:byte(1, -1) }}
          for _ = 1, math.random(1, 8) do bytes[math.random(2, #bytes)] = math.random(0, 255) end
          never(string.char(table.unpack(bytes)))
        end
        print("none")"#
    );
    Project::with_script(script)
        .file("scripts/compiled.lua", &compiled)
        .run_simulated()
        .exits(0)
        .prints("none");
    let project = Project::with_script("require('compiled')").file("scripts/compiled.lua", &compiled);
    project.run_simulated().exits(1).says("attempt to load a binary chunk");
    project.mooncast(&["run", "--simulator", "scripts/compiled.lua"]).exits(1).says("binary chunk");
}

#[test]
fn the_end_of_the_time_to_compute_names_the_line() {
    for source in ["local x = 1\nwhile true do x = x + 1 end", "local f = print\nwhile true do f() end"] {
        let ran = run(source.as_bytes(), CPU);
        assert!(ran.stderr.contains("error: scripts/main.lua:2: the script computed for 0.4 s"), "{ran:#?}");
    }
}
