//! The proxy of the environment. A process's environment is one for all its tests, so this binary runs itself.

use super::server::{Server, willing};
use super::{client, run, send};

#[test]
fn the_environment_names_the_proxy() {
    let proxy = Server::start(willing);
    let ran = |except: &str| {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "client::proxy::sends_to_a_name_that_only_a_proxy_knows", "--ignored"]);
        child.env("HTTP_PROXY", &proxy.url).env("NO_PROXY", except).env_remove("REQUEST_METHOD");
        child.output().unwrap().status.success()
    };
    assert!(ran(""));
    assert_eq!(proxy.requests()[0].target, "http://name.invalid/org/app/messages/chatgroups");
    assert!(!ran("name.invalid"));
    assert_eq!(proxy.requests().len(), 1);
}

#[test]
#[ignore = "run by the test above"]
fn sends_to_a_name_that_only_a_proxy_knows() {
    // Not this machine: what listens here needs no proxy.
    let here = Server::start(willing);
    run(send(&client(&here.url))).unwrap();
    assert_eq!(here.requests()[0].target, "/org/app/messages/chatgroups");
    run(send(&client("http://name.invalid"))).unwrap();
}
