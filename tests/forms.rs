//! The typed arguments of a script on the command line: checked before it starts, typed in Lua, shown as help.
//!
//! On a server: in the soak

use crate::support::Project;
use crate::support::service::Service;

const INVITE: &str = r#"
--- Invites the groups of a list.
--- @arg city string The city to invite to
---@arg day date The day
--- @arg seats integer = 20 How many seats there are
--- @arg open? boolean Whether guests may come
--- @arg list file .csv The audience
function main(args)
  print(args.city, args[1], args.day, args.seats + 1, math.type(args.seats), args.open, args[4] == "", arg == args)
  local report = im.broadcast {
    name = "invite", run = args.day, to = args.list,
    message = { type = "txt", body = { msg = "Come to " .. args.city } },
  }
  print("sent", report.sent)
end
"#;

fn project() -> Project {
    Project::with_script(INVITE)
}

/// A list outside of the project, which scripts cannot read by themselves.
fn list(content: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audience.csv");
    std::fs::write(&path, content).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn help_shows_the_form_and_an_example() {
    let project = project();
    let ran = project.mooncast(&["run", "--help-script", "scripts/main.lua"]).exits(0);
    for line in [
        "city   string     The city to invite to",
        "seats  integer    (default \"20\") How many seats there are",
        "open   boolean    (may be left out) Whether guests may come",
        "list   file .csv  The audience",
        "mooncast run scripts/main.lua city=TEXT day=2026-12-01 list=list.csv",
    ] {
        assert!(ran.stdout.contains(line), "{line}: {}", ran.stdout);
    }
    let plain = Project::with_script("print(...)");
    plain.mooncast(&["run", "--help-script", "scripts/main.lua"]).exits(0).prints("declares no arguments");
}

#[test]
fn arguments_are_typed_and_their_file_is_read_from_anywhere() {
    let project = project();
    let (_folder, path) = list("group_id\ng1\ng2\n");
    let arg = format!("list={path}");
    let ways: [&[&str]; 3] = [
        &["run", "--simulator", "scripts/main.lua", "city=Berlin", "day=2026-12-01", &arg],
        &[
            "run",
            "--simulator",
            "--arg",
            "city=Berlin",
            "--arg",
            "day=2026-12-02",
            "--arg",
            &arg,
            "scripts/main.lua",
        ],
        &["rehearse", "--simulator", "scripts/main.lua", "city=Berlin", "day=2026-12-01", "seats=20", &arg],
    ];
    for way in ways {
        let ran = project.mooncast(way).exits(0);
        let day = if way.contains(&"day=2026-12-02") { "2026-12-02" } else { "2026-12-01" };
        ran.prints(&format!("Berlin\tBerlin\t{day}\t21\tinteger\tnil\ttrue\ttrue"));
    }
    let sent = Service::accepting();
    let placed = ["run", "scripts/main.lua", "Rome", "2026-12-03", "7", "true", &path];
    assert!(project.command_against(&sent, &placed).output().unwrap().status.success());
    let received = sent.messages();
    assert_eq!(received.len(), 2, "{received:?}");
    assert!(received.iter().all(|message| message["body"]["msg"] == "Come to Rome"), "{received:?}");
}

#[test]
fn what_does_not_fit_is_named_before_the_script_starts() {
    let project = project();
    let (folder, path) = list("group_id\ng1\n");
    std::fs::write(folder.path().join("empty.csv"), "").unwrap();
    let (good, empty) =
        (format!("list={path}"), format!("list={}", folder.path().join("empty.csv").display()));
    let gone = format!("list={}", folder.path().join("gone.csv").display());
    let (city, day) = ("city=Berlin", "day=2026-12-01");
    let cases: [(&[&str], &str); 10] = [
        (&[city, "day=2026-02-30", &good], "`day`, \"2026-02-30\", must be a date"),
        (&["ciyt=Berlin", day, &good], "no argument `ciyt`; did you mean `city`?"),
        (&[city, &good], "`day` is missing"),
        (&[city, "2026-12-01", &good], "has no name, but others have"),
        (&[city, day, &good, "seats=1.5"], "must be a whole number"),
        (&[city, day, &good, "open=yes"], "`true` or `false`"),
        (&[city, day, "list=/etc/passwd"], "ends with .csv"),
        (&[city, day, &gone], "No such file"),
        (&[city, day, &empty], "is empty"),
        (&[city, day, "list=/tmp/.csv"], "ends with .csv"),
    ];
    for (args, said) in cases {
        for verb in ["run", "rehearse"] {
            let ran = project.mooncast(&[&[verb, "--simulator", "scripts/main.lua"], args].concat()).exits(2);
            assert!(ran.stderr.contains(said), "{args:?}: {}", ran.stderr);
            assert!(!ran.stdout.contains("Berlin"), "{args:?}: {}", ran.stdout);
        }
    }
    // The form belongs to the script, so a script without one gets its arguments as they are.
    let plain = Project::with_script("print(...)");
    plain
        .mooncast(&["run", "--simulator", "scripts/main.lua", "city=Berlin", "x"])
        .exits(0)
        .prints("city=Berlin\tx");
    plain
        .mooncast(&["run", "--simulator", "--arg", "city=Berlin", "scripts/main.lua"])
        .exits(2)
        .says("declares no arguments");
}

#[test]
fn a_wrong_declaration_is_an_error_of_check_and_of_each_run() {
    let project = Project::with_script("print('begun')\n")
        .file("scripts/wrong.lua", "--- Invites.\n--- @arg city strin The city\nprint('begun')\n");
    let said =
        "scripts/wrong.lua:2: the argument `city` has the unknown type `strin`; did you mean `string`?";
    project.mooncast(&["check"]).exits(1).prints(said);
    for command in ["run", "rehearse"] {
        project
            .mooncast(&[command, "--simulator", "scripts/wrong.lua"])
            .exits(2)
            .says(said)
            .never_says("begun");
    }
    let twice = Project::with_script("--- @arg a string\n--- @arg a date\n");
    twice.mooncast(&["check"]).exits(1).prints("scripts/main.lua:2: the argument `a` is declared twice");
    for (head, said) in [
        ("--- Invites.\n--- @ARG city string\n", "scripts/main.lua:2: `@ARG` is not known; write `@arg`"),
        ("--- @args city string\n", "scripts/main.lua:1: `@args` is not known; write `@arg`"),
        ("---@argument city string\n", "scripts/main.lua:1: `@argument` is not known; write `@arg`"),
    ] {
        Project::with_script(head).mooncast(&["check"]).exits(1).prints(said);
    }
    Project::with_script("---@param args table\nfunction main(args) end\n").mooncast(&["check"]).exits(0);
    Project::with_script(INVITE).mooncast(&["check"]).exits(0);
}

/// The same form as [`INVITE`] has, as a table.
const TABLE: &str = r#"
args = {
  { name = "city", type = "string", help = "The city to invite to" },
  { name = "day", type = "date", help = "The day" },
  { name = "seats", type = "integer", default = 20, help = "How many seats there are" },
  { name = "open", type = "boolean", optional = true, help = "Whether guests may come" },
  { name = "list", type = "file", extensions = { ".csv" }, help = "The audience" },
}
"#;

/// [`INVITE`] with the table in place of its head.
fn with_table() -> String {
    let body = INVITE.split_once("function").unwrap().1;
    format!("{TABLE}function{body}")
}

#[test]
fn a_table_declares_the_arguments_as_a_head_does() {
    let (head, table) = (project(), Project::with_script(with_table()));
    let (_folder, path) = list("group_id\ng1\ng2\n");
    let arg = format!("list={path}");
    table.mooncast(&["check"]).exits(0).prints("no problems");
    let commands: [(&[&str], i32); 4] = [
        (&["run", "--help-script", "scripts/main.lua"], 0),
        (&["run", "--simulator", "scripts/main.lua", "city=Berlin", "day=2026-12-01", &arg], 0),
        (&["rehearse", "--simulator", "scripts/main.lua", "Rome", "2026-12-02", "7", "true", &path], 0),
        (&["run", "--simulator", "scripts/main.lua", "city=Berlin", "day=tomorrow", &arg], 2),
    ];
    for (command, status) in commands {
        let by_head = head.mooncast(command).exits(status);
        let by_table = table.mooncast(command).exits(status);
        let own = |text: &str| {
            // The hash of the plan and the times of the rehearsals differ.
            let differs = |line: &&str| {
                ["Plan", "plan", "  first  ", "  last  ", " to 20"].iter().any(|part| line.contains(part))
            };
            let lines = text.lines().filter(|line| !differs(line));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(own(&by_table.stdout), own(&by_head.stdout), "{command:?}");
        assert_eq!(
            by_table.stderr.contains("must be a date"),
            status == 2,
            "{command:?}: {}",
            by_table.stderr
        );
    }
    // `arg` has the values in every function; `args` is the declaration and a plain table of the script.
    let elsewhere = format!("{TABLE}local function city() return arg.city, arg.seats end\nprint(city())");
    Project::with_script(&elsewhere)
        .mooncast(&["run", "--simulator", "scripts/main.lua", "city=Berlin", "day=2026-12-01", &arg])
        .exits(0)
        .prints("Berlin\t20");
}

#[test]
fn a_table_that_is_not_clear_is_an_error_of_check_and_of_each_run() {
    for (script, said) in [
        (
            format!("{TABLE}print('begun', args.city)\n"),
            ":9: `args` is the declaration here and has no values",
        ),
        (format!("--- @arg city string\n{TABLE}print('begun')\n"), ":3: the arguments are declared twice"),
        (
            "print('begun')\nargs = read()\n".to_owned(),
            ":2: `args` declares the arguments of the script as a table",
        ),
        (
            "print('begun')\nargs = {\n  { name = 'day', type = 'date', default = os.date() },\n}\n"
                .to_owned(),
            ":3: `os.date()` is known only when the script runs",
        ),
        (
            "print('begun')\nlocal args = { { name = 'city', type = 'string' } }\n".to_owned(),
            ":2: a local variable declares no arguments; write `args = { … }`",
        ),
        (
            "print('begun')\nif true then\n  args = { { name = 'city', type = 'string' } }\nend\n".to_owned(),
            ":3: `args` declares the arguments of the script, once and at its top level",
        ),
    ] {
        let project = Project::with_script(&script);
        let said = format!("scripts/main.lua{said}");
        project.mooncast(&["check"]).exits(1).prints(&said);
        for command in ["run", "rehearse"] {
            project
                .mooncast(&[command, "--simulator", "scripts/main.lua", "city=Berlin"])
                .exits(2)
                .says(&said)
                .never_says("begun");
        }
    }
    // A syntax error is one problem.
    let broken = Project::with_script(format!("{TABLE}if x then\n"));
    broken.mooncast(&["check"]).exits(1).prints("1 script: 1 problem");
    // A variable of the script's own.
    let own = Project::with_script("local args = { ... }\nprint('got', args[1])\n");
    own.mooncast(&["check"]).exits(0);
    own.mooncast(&["run", "--simulator", "scripts/main.lua", "x"]).exits(0).prints("got\tx");
}
