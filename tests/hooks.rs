//! Hooks from outside: accepted senders, the parts of a request that reach the script, and requests of a daemon that
//! dies meanwhile.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use hmac::{Hmac, KeyInit, Mac};

use crate::daemon::Serving;
use crate::support::store::{self, Refusal};
use crate::support::{Project, wrapped};

/// A secret that must not appear anywhere.
const SECRET: &str = "s3cr3t-of-the-shop-7b1f";

const SETTINGS: &str = "[permissions]\nhooks = ['orders', 'bot']\nsecrets = ['SHOP_SECRET']\n";

/// A hook `orders` that prints its request.
const ORDERS: &str = "local http, env, task = require('http'), require('env'), require('task')
http.hook('orders', { secret = env.secret('SHOP_SECRET'), id = 'X-Delivery' }, function(request, context)
  print(request.method, request.query.page, request.body, request.headers['X-Kind'], context.name, context.attempt)
  for name, value in pairs(request.headers) do print('header', name, value) end
  local key = tostring(env.secret('SHOP_SECRET'))
  print('done', request.json().order, key)
end)\n";

fn project(script: &str) -> Project {
    Project::new().file("scripts/main.lua", script).file("mooncast.toml", SETTINGS)
}

fn command(project: &Project, args: &[&str]) -> Command {
    let mut command = project.command(args);
    command.env("SHOP_SECRET", SECRET);
    command
}

/// Starts a daemon that listens, and returns its address.
fn serve(project: &Project) -> (Serving, String) {
    listening(Serving::start(command(project, &["serve", "--simulator", "--listen", "127.0.0.1:0"])))
}

fn listening(serving: Serving) -> (Serving, String) {
    let logged = serving.logged();
    let line = logged.iter().find(|line| line.contains("listening: the page is at")).unwrap();
    let address = line.split("address=").nth(1).unwrap().split(' ').next().unwrap().trim_matches('"');
    (serving, address.to_owned())
}

pub fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes())
}

