//! `mooncast test`: tests written in Lua, their failures and their reports; and the project's own tests.
//!
//! Store: file

mod simulated;

use std::path::Path;

use crate::support::{Project, Ran};

const GROUP: &str = "184524748161025";

/// Makes a project with a file of tests, after the lines that all of them need.
fn with_tests(tests: &str) -> Project {
    let begin = "local test, task = require('test'), require('task') local expect = test.expect\n";
    Project::new().file("scripts/tests/main.lua", format!("{begin}{tests}"))
}

fn own(args: &[&str]) -> Ran {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_mooncast"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(args);
    Ran::of(&command.output().unwrap())
}

#[test]
fn the_examples_pass_their_tests_and_nothing_is_left_of_them() {
    let state = Path::new(env!("CARGO_MANIFEST_DIR")).join(".mooncast");
    let before = state.exists();
    own(&["test"]).exits(0).prints("17 tests passed");
    assert_eq!(state.exists(), before);
}

#[test]
fn the_library_s_expectations_hold_what_they_say() {
    own(&["test", "tests/lua/tests"]).exits(0).prints("ok    tests/lua/tests/expect.lua: ");
}

#[test]
fn a_new_project_s_test_passes() {
    let project = Project::new();
    project.mooncast(&["new", "spring"]).exits(0).prints("mooncast test");
    let mut command = project.command(&["test"]);
    Ran::of(&command.current_dir(project.path("spring")).output().unwrap()).exits(0).prints("1 test passed");
    let mut command = project.command(&["check"]);
    Ran::of(&command.current_dir(project.path("spring")).output().unwrap()).exits(0).prints("no problems");
}

