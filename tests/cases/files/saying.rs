//! Names and texts from outside in the log and on the terminal: none looks like the program's own output.

use crate::support::{Project, Ran};

/// A forged second event, a cleared screen, an overwritten line, right-to-left text.
const FORGED: &str = "a\\n2026-11-29T00:00:00Z ERROR forged\\rover\\27[2J\\u{202e}back";

/// Checks that each line of the log begins as an event does, or is indented as the further lines of one are.
#[track_caller]
fn is_honest(ran: &Ran) {
    let log = &ran.stderr;
    assert!(!log.contains(['\r', '\x1b', '\u{202e}']), "{ran:#?}");
    assert!(
        log.lines()
            .all(|line| !line.contains("forged") || line.starts_with("    ") || line.contains(" WARN x ")),
        "{ran:#?}"
    );
    assert!(log.lines().all(|line| !line.starts_with("2026-11-29T00:00:00Z ERROR")), "{ran:#?}");
}

#[test]
fn a_text_in_the_log_is_no_event_of_its_own() {
    let project = Project::with_script(format!(
        "local log = require('log') log.info('{FORGED}') log.warn('x', {{ name = '{FORGED}' }})"
    ));
    let ran = project.run_simulated().exits(0);
    is_honest(&ran);
    ran.says("\n    2026-11-29T00:00:00Z ERROR forged");
    // In JSON each event is one line.
    let ran = project.mooncast(&["--log-format", "json", "run", "--simulator", "scripts/main.lua"]).exits(0);
    for line in ran.stderr.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}

#[test]
fn an_error_and_a_script_s_name_are_no_lines_of_their_own() {
    let project = Project::with_script(format!("error('{FORGED}')"));
    is_honest(&project.run_simulated().exits(1));
    let project = Project::new().file("scripts/a\n2026 ERROR forged\r\x1b[2J.lua", "nothing.at.all()\n");
    let ran = project.mooncast(&["check"]).exits(1);
    assert!(!ran.stdout.contains(['\r', '\x1b']), "{ran:#?}");
    assert!(ran.stdout.lines().all(|line| !line.starts_with("2026 ERROR")), "{ran:#?}");
}
