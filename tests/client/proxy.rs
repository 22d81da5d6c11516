//! The proxy of the environment. All tests of a process share its environment, so this test runs the binary itself
//! again.

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
    // Another address than this machine's, which needs no proxy.
    let here = Server::start(willing);
    run(send(&client(&here.url))).unwrap();
    assert_eq!(here.requests()[0].target, "/org/app/messages/chatgroups");
    run(send(&client("http://name.invalid"))).unwrap();
}