/// Makes one request. Returns the status, the headers and the body of the answer.
fn ask(address: &str, head: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let mut text =
        format!("{head} HTTP/1.1\r\nhost: here\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    stream.write_all((text + "\r\n").as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), body.to_owned())
}

/// Posts a correctly signed request.
fn post(address: &str, hook: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let signature = format!("sha256={}", signature(SECRET, body.as_bytes()));
    let headers = [headers, &[("X-Signature-256", signature.as_str())]].concat();
    let (status, _, answer) = ask(address, &format!("POST /hooks/{hook}?page=2"), &headers, body.as_bytes());
    (status, answer)
}

#[test]
fn who_has_the_secret_runs_the_function_with_the_request_and_a_delivery_runs_once() {
    let project = project(ORDERS);
    let (serving, address) = serve(&project);
    let body = r#"{"order":"A-17"}"#;
    let headers = [
        ("X-Kind", "paid"),
        ("X-Delivery", "d-1"),
        ("Cookie", "session=c00kie-of-the-shop"),
        ("Authorization", "Bearer t0ken-of-the-shop"),
    ];
    let (status, first) = post(&address, "orders", &headers, body);
    assert_eq!(status, 202, "{first}");
    let run = serde_json::from_str::<serde_json::Value>(&first).unwrap()["run"].as_str().unwrap().to_owned();
    serving.prints("done\tA-17\tsecret SHOP_SECRET", 1);
    assert_eq!(post(&address, "orders", &headers, body), (202, first), "the same delivery, the same run");
    for headers in [&[][..], &[("X-Delivery", " ")][..]] {
        let (status, refused) = post(&address, "orders", headers, body);
        assert!(
            status == 400 && refused.to_lowercase().contains("the header x-delivery"),
            "{status} {refused}"
        );
    }
    let (status, second) = post(&address, "orders", &[("x-delivery", "d-2")], r#"{"order":"B-18"}"#);
    assert_eq!(status, 202, "{second}");
    serving.prints("done\tB-18", 1);
    let ran = serving.stop().exits(0);
    let shown = project.mooncast(&["jobs", "--simulator", "show", "orders"]).exits(0).prints(&run).stdout;
    assert_eq!(shown.matches(" done,").count(), 2, "{shown}");
    assert!(ran.stdout.contains("POST\t2\t{\"order\":\"A-17\"}\tpaid\torders\t1"), "{}", ran.stdout);
    assert_eq!(ran.stdout.matches("A-17").count(), 2, "{}", ran.stdout);
    for hidden in [SECRET, "c00kie-of-the-shop", "t0ken-of-the-shop", &signature(SECRET, body.as_bytes())] {
        assert!(!ran.stdout.contains(hidden) && !ran.stderr.contains(hidden), "{hidden}: {ran:#?}");
        assert!(!project.keeps(hidden), "{hidden} is in the ledger");
    }
    assert!(project.keeps("d-1"), "this finds what is kept");
}

#[test]
fn a_wrong_secret_and_a_hook_that_nobody_declares_look_alike_and_nothing_runs() {
    let project = project(ORDERS);
    let (serving, address) = serve(&project);
    let body = b"{}";
    let (right, wrong) = (signature(SECRET, body), signature("another", body));
    let other_body = signature(SECRET, b"{} ");
    let head = "POST /hooks/orders";
    let refused = ask(&address, head, &[("x-signature-256", &wrong)], body);
    assert_eq!(refused.0, 404, "{refused:?}");
    let without_date = |(status, head, body): (u16, String, String)| {
        let head: Vec<String> =
            head.lines().filter(|line| !line.starts_with("date:")).map(str::to_owned).collect();
        (status, head, body)
    };
    let refused = without_date(refused);
    let alike = [
        ask(&address, head, &[], body),
        ask(&address, head, &[("x-signature-256", "")], body),
        ask(&address, head, &[("x-signature-256", "sha256=")], body),
        ask(&address, head, &[("x-signature-256", &right[..62])], body),
        ask(&address, head, &[("x-signature-256", &other_body)], body),
        ask(&address, head, &[("x-signature-256", SECRET)], body),
        ask(&address, head, &[("x-signature-256", &right), ("x-signature-256", &wrong)], body),
        ask(&address, "POST /hooks/unknown", &[("x-signature-256", &right)], body),
        ask(&address, "POST /hooks/bot", &[("x-signature-256", &right)], body),
    ];
    for answer in alike {
        assert_eq!(without_date(answer), refused);
    }
    let (status, head, _) = ask(&address, "GET /hooks/orders", &[("x-signature-256", &right)], b"");
    assert!(status == 405 && head.contains("allow: post"), "{status} {head}");
    // All other paths accept the host only by its configured names.
    for path in ["/", "/hooks", "/hooks/", "/hooks/orders/more", "/api/v1/overview"] {
        assert_eq!(
            ask(&address, &format!("POST {path}"), &[("x-signature-256", &right)], body).0,
            421,
            "{path}"
        );
    }
    let large = vec![b'x'; 1024 * 1024 + 1];
    for signature in [&signature(SECRET, &large), &wrong] {
        assert_eq!(ask(&address, "POST /hooks/orders", &[("x-signature-256", signature)], &large).0, 413);
    }
    // A request after all of these still runs, and alone.
    assert_eq!(post(&address, "orders", &[("X-Delivery", "d-9")], r#"{"order":"last"}"#).0, 202);
    serving.prints("done\tlast", 1);
    let ran = serving.stop().exits(0).says("request refused");
    assert_eq!(ran.stdout.matches("done").count(), 1, "{}", ran.stdout);
    assert!(!ran.stderr.contains(SECRET));
}

#[test]
fn a_token_serves_as_well() {
    let project = project(
        "local http, env = require('http'), require('env')
        http.hook('bot', { secret = env.secret('SHOP_SECRET'), scheme = 'token' }, function(request)
          print('ran', request.body, request.headers.authorization)
        end)",
    );
    let (serving, address) = serve(&project);
    let bearer = format!("Bearer {SECRET}");
    let asked = |token: &str| ask(&address, "POST /hooks/bot", &[("authorization", token)], b"one").0;
    for wrong in ["", "Bearer", "Bearer ", "Bearer x", &bearer[..bearer.len() - 1], &format!("{SECRET}x")] {
        assert_eq!(asked(wrong), 404, "{wrong}");
    }
    assert_eq!(asked(&bearer), 202);
    assert_eq!(asked(SECRET), 202);
    serving.prints("ran\tone\tnil", 2);
    project.mooncast(&["jobs", "--simulator", "trigger", "bot"]).exits(0);
    serving.prints("ran\t\tnil", 1);
    project.mooncast(&["jobs", "--simulator"]).exits(0).prints("on a request");
    let ran = serving.stop().exits(0);
    assert!(!format!("{ran:?}").contains(SECRET) && !project.keeps(SECRET));
}

/// The signature that the chat service puts into a callback.
fn security(call_id: &str, secret: &str, timestamp: &str) -> String {
    use md5::Digest;
    data_encoding::HEXLOWER.encode(&md5::Md5::digest(format!("{call_id}{secret}{timestamp}")))
}

#[test]
fn a_callback_of_the_chat_service_proves_itself_in_its_body_and_runs_once() {
    let project = project(
        "local http, env = require('http'), require('env')
        http.hook('bot', { secret = env.secret('SHOP_SECRET'), scheme = 'easemob' }, function(request)
          print('ran', request.json().callId)
        end)",
    );
    let (serving, address) = serve(&project);
    let asked = |body: &str| {
        let (status, _, answer) = ask(&address, "POST /hooks/bot", &[], body.as_bytes());
        (status, answer)
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let now = now.to_string();
    let body = |call_id: &str, timestamp: &str, security: &str| {
        format!(r#"{{"callId":"{call_id}","timestamp":{timestamp},"security":"{security}","payload":{{}}}}"#)
    };
    let right = security("a", SECRET, &now);
    let text = format!(r#""{now}""#);
    for forged in [
        body("a", &now, &security("a", "another", &now)),
        body("b", &now, &right),
        body("a", &format!("{now}0"), &right),
        body("a", &now, &right[..30]),
        body("a", &now, SECRET),
        body("a", "null", &right),
        format!(r#"{{"callId":"a","timestamp":{now}}}"#),
        "[]".to_owned(),
        String::new(),
    ] {
        assert_eq!(asked(&forged).0, 404, "{forged}");
    }
    let header = security("a", SECRET, &now);
    let shown = ask(&address, "POST /hooks/bot", &[("x-signature-256", &header)], b"{}");
    assert_eq!(shown.0, 404, "a signature in a header is none");
    let (status, first) = asked(&body("a", &now, &right));
    assert!(status == 200 && first.contains("\"run\":\""), "{status} {first}");
    assert_eq!(asked(&body("a", &now, &right)), (200, first), "the same callback, the same run");
    assert_eq!(asked(&body("c", &text, &security("c", SECRET, &now).to_uppercase())).0, 200);
    let yesterday = (now.parse::<u64>().unwrap() - 25 * 60 * 60 * 1000).to_string();
    let stale = asked(&body("old", &yesterday, &security("old", SECRET, &yesterday)));
    assert_eq!(stale, (200, r#"{"run":null}"#.to_owned()));
    serving.prints("ran\ta", 1);
    serving.prints("ran\tc", 1);
    let ran = serving.stop().exits(0).says("callback accepted without a run");
    assert_eq!(ran.stdout.matches("ran").count(), 2, "{}", ran.stdout);
    assert!(!format!("{ran:?}").contains(SECRET) && !project.keeps(SECRET));
}

#[test]
fn a_request_that_was_taken_outlives_the_daemon() {
    let project = project(
        "local http, env, task = require('http'), require('env'), require('task')
        http.hook('orders', { secret = env.secret('SHOP_SECRET') }, function(request, context)
          print('begins', request.body, context.attempt)
          if context.attempt == 1 and request.body == 'first' then task.sleep(100000) end
          print('ends', request.body)
        end)
        http.hook('bot', { secret = env.secret('SHOP_SECRET') }, function(request)
          print('bot', request.body)
        end)",
    );
    let (serving, address) = serve(&project);
    // One run that has started, one that waits, and one that never started.
    assert_eq!(post(&address, "orders", &[], "first").0, 202);
    serving.prints("begins\tfirst", 1);
    assert_eq!(post(&address, "orders", &[], "second").0, 202);
    project.mooncast(&["jobs", "--simulator", "pause", "bot"]).exits(0);
    serving.says("job paused", 1);
    assert_eq!(post(&address, "bot", &[], "third").0, 202);
    serving.kill();
    project.mooncast(&["jobs", "--simulator", "resume", "bot"]).exits(0);
    let (serving, _) = serve(&project);
    serving.prints("begins\tfirst\t2", 1);
    serving.prints("ends\tfirst", 1);
    serving.prints("ends\tsecond", 1);
    serving.prints("bot\tthird", 1);
    let ran = serving.stop().exits(0);
    for (text, times) in [("begins\tfirst\t2", 1), ("begins\tsecond\t1", 1), ("bot\tthird", 1)] {
        assert_eq!(ran.stdout.matches(text).count(), times, "{text}: {}", ran.stdout);
    }
}

#[test]
fn a_hook_that_is_not_granted_is_refused_when_its_script_is_loaded() {
    let project = project(ORDERS).file("mooncast.toml", "[permissions]\nsecrets = ['SHOP_SECRET']\n");
    let says = "the hook orders is not granted; to grant it: `[permissions] hooks = [\"orders\"]` or --allow-hook=orders";
    let ran = |args: &[&str]| crate::support::Ran::of(&command(&project, args).output().unwrap());
    ran(&["check"]).exits(1).prints(says);
    ran(&["run", "--simulator", "scripts/main.lua"]).exits(1).says(says);
    ran(&["run", "--simulator", "--allow-hook=orders", "scripts/main.lua"])
        .exits(0)
        .says("declares the job `orders`");
    ran(&["check", "--allow-hook=orders"]).exits(0).prints("job `orders`: at each POST /hooks/orders");
    let (serving, address) = serve(&project);
    serving.says("script failed to load: scripts/main.lua:2: ", 1);
    assert_eq!(post(&address, "orders", &[], "{}").0, 404);
    serving.stop().exits(0).says(says);
}

#[test]
fn what_a_hook_cannot_be_is_said_where_it_is_declared() {
    let own = "secret = env.secret('SHOP_SECRET')";
    for (name, options, says) in [
        ("orders", String::new(), "secret: a hook needs one"),
        ("orders", "secret = 'text'".to_owned(), "secret: expected env.secret(\"NAME\"), got string"),
        ("orders", "secret = 'x' .. env.secret('SHOP_SECRET')".to_owned(), "alone, with no text around it"),
        ("orders", format!("{own}, scheme = 'md5'"), "scheme: `md5` is unknown"),
        ("orders", format!("{own}, scheme = 'easemob', header = 'X-A'"), "header: leave it out"),
        ("orders", format!("{own}, scheme = 'easemob', id = 'X-A'"), "id: leave it out"),
        ("orders", format!("{own}, header = 'x y'"), "header: `x y` cannot be used as this header"),
        ("orders", format!("{own}, id = 'X-Signature-256'"), "id: `x-signature-256` already carries"),
        ("orders", format!("{own}, overlap = 'no'"), "overlap: `no` is unknown"),
        ("orders", format!("{own}, every = '1s'"), "unknown `every`"),
        ("a/b", own.to_owned(), "name: `a/b` cannot be part of the hook's address"),
    ] {
        let project = project(&format!(
            "local http, env = require('http'), require('env')\nhttp.hook('{name}', {{ {options} }}, function() end)"
        ));
        let ran = command(&project, &["run", "--simulator", "scripts/main.lua"]).output().unwrap();
        crate::support::Ran::of(&ran).exits(1).says(says).says("scripts/main.lua:2");
    }
}

#[test]
fn only_addresses_of_this_machine_are_listened_at() {
    let project = project(ORDERS);
    let ran = command(&project, &["serve", "--simulator", "--listen", "0.0.0.0:7311"]).output().unwrap();
    crate::support::Ran::of(&ran).exits(2).says("can be reached from other machines");
    project.write("mooncast.toml", format!("{SETTINGS}[serve]\nlisten = '[::]:80'\n"));
    let ran = command(&project, &["serve", "--simulator"]).output().unwrap();
    crate::support::Ran::of(&ran).exits(2).says("[::]:80").says("can be reached from other machines");
    project.write("mooncast.toml", format!("{SETTINGS}[serve]\nlisten = 'everywhere'\n"));
    let ran = command(&project, &["serve", "--simulator"]).output().unwrap();
    crate::support::Ran::of(&ran).exits(2).says("`everywhere` is not an address with a port");
    project.write("mooncast.toml", format!("{SETTINGS}[serve]\nlisten = 'nowhere'\n"));
    let serving = Serving::start(command(&project, &["serve", "--simulator"]));
    serving
        .stop()
        .exits(0)
        .says("scripts declare hooks or `im.on` jobs, but this daemon does not listen")
        .never_says("listening for");
}

#[test]
fn a_test_in_lua_posts_to_a_hook() {
    let project = project(ORDERS).file(
        "scripts/tests/main.lua",
        "local test = require('test')
        test('an order is printed', function(t)
          t.load('scripts/main.lua')
          local run = t.post('orders', { body = '{\"order\":\"T-1\"}', headers = { ['X-Kind'] = 'paid' }, query = { page = '3' } })
          test.expect(run.output).to_contain('done\\tT-1')
          test.expect(run.output).to_contain('POST\\t3\\t')
          test.expect(run.output).to_contain('\\tpaid\\torders')
          test.expect(function() t.post('nothing') end).to_fail('there is no `nothing`')
        end)",
    );
    let ran = command(&project, &["test"]).output().unwrap();
    crate::support::Ran::of(&ran).exits(0).prints("1 test passed");
}

#[test]
fn what_cannot_be_written_is_not_taken_and_what_was_taken_runs() {
    let project = project(
        "local http, env = require('http'), require('env')
        http.hook('orders', { secret = env.secret('SHOP_SECRET') }, function(request)
          print('order', request.body:sub(1, 3), #request.body)
        end)",
    );
    let serve_with = |limit: &str| {
        let plain = command(&project, &["serve", "--simulator", "--listen", "127.0.0.1:0"]);
        let limited = format!("trap '' XFSZ; ulimit -f {limit}; exec \"$@\"");
        listening(Serving::start(wrapped(&["sh", "-c", &limited, "sh"], &plain)))
    };
    // The job is paused, so requests stay. A few of them exceed the file's limit.
    serve(&project).0.stop().exits(0);
    project.mooncast(&["jobs", "--simulator", "pause", "orders"]).exits(0);
    let (serving, address) = serve_with("6000");
    serving.says("job paused", 1);
    if store::server().is_some() {
        project.schema().fill_disk(20, Refusal::ForGood);
    }
    let answers: Vec<u16> =
        (100..124).map(|n| post(&address, "orders", &[], &format!("{n}{}", "x".repeat(500_000))).0).collect();
    serving.says("cannot store the request", 1);
    serving.kill();
    if store::server().is_some() {
        project.schema().free_disk();
    }
    let taken: Vec<usize> = (0..answers.len()).filter(|index| answers[*index] == 202).collect();
    assert!(!taken.is_empty() && taken.len() < answers.len(), "{answers:?}");
    assert!(answers.iter().all(|status| [202, 503].contains(status)), "{answers:?}");
    project.mooncast(&["jobs", "--simulator", "resume", "orders"]).exits(0);
    let (serving, _) = serve(&project);
    serving.prints("\t500003", taken.len());
    let ran = serving.stop().exits(0);
    let orders: Vec<String> = taken.iter().map(|index| format!("order\t{}\t500003", index + 100)).collect();
    assert_eq!(ran.stdout.lines().collect::<Vec<_>>(), orders);
}
