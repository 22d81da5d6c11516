//! Many answers at once: the host has a memory budget for them, and further calls wait.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::OnceLock;

use super::{Daemon, alive, kilobytes, measured, signal, until, workers};
use crate::support::Project;

/// The most megabytes that a host may hold with a budget of 64 `MiB`, over what it holds for a script that asks for
/// nothing: the budget, one answer on its way, and what the allocator keeps.
const MOST: u64 = 64 + 80;

/// The megabytes that a host holds for a script that asks for nothing. A debug build has twice those of a release.
fn idle() -> u64 {
    static IDLE: OnceLock<u64> = OnceLock::new();
    *IDLE.get_or_init(|| {
        let project = Project::with_script("print('nothing')");
        let (ran, peak) = measured(project.command(&["run", "--simulator", "scripts/main.lua"]));
        ran.exits(0);
        peak
    })
}

/// Whether a host with this peak memory kept to its budget.
fn keeps_to_its_budget(peak: u64) -> bool {
    peak < idle() + MOST
}

/// Runs `main.lua` with this text in it. Returns its output and the host's peak memory in megabytes.
#[track_caller]
fn runs(project: &Project, lua: &str, args: &[&str]) -> (String, u64) {
    let before =
        "local fs, json, store, task = require('fs'), require('json'), require('store'), require('task')\n";
    project.write("scripts/main.lua", format!("{before}{lua}"));
    // Memory is judged here. Under load, thousands of answers at once take a debug build long to take in.
    let mut all = vec!["run", "--simulator", "--cpu-limit", "120s"];
    all.extend(args);
    all.push("scripts/main.lua");
    let (ran, peak) = measured(project.command(&all));
    (ran.exits(0).stdout, peak)
}

/// Lua that calls a function in this many tasks at once.
fn at_once(tasks: usize, call: &str) -> String {
    format!(
        "local all, sum = {{}}, 0
        for i = 1, {tasks} do all[i] = task.spawn(function() local n = {call} sum = sum + n end) end
        for _, one in ipairs(all) do one:wait() end
        print(sum)"
    )
}

#[test]
fn files_read_all_at_once() {
    let project = Project::new().file("data/big.bin", vec![b'x'; 16 << 20]);
    let (printed, peak) = runs(&project, &at_once(60, "#fs.read('data/big.bin')"), &[]);
    assert_eq!(printed.trim(), (60 * (16 << 20)).to_string());
    assert!(keeps_to_its_budget(peak), "{peak} MB");
}

#[test]
fn values_of_the_store_read_all_at_once() {
    let lua = format!("store.set('k', ('x'):rep(250000))\n{}", at_once(3000, "#store.get('k')"));
    let (printed, peak) = runs(&Project::new(), &lua, &[]);
    assert_eq!(printed.trim(), (3000 * 250_000).to_string());
    assert!(keeps_to_its_budget(peak), "{peak} MB");
}

#[test]
fn pages_of_the_store_read_all_at_once() {
    let lua = format!(
        "for i = 1, 150 do store.set('k' .. i, ('x'):rep(250000)) end
        local function first() for _, value in store.keys('k') do return #value end end
        {}",
        at_once(100, "first()")
    );
    let (printed, peak) = runs(&Project::new(), &lua, &[]);
    assert_eq!(printed.trim(), (100 * 250_000).to_string());
    assert!(keeps_to_its_budget(peak), "{peak} MB");
}

#[test]
fn files_written_all_at_once() {
    let project = Project::new().file("data/here", "");
    let lua = format!(
        "local text = ('x'):rep(8 * 1024 * 1024)
        local function write() fs.write('data/' .. math.random(3), text) return 1 end
        {}",
        at_once(100, "write()")
    );
    let (printed, peak) = runs(&project, &lua, &["--allow-write=data"]);
    assert_eq!(printed.trim(), "100");
    assert!(keeps_to_its_budget(peak), "{peak} MB");
}

/// A server that answers each request with this many bytes, without a length.
fn server(bytes: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream, bytes));
        }
    });
    address
}

fn answer(mut stream: TcpStream, bytes: usize) {
    let mut request = [0; 4096];
    // A closed connection needs no answer.
    let _ = stream.read(&mut request);
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
    let _ = stream.write_all(&vec![b'y'; bytes]);
}

#[test]
fn answers_of_other_services_all_at_once() {
    let address = server(8 << 20);
    let lua = format!(
        "local http = require('http')\n{}",
        at_once(80, &format!("#http.get('http://{address}/', {{ timeout = '60s' }}).body"))
    );
    let (printed, peak) = runs(&Project::new(), &lua, &["--allow-net=127.0.0.1"]);
    assert_eq!(printed.trim(), (80 * (8 << 20)).to_string());
    assert!(keeps_to_its_budget(peak), "{peak} MB");
}

#[test]
fn a_message_that_is_far_too_large_is_refused_unread() {
    let lua = "local list = {} for i = 1, 4000000 do list[i] = 1 end
        local ok, error = pcall(im.group_send, { to = 'g', type = 'txt', body = { msg = 'm' }, ext = { list = list } })
        print(ok, error.kind)";
    let (printed, peak) = runs(&Project::new(), lua, &[]);
    assert_eq!(printed.trim(), "false\tinvalid");
    assert!(keeps_to_its_budget(peak), "{peak} MB");
}