#[test]
fn each_template_is_a_whole_project() {
    let templates = [
        ("hello", "scripts/hello.lua", None),
        ("campaign", "scripts/campaign.lua", None),
        ("bot", "scripts/bot.lua", None),
        ("schedule", "scripts/daily.lua", Some("good-morning")),
        ("automation", "scripts/orders.lua", Some("orders")),
    ];
    crate::support::side_by_side(templates, |(template, script, job)| {
        let project = Project::new();
        project.mooncast(&["new", "spring", "--template", template]).exits(0).prints("mooncast test");
        let run = |args: &[&str]| {
            let mut command = project.command(args);
            command.env("ORDERS_SECRET", "try-it").env("API_KEY", "try-it");
            Ran::of(&command.current_dir(project.path("spring")).output().unwrap())
        };
        run(&["check"]).exits(0).prints("no problems");
        run(&["test"]).exits(0).prints("passed");
        let job: Vec<&str> = job.map_or_else(Vec::new, |job| vec!["--job", job]);
        run(&[&["rehearse", script][..], &job].concat()).exits(0).prints("nothing was sent");
        // At night a broadcast with hours would wait for the morning.
        let file = format!("spring/{script}");
        let source = std::fs::read_to_string(project.path(&file)).unwrap();
        let hours = r#"{ from = "08:00", to = "20:00","#;
        assert_eq!(source.contains(hours), template == "schedule");
        project.write(&file, source.replace(hours, r#"{ from = "00:00", to = "23:59","#));
        run(&[&["run", "--simulator", script][..], &job].concat()).exits(0);
        assert_eq!(project.path("spring/README.md").exists(), template != "hello");
    });
    let unknown = Project::new().mooncast(&["new", "spring", "--template", "newsletter"]);
    unknown.exits(2).says("campaign");
}

#[test]
fn a_failure_says_where_and_what() {
    let project = with_tests(
        "test('the text fits', function(t)
           t.run('scripts/send.lua')
           print('looked')
           expect(t.sent(184524748161025)[1].body).to_equal({ msg = 'hallo' })
         end)
         test('no error is lost', function(t)
           t.run('scripts/broken.lua')
         end)
         test('a message breaks a limit', function(t)
           im.group_send({ to = '', type = 'txt', body = { msg = 'x' } })
         end)
         test('this one passes', function() end)",
    )
    .file(
        "scripts/send.lua",
        format!("im.group_send({{ to = '{GROUP}', type = 'txt', body = {{ msg = 'hello' }} }})"),
    )
    .file("scripts/broken.lua", "print('so far')\nlocal x = nil\nx.y = 1");
    let ran = project.mooncast(&["test"]).exits(1).prints("FAIL  scripts/tests/main.lua:2: the text fits\n");
    let ran = ran.prints(
        r#"      scripts/tests/main.lua:5: expected: { msg = "hallo" }
           got: { msg = "hello" }
                they differ at msg: expected "hallo", got "hello"
         5 |            expect(t.sent(184524748161025)[1].body).to_equal({ msg = 'hallo' })
      printed and logged:
        looked
"#,
    );
    let ran = ran
        .prints("scripts/broken.lua failed: scripts/broken.lua:3: attempt to index a nil value (local 'x')");
    let ran = ran.prints("         8 |            t.run('scripts/broken.lua')").prints("        so far\n");
    let ran = ran
        .prints("scripts/tests/main.lua:11: invalid: `to` must be")
        .prints("ok    scripts/tests/main.lua: this one passes");
    ran.prints("3 tests failed, 1 passed");
}

#[test]
fn each_test_has_a_service_a_ledger_files_and_a_clock_to_itself() {
    let body = format!(
        "  expect(os.date('!%Y-%m-%dT%H:%M:%SZ')).to_equal('2026-01-05T09:00:00Z')
           expect(t.count()).to_equal(0)
           expect(require('fs').exists('data/seen.txt')).to_equal(false)
           local run = t.run('scripts/send.lua')
           expect(run).to_match({{ ok = true, delivered = true, sent = 1 }})
           expect(run.output).to_match('^1\\t0%.%d+\\n$')
           t.run('scripts/send.lua')
           expect(t.count('{GROUP}')).to_equal(2)
           expect(t.sent()['{GROUP}']).to_have_length(2)
           expect(require('fs').read('data/seen.txt')).to_equal('2')
           t.advance('1d')",
    );
    let project =
        with_tests(&format!("test('one', function(t)\n{body}\nend)\ntest('two', function(t)\n{body}\nend)"))
            .file(
                "scripts/send.lua",
                format!(
                    "local count = require('store').increment('runs')
            require('fs').write('data/seen.txt', tostring(count))
            im.group_send({{ to = '{GROUP}', type = 'txt', body = {{ msg = 'hello' }} }})
            print(count, math.random())"
                ),
            );
    project.mooncast(&["test"]).exits(0).prints("2 tests passed");
    assert!(!project.path("data/seen.txt").exists() && !project.path(".mooncast").exists());
}

#[test]
fn chance_is_the_same_every_time() {
    let project = with_tests("test('chance', function() error(tostring(math.random(1 << 40))) end)");
    let number =
        |ran: Ran| ran.stdout.split("main.lua:2: ").nth(2).unwrap().lines().next().unwrap().to_owned();
    let first = number(project.mooncast(&["test"]).exits(1));
    assert!(first.parse::<u64>().is_ok(), "{first}");
    assert_eq!(first, number(project.mooncast(&["test"]).exits(1)));
}

#[test]
fn jobs_run_when_they_are_due_or_asked_for() {
    with_tests(&format!(
        "local function texts(t, group)
           local texts = {{}}
           for index, message in ipairs(t.sent(group)) do texts[index] = message.body.msg end
           return texts
         end
         test('due jobs run while the clock moves', function(t)
           expect(t.load('scripts/jobs.lua')).to_equal({{ 'tick', 'long' }})
           expect(t.count()).to_equal(0)
           local runs = t.advance('95m')
           expect(texts(t, '{GROUP}')).to_equal({{
             'tick 2026-01-05T09:30:00Z 1', 'tick 2026-01-05T10:00:00Z 1', 'tick 2026-01-05T10:30:00Z 1',
           }})
           expect(t.sent('{GROUP}')[2].at).to_be_at_least(1767607200)
           expect(t.sent('{GROUP}')[2].at).to_be_at_most(1767607201)
           -- Its second instant finds the first one running and is left out.
           expect(#runs).to_equal(4)
           expect(runs[4]).to_match({{ job = 'long', scheduled_at = 1767607200.0, ok = true }})
         end)
         test('a job runs when it is asked for', function(t)
           t.load('scripts/jobs.lua')
           t.clock('2026-11-23T09:00Z')
           expect(t.trigger('tick').run).to_equal('2026-11-23T09:00:00Z')
           expect(texts(t, '{GROUP}')).to_equal({{ 'tick 2026-11-23T09:00:00Z 1' }})
           expect(function() t.trigger('tock') end).to_fail('there is no `tock`; loaded: `tick`, `long`')
         end)
         test('a job that fails fails the test', function(t)
           t.load('scripts/bad.lua')
           expect(function() t.trigger('bad') end).to_fail('scripts/bad.lua:1: no')
           expect(function() t.advance('1h') end).to_fail('the job `bad` of 2026-01-05T10:00:00Z failed')
         end)
         test('cron goes by its zone, over the change to summer time too', function(t)
           t.clock('2026-03-28T00:00Z')
           t.load('scripts/daily.lua')
           t.advance('2d')
           expect(texts(t, '{GROUP}')).to_equal({{ 'daily 2026-03-28T08:00:00Z 1', 'daily 2026-03-29T07:00:00Z 1' }})
         end)
         test('a top level that sends cannot be loaded', function(t)
           expect(function() t.load('scripts/sends.lua') end).to_fail('only declares jobs')
         end)"
    ))
    .file(
        "scripts/jobs.lua",
        format!(
            "local function send(group, c)
               im.group_send({{ to = group, type = 'txt', body = {{ msg = c.name .. ' ' .. c.run .. ' ' .. c.attempt }} }})
             end
             schedule.every('30m', {{ name = 'tick' }}, function(c) send('{GROUP}', c) end)
             schedule.every('1h', {{ name = 'long' }}, function(c)
               require('task').sleep('70m')
               send('184524748161026', c)
             end)"
        ),
    )
    .file(
        "scripts/daily.lua",
        format!(
            "schedule.cron('0 9 * * *', {{ name = 'daily', tz = 'Europe/Berlin' }}, function(c)
               im.group_send({{ to = '{GROUP}', type = 'txt', body = {{ msg = c.name .. ' ' .. c.run .. ' ' .. c.attempt }} }})
             end)"
        ),
    )
    .file("scripts/bad.lua", "schedule.every('1h', { name = 'bad' }, function() error('no') end)")
    .file("scripts/sends.lua", format!("im.group_send({{ to = '{GROUP}', type = 'txt', body = {{ msg = 'x' }} }})"))
    .mooncast(&["test"])
    .exits(0)
    .prints("5 tests passed");
}

#[test]
fn requests_to_others_never_leave_and_are_answered_as_the_test_says() {
    let project = with_tests(
        "test('hooks', function(t)
           t.reply('https://hooks.example.com/*', { status = 202, body = 'taken' })
           expect(t.run('scripts/hook.lua').output).to_equal('202\\ttaken\\n')
           expect(t.requests()).to_match({
             { method = 'POST', url = 'https://hooks.example.com/in', body = '{\"a\":1}', headers = { authorization = '<secret HOOK>' } },
           })
         end)
         test('no answer', function(t)
           expect(function() t.run('scripts/hook.lua') end).to_fail('a test sends no requests')
         end)
         test('no permission', function(t)
           t.reply('*')
           expect(function() require('http').get('https://other.example.com/') end).to_fail('denied')
         end)",
    )
    .file(
        "scripts/hook.lua",
        "local http, env = require('http'), require('env')
        local answer = http.post('https://hooks.example.com/in', nil, { json = { a = 1 }, headers = { Authorization = env.secret('HOOK') } })
        print(answer.status, answer.body)",
    )
    .file("mooncast.toml", "[permissions]\nnet = [\"hooks.example.com\"]\nsecrets = [\"HOOK\"]\n");
    let mut command = project.command(&["test"]);
    Ran::of(&command.env("HOOK", "canary").output().unwrap()).exits(0).never_says("canary");
}

