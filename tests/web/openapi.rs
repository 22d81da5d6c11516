//! Compares the API with its own description: schemathesis makes valid and invalid requests from the document and
//! compares every answer with it.
//!
//! On a server: in the soak

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::{Site, request};
use crate::support::Ran;

/// The version that `tests/run` installs.
const SCHEMATHESIS: &str = "schemathesis-4.32.5/bin/st";

const SCRIPT: &str = "local schedule = require('schedule')
schedule.every('24h', { name = 'news' }, function()
  im.broadcast { name = 'news', to = { '1', '2', '3' }, message = { from = 'a', type = 'txt', body = { msg = 'hi' } } }
end)
function main(args) print(#args) end";

#[test]
fn the_document_is_whole() {
    let site = Site::start(SCRIPT);
    let document = request(&site.address, "GET /api/v1/openapi.json", &[], b"").json();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 16, "{paths:#?}");
    let mut ids = BTreeSet::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            let place = format!("{method} {path}");
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{place}");
            assert!(operation["summary"].as_str().unwrap().len() > 5, "{place}");
            for status in ["401", "403", "413", "421", "503"] {
                assert!(operation["responses"][status].is_object(), "{place}: {status}");
            }
        }
    }
    for scheme in ["bearer", "cookie"] {
        assert!(document["components"]["securitySchemes"][scheme].is_object(), "{scheme}");
    }
    site.serving.stop().exits(0);
}

#[test]
fn every_answer_is_as_the_document_says() {
    let site = Site::start(SCRIPT);
    site.ask("POST /jobs/news/trigger");
    site.until("/broadcasts", |page| page["broadcasts"][0]["over"] == true);
    let target = Path::new(env!("CARGO_BIN_EXE_mooncast")).ancestors().nth(2).unwrap();
    let program = target.join(SCHEMATHESIS);
    assert!(program.exists(), "there is no {}: `tests/run` installs it", program.display());
    let mut command = Command::new(program);
    command.args(["run", &format!("http://{}/api/v1/openapi.json", site.address)]);
    command.args(["-H", &format!("Authorization: Bearer {}", site.operate)]);
    // Event streams do not end; `attacks` and `guard` test them.
    command.args(["--exclude-path", "/events", "--checks", "all", "--phases", "coverage,fuzzing,stateful"]);
    // This check would send many wrong tokens, and then be refused for a while. `roles` tests wrong tokens.
    command.args(["--exclude-checks", "ignored_auth"]);
    command.args(["--max-examples", "10", "--generation-deterministic"]);
    command.args(["--request-timeout", "30", "--no-color", "--warnings", "off"]);
    let ran = Ran::of(&command.current_dir(site.project.path(".")).output().unwrap()).exits(0);
    assert!(ran.stdout.contains("generated"), "{}", ran.stdout);
    println!("{}", ran.stdout);
    let logged = site.serving.stop().exits(0);
    assert!(!logged.stderr.contains("panicked"), "{}", logged.stderr);
}