#[test]
fn long_lines_for_the_log_are_cut() {
    let lua = "local log = require('log')
        local fields = { long = ('x'):rep(1000000) }
        for i = 1, 20 do log.info('a line', fields) end";
    let project = Project::with_script(lua);
    let ran = project.run_simulated().exits(0).says("a line");
    assert!(ran.stderr.len() < 20 * 20_000, "{} bytes", ran.stderr.len());
}

#[test]
fn one_answer_that_is_larger_than_the_budget_is_given_all_the_same() {
    let project = Project::new().file("data/big.bin", vec![b'x'; 16 << 20]);
    project.write("mooncast.toml", "[scripts]\nhost_memory = \"1MiB\"\n");
    let (printed, peak) = runs(&project, &at_once(20, "#fs.read('data/big.bin')"), &[]);
    assert_eq!(printed.trim(), (20 * (16 << 20)).to_string());
    assert!(peak < 32 + 64, "{peak} MB");
}

#[test]
fn a_budget_of_nothing_is_no_deadlock() {
    let project = Project::new().file("data/a", "abc");
    project.write("mooncast.toml", "[scripts]\nhost_memory = 0\n");
    let lua = format!(
        "{}
        local big = ('x'):rep(300000)
        for i = 1, 5 do task.spawn(function() print(#big, fs.read('data/a')) end) end
        fs.write('data/a', big)
        print(im.group_send({{ to = 'g', type = 'txt', body = {{ msg = 'm' }} }}).g ~= nil)",
        at_once(200, "#fs.read('data/a')")
    );
    let (printed, _) = runs(&project, &lua, &["--allow-write=data"]);
    assert!(printed.starts_with("600\n") && printed.contains("true\n"), "{printed}");
}

#[test]
fn a_script_that_takes_nothing_in_keeps_no_other_from_its_answers() {
    let every = "require('schedule').every('1s', { name = NAME, overlap = 'skip' }, function(context)";
    let hog = "local fs, task = require('fs'), require('task')
        for i = 1, 100 do task.spawn(function() fs.read('data/big.bin') end) end
        task.sleep('10m')
        end)";
    let good = "print('good', #require('fs').read('data/small'), context.run) end)";
    let project = Project::new()
        .file("data/big.bin", vec![b'x'; 16 << 20])
        .file("data/small", "abc")
        .file("scripts/hog.lua", format!("{}{hog}", every.replace("NAME", "'hog'")))
        .file("scripts/good.lua", format!("{}{good}", every.replace("NAME", "'good'")));
    let daemon = Daemon::start(&project, &[]);
    let hog = || {
        let all = workers(daemon.pid());
        all.into_iter().find(|pid| kilobytes(*pid, "VmRSS").is_some_and(|rss| rss > 100_000))
    };
    until("the hog reads", || hog().is_some());
    signal("STOP", hog().unwrap());
    let runs = || daemon.said().matches("good\t3").count();
    let before = runs();
    until("the other goes on", || runs() > before + 3 || !alive(daemon.pid()));
    let peak = kilobytes(daemon.pid(), "VmHWM").unwrap() / 1024;
    let said = daemon.kill();
    assert!(keeps_to_its_budget(peak), "{peak} MB\n{said}");
}

#[test]
fn a_run_that_is_stopped_while_its_calls_wait_ends_at_once() {
    let project = Project::new().file("data/big.bin", vec![b'x'; 16 << 20]);
    project.write("mooncast.toml", "[scripts]\nhost_memory = \"1MiB\"\n");
    project.write(
        "scripts/main.lua",
        "local fs, task = require('fs'), require('task')
        print('begins')
        for i = 1, 2000 do task.spawn(function() while true do fs.read('data/big.bin') end end) end",
    );
    let daemon = Daemon::of(&mut project.command(&["run", "--simulator", "scripts/main.lua"]));
    daemon.says("begins");
    let said = daemon.stop();
    assert!(said.contains("interrupted"), "{said}");
}

/// A rehearsal and a test keep written files in memory. All files together have the budget of a run.
#[test]
fn files_that_a_rehearsal_keeps_have_an_end() {
    for (write, most) in [
        ("fs.write('data/' .. i, ('x'):rep(4 << 20))", "64"),
        ("fs.append('data/' .. i % 3, ('x'):rep(4 << 20))", "16777216"),
        ("fs.mkdir('data/' .. i .. ('/' .. ('x'):rep(200)):rep(15))", "64"),
    ] {
        let project = Project::new().file("data/here", "");
        let lua = format!("local fs = require('fs')\nfor i = 1, 100000 do {write} end");
        project.write("scripts/main.lua", &lua);
        let (ran, peak) = measured(project.command(&["rehearse", "scripts/main.lua"]));
        ran.exits(1).prints("main.lua:2").prints("in a rehearsal or").prints(most);
        assert!(keeps_to_its_budget(peak), "{peak} MB: {write}");
    }
}