#[test]
fn files_are_found_by_place_and_name_and_tests_by_a_filter() {
    let file = |name: &str| format!("require('test')('{name}', function() end)");
    let project = Project::new()
        .file("scripts/tests/deep/a.lua", file("alpha"))
        .file("scripts/tests/lib/help.lua", "error('no test')")
        .file("scripts/b_test.lua", file("beta"))
        .file("scripts/c.lua", "error('no test')");
    project.mooncast(&["test"]).exits(0).prints("2 tests passed");
    project
        .mooncast(&["test", "--filter", "bet"])
        .exits(0)
        .prints("b_test.lua: beta")
        .prints("1 test passed");
    project.mooncast(&["test", "--filter", "deep/a.lua"]).exits(0).prints("1 test passed");
    project.mooncast(&["test", "scripts/tests"]).exits(0).prints("alpha").prints("1 test passed");
    project.mooncast(&["test", "scripts/b_test.lua"]).exits(0).prints("1 test passed");
    // `check` only checks it, and `run` refuses it and names the right command.
    project.mooncast(&["check", "scripts/b_test.lua"]).exits(0);
    project
        .mooncast(&["run", "--simulator", "scripts/b_test.lua"])
        .exits(1)
        .says("tests are run by `mooncast test`");
}

#[test]
fn no_test_at_all_is_an_error() {
    Project::new().mooncast(&["test"]).exits(2).says("there are no tests in scripts/");
    let project = Project::new().file("scripts/tests/a.lua", "local nothing = 1");
    project.mooncast(&["test"]).exits(2).says("there are no tests in 1 file");
    project.write("scripts/tests/a.lua", "require('test')('one', function() end)");
    project.mooncast(&["test", "--filter", "two"]).exits(2).says("contains `two` in its");
    project.mooncast(&["test", "scripts/nowhere"]).exits(2).says("scripts/nowhere");
}

