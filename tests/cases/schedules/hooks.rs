//! Deliveries that fail and are repeated, refusals, and alerts about alerts.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use super::logged;
use crate::daemon::Serving;
use crate::support::{Project, Ran, until};

const SETTINGS: &str = "[permissions]\nhooks = ['orders', 'alarm']\nsecrets = ['SHOP_SECRET']\n";

/// A hook that fails or prints.
fn orders(body: &str) -> String {
    format!(
        "local http, env = require('http'), require('env')
        http.hook('orders', {{ secret = env.secret('SHOP_SECRET'), scheme = 'token', id = 'X-Delivery' }}, function(request)
          {body}
        end)\n"
    )
}

fn start(project: &Project, address: &str) -> Serving {
    let mut command = project.command(&["serve", "--simulator", "--listen", address]);
    command.env("SHOP_SECRET", "s3cret");
    Serving::start(command)
}

/// Returns an address of this machine at which nothing listens.
fn free() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Posts a delivery. Returns the status and the answer.
fn post(address: &str, hook: &str, token: &str) -> (u16, String) {
    post_body(address, hook, token, r#"{"order":"A-17"}"#)
}

/// [`post`] with a body.
fn post_body(address: &str, hook: &str, token: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /hooks/{hook} HTTP/1.1\r\nhost: here\r\nconnection: close\r\nauthorization: Bearer {token}\r\nx-delivery: d-1\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split("\r\n\r\n").nth(1).unwrap().to_owned())
}

fn jobs(project: &Project, args: &[&str]) -> Ran {
    let args = [&["jobs", "--simulator"], args].concat();
    Ran::of(&project.command(&args).output().unwrap())
}

/// A daemon whose hook failed once and was then corrected.
fn mended() -> (Project, Serving, String, String) {
    let project = Project::new().file("mooncast.toml", SETTINGS);
    project.write("scripts/orders.lua", orders("error('a bug')"));
    let address = free();
    let serving = start(&project, &address);
    let (status, first) = post(&address, "orders", "s3cret");
    assert_eq!(status, 202, "{first}");
    serving.says("run failed", 1);
    until("the failure is written down", || jobs(&project, &["show", "orders"]).stdout.contains(" failed"));
    project.write("scripts/orders.lua", orders("print('done', request.json().order)"));
    serving.says("script loaded in a new version", 1);
    (project, serving, address, first)
}

#[test]
fn failed_delivery_that_comes_again_runs_again_once() {
    let (_project, serving, address, first) = mended();
    let (status, second) = post(&address, "orders", "s3cret");
    assert_eq!(status, 202, "{second}");
    assert_ne!(first, second, "a new run");
    serving.prints("done\tA-17", 1);
    serving.says("run finished", 1);
    assert_eq!(post(&address, "orders", "s3cret"), (202, second), "what is done is done");
    serving.stop().exits(0);
}

#[test]
fn failed_delivery_is_run_again_by_jobs_retry_with_its_request() {
    let (project, serving, ..) = mended();
    jobs(&project, &["retry", "orders"]).exits(0).prints("orders runs again with its request");
    serving.prints("done\tA-17", 1);
    let nothing = jobs(&project, &["retry", "orders"]);
    assert!(nothing.stderr.contains("no failed run with a stored request"), "{nothing:#?}");
    serving.stop().exits(0);
}

#[test]
fn failed_delivery_is_run_again_by_the_button_of_the_page_with_its_request() {
    let (project, serving, address, _) = mended();
    let bearer = format!("Bearer {}", crate::web::tokens(&project).0);
    let origin = format!("http://{address}");
    let headers = [("authorization", bearer.as_str()), ("origin", origin.as_str())];
    let page = crate::web::request(&address, "GET /job?name=orders", &headers, b"");
    assert!(page.body.contains("/job/retry?name=orders"), "{}", page.body);
    let asked = crate::web::request(&address, "GET /job/retry?name=orders", &headers, b"");
    assert!(asked.body.contains("latest failed request of orders"), "{}", asked.body);
    let done = crate::web::request(&address, "POST /job/retry?name=orders", &headers, b"");
    assert_eq!(done.status, 303, "{done:?}");
    serving.prints("done\tA-17", 1);
    let nothing = crate::web::request(&address, "POST /job/retry?name=orders", &headers, b"");
    assert_ne!(nothing.status, 303, "{nothing:?}");
    serving.stop().exits(0);
}

#[test]
fn refused_a_wrong_secret_and_an_unknown_hook_are_both_answered_by_404_as_the_book_says() {
    let project = Project::new().file("mooncast.toml", SETTINGS);
    project.write("scripts/orders.lua", orders("print('done')"));
    let address = free();
    let serving = start(&project, &address);
    let wrong = post(&address, "orders", "wrong");
    assert_eq!(wrong.0, 404, "{wrong:?}");
    assert_eq!(post(&address, "nowhere", "s3cret"), wrong);
    serving.stop().exits(0);
}

#[test]
fn alert_loop_an_alert_whose_own_hook_fails_alerts_about_nothing() {
    let address = free();
    let settings = format!("{SETTINGS}\n[alerts]\nurl = 'http://{address}/hooks/alarm'\nsecret = 's3cret'\n");
    let project = Project::new().file("mooncast.toml", settings);
    project.write(
        "scripts/alarm.lua",
        "local http, env, schedule = require('http'), require('env'), require('schedule')
        http.hook('alarm', { secret = env.secret('SHOP_SECRET'), header = 'X-Mooncast-Signature' }, function() error('a bug') end)
        schedule.every('10000h', { name = 'bad' }, function() error('the first') end)\n",
    );
    let serving = start(&project, &address);
    jobs(&project, &["trigger", "bad"]).exits(0);
    serving.says("run failed", 2);
    serving.says("no alert is raised for it", 1);
    // A second failure is reported like the first one, and nothing else is.
    jobs(&project, &["trigger", "bad"]).exits(0);
    serving.says("no alert is raised for it", 2);
    assert_eq!(logged(&serving, "alert raised"), 2, "{:#?}", serving.logged());
    serving.stop().exits(0);
}

#[test]
fn lua_own_the_json_of_a_request_is_read_behind_a_mark_and_keeps_its_numbers() {
    let project = Project::new().file("mooncast.toml", SETTINGS);
    project.write(
        "scripts/orders.lua",
        orders("local order = request.json() print('got', order.id, math.type(order.small), order.small)"),
    );
    let address = free();
    let serving = start(&project, &address);
    let body = "\u{feff}{\"id\": 18446744073709551615, \"small\": 9223372036854775807}";
    assert_eq!(post_body(&address, "orders", "s3cret", body).0, 202);
    serving.prints("got\t18446744073709551615\tinteger\t9223372036854775807", 1);
    serving.stop().exits(0);
}

#[test]
fn header_twice_is_a_doubled_key_in_the_json_of_a_request() {
    let project = Project::new().file("mooncast.toml", SETTINGS);
    project.write("scripts/orders.lua", orders("local ok, why = pcall(request.json) print(ok, why)"));
    let address = free();
    let serving = start(&project, &address);
    let body = r#"{"group": "1", "\u0067roup": "2"}"#;
    assert_eq!(post_body(&address, "orders", "s3cret", body).0, 202);
    serving.prints("the key \"group\" appears twice in one object", 1);
    serving.stop().exits(0);
}
