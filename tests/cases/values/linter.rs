//! Rows "small" and "guarded require": wrong arguments are reported; a guarded `require` of a missing module is not.

use crate::support::Project;

#[track_caller]
fn finds(script: &str, text: &str) {
    Project::with_script(script).mooncast(&["check"]).exits(1).prints(text);
}

#[test]
fn a_text_in_place_of_a_log_line_s_fields_is_found() {
    finds("local log = require('log')\nfunction main() log.warn('x', 'y') end\n", "log.warn");
}

#[test]
fn options_in_place_of_a_body_are_found() {
    finds(
        "local http = require('http')\nfunction main() http.post('https://a.example', { json = {} }) end\n",
        "http.post",
    );
}

#[test]
fn modules_that_may_be_missing_are_not_found() {
    for script in [
        "local ok, x = pcall(function() return require('nowhere_x') end)\nfunction main() print(ok, x) end\n",
        "local DEV = false\nlocal x = DEV and require('nowhere_x')\nfunction main() print(x) end\n",
        "local function load() return require('nowhere_x') end\nlocal ok = pcall(load)\nfunction main() print(ok) end\n",
        "local load = function() return require('nowhere_x') end\nfunction main() print(xpcall(load, print)) end\n",
        "local load\nload = function() return require('nowhere_x') end\nfunction main() print(pcall(load)) end\n",
        "local DEV = false\nif DEV then require('nowhere_x') end\n",
    ] {
        Project::with_script(script).mooncast(&["check"]).exits(0);
    }
}

#[test]
fn a_module_that_is_missing_in_a_function_that_nothing_catches_is_found() {
    finds(
        "local function load() return require('nowhere_x') end\nlocal other = pcall(print)\nlocal x = load()\nfunction main() print(x, other) end\n",
        "nowhere_x",
    );
}