#[test]
fn a_file_that_cannot_be_loaded_fails_and_the_others_run() {
    let fine = "require('test')('fine', function() end)";
    let project = Project::new()
        .file("scripts/tests/a.lua", "local x =\n= 1")
        .file("scripts/tests/b.lua", "im.group_send({})")
        .file("scripts/tests/c.lua", format!("{fine}\n{fine}"))
        .file("scripts/tests/d.lua", fine);
    let ran = project.mooncast(&["test"]).exits(1).prints("3 tests failed, 1 passed");
    let ran = ran.prints("scripts/tests/a.lua:2: unexpected symbol").prints("only declares tests");
    ran.prints("a test named `fine` is at scripts/tests/c.lua:1 already");
}

#[test]
fn a_test_that_never_ends_is_ended_and_its_scripts_with_it() {
    let project = with_tests(
        "test('loops', function() while true do end end)
         test('its script loops', function(t) t.run('scripts/loop.lua') end)
         test('still fine', function() end)",
    )
    .file("scripts/loop.lua", "local now = require('datetime').now while true do now() end");
    let ran = project.mooncast(&["test", "--timeout", "2s"]).exits(1).prints("2 tests failed, 1 passed");
    ran.prints("longer than its timeout of 2 s").prints("ok    scripts/tests/main.lua: still fine");
}

#[test]
fn a_report_for_ci_names_every_test() {
    let project = with_tests(
        "test('a <good> one & \"more\"', function() end)
         test('a bad one', function() print('\\27[31mred') expect('<x>').to_equal(']]>') end)",
    );
    project.mooncast(&["test", "--junit", "out/report.xml"]).exits(1);
    let report = std::fs::read_to_string(project.path("out/report.xml")).unwrap();
    let mut reader = quick_xml::Reader::from_str(&report);
    let (mut names, mut failures, mut said) = (Vec::new(), Vec::new(), String::new());
    let mut inside = String::new();
    loop {
        use quick_xml::events::Event;
        let attribute = |element: &quick_xml::events::BytesStart<'_>, name: &str| {
            let found = element.try_get_attribute(name).unwrap().unwrap();
            found.value.clone().into_owned()
        };
        match reader.read_event().unwrap() {
            Event::Eof => break,
            Event::Start(element) | Event::Empty(element) => {
                inside = element.name().as_ref().to_owned();
                match inside.as_str() {
                    "testcase" => names.push(attribute(&element, "name")),
                    "failure" => failures.push(attribute(&element, "message")),
                    "testsuite" => {
                        assert_eq!(
                            [attribute(&element, "tests"), attribute(&element, "failures")],
                            ["2", "1"]
                        );
                    }
                    _ => {}
                }
            }
            Event::Text(text) if inside == "system-out" => said += &text,
            _ => {}
        }
    }
    assert_eq!(names.len(), 2, "{report}");
    assert!(names[0].starts_with("a &lt;good&gt; one &amp; "), "{names:?}");
    assert!(failures[0].starts_with("scripts/tests/main.lua:3: expected: "), "{failures:?}");
    assert!(said.contains("red") && !report.contains('\u{1b}'), "{report}");
}

#[test]
fn a_broadcast_can_be_recalled_in_a_test_and_has_the_run_1_there() {
    let project = with_tests(
        "test('taken back', function(t)
          local text = { type = 'txt', body = { msg = 'x' } }
          local report = im.broadcast { name = 'news', to = { '1', '2' }, message = text }
          expect(report.run).to_equal('1')
          expect(im.recall({ broadcast = 'news' }).recalled).to_equal(2)
        end)",
    );
    project.mooncast(&["test"]).exits(0).prints("1 test passed");
}
