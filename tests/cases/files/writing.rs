//! Scripts write to `data/` and to granted paths. Files that other tools run can never be written.

use std::os::unix::fs::symlink;

use super::{came, run, text};
use crate::support::Project;

/// Files that tools run although they are not scripts of the project, and scripts that are run from elsewhere.
const DOORS: [&str; 8] = [
    ".github/workflows/ci.yml",
    ".vscode/tasks.json",
    ".gitattributes",
    "Makefile",
    "campaigns/spring.lua",
    "campaigns/lib/texts.lua",
    "main.lua",
    "out/report.csv",
];

fn with_doors() -> Project {
    DOORS.iter().fold(Project::new(), |project, path| project.file(path, "AS-IT-WAS"))
}

fn overwrite(paths: &[&str]) -> String {
    paths.iter().map(|path| format!("overwrite(\"{path}\")\n")).collect::<Vec<_>>().concat()
}

#[test]
fn without_a_grant_only_data_is_written() {
    let project = with_doors();
    let ran =
        run(&project, &(overwrite(&DOORS) + "overwrite('new.txt') try('mkdir', fs.mkdir, 'made')"), &[])
            .exits(0);
    for path in DOORS.iter().copied().chain(["new.txt"]) {
        assert_eq!(came(&ran, &format!("write {path}")), "denied");
        assert_eq!(came(&ran, &format!("append {path}")), "denied");
    }
    assert_eq!(came(&ran, "mkdir"), "denied");
    for path in DOORS {
        assert_eq!(text(&project, path), "AS-IT-WAS", "{path}");
    }
    assert!(!project.path("new.txt").exists() && !project.path("made").exists());
    let told = run(&project, "fs.write('out/report.csv', 'x')", &[]).exits(1);
    told.says("`out/report.csv` may not be written: scripts write in data/")
        .says("--allow-write=out/report.csv");
}

#[test]
fn the_folder_data_is_made_when_something_is_written_there() {
    for call in [
        "fs.write('data/x', 'text')",
        "fs.append('data/x', 'text')",
        "fs.mkdir('data/sub') fs.write('data/x', 'text')",
    ] {
        let project = Project::new();
        run(&project, "print(fs.exists('data/x'), fs.exists('data'))", &[]).exits(0).prints("false\tfalse");
        assert!(!project.path("data").exists());
        run(&project, call, &[]).exits(0);
        assert_eq!(text(&project, "data/x"), "text");
    }
}

#[test]
fn a_grant_in_the_settings_or_by_flag_opens_what_it_names() {
    let project = with_doors().file("mooncast.toml", "simulator = true\n[permissions]\nwrite = [\"out\"]\n");
    let ran = run(
        &project,
        &overwrite(&["out/report.csv", "out/new.csv", "Makefile", "new.txt"]),
        &["--allow-write=new.txt"],
    );
    for path in ["out/report.csv", "out/new.csv", "new.txt"] {
        assert_eq!(came(&ran, &format!("write {path}")), "ok");
        assert_eq!(text(&project, path), "OVERWRITTENOVERWRITTEN");
    }
    assert_eq!(came(&ran, "write Makefile"), "denied");
}

#[test]
fn what_is_run_is_never_written_whatever_is_granted() {
    let project = with_doors()
        .file("mooncast.toml", "simulator = true\n[permissions]\nwrite = [\".\", \"campaigns\"]\n");
    for path in [
        "data/linked.txt",
        "data/deep.txt",
        "shared/helper.lua",
        "shared/note.txt",
        "data/step",
        "scripts/hard.lua",
        "scripts/lib/hard.lua",
    ] {
        if path != "data/step" {
            project.write(path, "AS-IT-WAS");
        }
    }
    symlink("../data/linked.txt", project.path("scripts/linked.lua")).unwrap();
    symlink("../data/missing.txt", project.path("scripts/missing.lua")).unwrap();
    symlink("deep.txt", project.path("data/step")).unwrap();
    symlink("../data/step", project.path("scripts/chain.lua")).unwrap();
    symlink("../shared", project.path("scripts/shared")).unwrap();
    std::fs::hard_link(project.path("scripts/hard.lua"), project.path("data/hard.txt")).unwrap();
    std::fs::hard_link(project.path("scripts/lib/hard.lua"), project.path("out/hard.txt")).unwrap();
    std::fs::hard_link(project.path("Makefile"), project.path("data/make.txt")).unwrap();
    let refused = [
        "data/linked.txt",
        "data/missing.txt",
        "data/step",
        "data/deep.txt",
        "shared/helper.lua",
        "shared/new.lua",
        "data/hard.txt",
        "out/hard.txt",
        "campaigns/spring.lua",
        "campaigns/lib/texts.lua",
        "campaigns/new.lua",
        "main.lua",
        "data/new.LUA",
        ".github/workflows/ci.yml",
        ".vscode/tasks.json",
        ".gitattributes",
        "scripts/main.lua",
        "scripts/new.txt",
        "stdlib/im.lua",
    ];
    let body = overwrite(&refused)
        + "overwrite('out/report.csv') overwrite('shared/note.txt')
           try('append make', fs.append, 'data/make.txt', 'x')
           try('remove step', fs.remove, 'data/step') try('remove linked', fs.remove, 'data/linked.txt')
           try('mkdir missing', fs.mkdir, 'data/missing.txt') try('remove lua', fs.remove, 'main.lua')";
    let ran = run(&project, &body, &[]).exits(0);
    for path in refused {
        assert_eq!(came(&ran, &format!("write {path}")), "denied");
        assert_eq!(came(&ran, &format!("append {path}")), "denied");
    }
    for call in ["append make", "remove step", "remove linked", "mkdir missing", "remove lua"] {
        assert_eq!(came(&ran, call), "denied", "{call}");
    }
    assert_eq!(came(&ran, "write out/report.csv"), "ok");
    assert_eq!(came(&ran, "write shared/note.txt"), "ok");
    for path in [
        "data/linked.txt",
        "data/deep.txt",
        "shared/helper.lua",
        "data/hard.txt",
        "out/hard.txt",
        "main.lua",
        "Makefile",
    ] {
        assert_eq!(text(&project, path), "AS-IT-WAS", "{path}");
    }
    // A folder whose name begins with a dot is granted by its own name.
    let ran = run(&project, &overwrite(&[".vscode/tasks.json"]), &["--allow-write=.vscode"]);
    assert_eq!(came(&ran, "write .vscode/tasks.json"), "ok");
}

#[test]
fn what_a_link_in_any_folder_leads_to_under_a_script_s_name_is_never_written() {
    let project =
        Project::new().file("mooncast.toml", "simulator = true\n[permissions]\nwrite = [\"out\"]\n");
    let links = [
        ("main.lua", "data/main.txt"),
        ("campaigns/spring.lua", "../data/spring.txt"),
        ("campaigns/lib/texts.lua", "../../data/texts.txt"),
        ("lib/x.lua", "../out/x.txt"),
        ("tests/x_test.lua", "../data/test.txt"),
        ("team/a/b/lib/deep.LUA", "../../../../data/deep.txt"),
        ("campaigns/dangling.lua", "../data/dangling.txt"),
    ];
    let mut targets = Vec::new();
    for (link, to) in links {
        let target = to.trim_start_matches("../");
        if link != "campaigns/dangling.lua" {
            project.write(target, "AS-IT-WAS");
        }
        let link = project.path(link);
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(to, link).unwrap();
        targets.push(target);
    }
    // A folder of the project may be a link itself, into the one that is not searched.
    project.write("data/linked.txt", "AS-IT-WAS");
    std::fs::create_dir(project.path("data/kept")).unwrap();
    symlink("../linked.txt", project.path("data/kept/linked.lua")).unwrap();
    symlink("data/kept", project.path("shared")).unwrap();
    targets.push("data/linked.txt");
    let ran =
        run(&project, &(overwrite(&targets) + "overwrite('data/free.txt') overwrite('out/free.txt')"), &[])
            .exits(0);
    for target in targets {
        assert_eq!(came(&ran, &format!("write {target}")), "denied", "{target}");
        assert_eq!(came(&ran, &format!("append {target}")), "denied", "{target}");
        if target != "data/dangling.txt" {
            assert_eq!(text(&project, target), "AS-IT-WAS");
        }
    }
    assert!(!project.path("data/dangling.txt").exists());
    for free in ["data/free.txt", "out/free.txt"] {
        assert_eq!(came(&ran, &format!("write {free}")), "ok");
    }
}

#[test]
fn where_scripts_are_too_many_files_to_inspect_nothing_that_is_there_is_written() {
    let project = Project::new().file("campaigns/spring.lua", "").file("data/old.txt", "AS-IT-WAS");
    let many = project.path("scripts/many");
    std::fs::create_dir_all(&many).unwrap();
    let first = many.join("0");
    std::fs::write(&first, "").unwrap();
    for number in 1..=50_000 {
        std::fs::hard_link(&first, many.join(number.to_string())).unwrap_or_else(|_| {
            // A file has so many names at the most.
            std::fs::write(many.join(number.to_string()), "").unwrap();
        });
    }
    let ran = run(&project, "overwrite('data/old.txt')", &[]).exits(0);
    assert_eq!(came(&ran, "write data/old.txt"), "denied");
    assert_eq!(text(&project, "data/old.txt"), "AS-IT-WAS");
}

#[test]
fn a_script_from_another_folder_does_not_write_what_it_is_or_requires() {
    let outer = Project::new()
        .file("app/mooncast.toml", "simulator = true\n")
        .file("other/lib/texts.txt", "return {}");
    symlink("texts.txt", outer.path("other/lib/texts.lua")).unwrap();
    outer.write(
        "other/news.lua",
        format!("{}\nrequire('texts') for _, path in ipairs(arg) do overwrite(path) end", super::TRY),
    );
    let paths =
        ["other/news.lua", "other/lib/texts.lua", "other/lib/texts.txt", "other/new.lua", "other/new.csv"]
            .map(|path| outer.path(path).to_str().unwrap().to_owned());
    let grant = format!("--allow-write={}", outer.path("other").display());
    let mut args = vec!["run", "--simulator", "--project", "app", &grant, "other/news.lua"];
    args.extend(paths.iter().map(String::as_str));
    let ran = outer.mooncast(&args).exits(0);
    for path in &paths[..4] {
        assert_eq!(came(&ran, &format!("write {path}")), "denied");
        assert_eq!(came(&ran, &format!("append {path}")), "denied");
    }
    assert_eq!(came(&ran, &format!("write {}", paths[4])), "ok");
    assert_eq!(text(&outer, "other/lib/texts.txt"), "return {}");
}

#[test]
fn a_link_called_data_opens_nothing() {
    for (to, path) in [("..", "../canary.txt"), ("scripts", "data/x.txt"), ("out", "data/x.txt")] {
        let project = Project::new().file("out/x.txt", "AS-IT-WAS").file("scripts/x.txt", "AS-IT-WAS");
        symlink(to, project.path("data")).unwrap();
        let ran = run(
            &project,
            &format!("overwrite('{path}') overwrite('data/new') try('rm', fs.remove, 'data')"),
            &[],
        );
        assert_eq!(came(&ran, &format!("write {path}")), "denied", "{to}");
        assert_eq!(came(&ran, "append data/new"), "denied", "{to}");
        assert_ne!(came(&ran, "rm"), "ok", "{to}");
        assert_eq!(text(&project, "out/x.txt") + &text(&project, "scripts/x.txt"), "AS-IT-WASAS-IT-WAS");
    }
}

#[test]
fn a_rehearsal_and_a_test_follow_the_same_rule() {
    let body = "overwrite('out.txt') overwrite('data/in.txt') overwrite('data/x.lua')
        assert(fs.read('data/in.txt') == 'OVERWRITTENOVERWRITTEN' and #fs.list('data') == 1)";
    let project = Project::with_script(format!("{}\n{body}", super::TRY));
    let ran = project.mooncast(&["rehearse", "scripts/main.lua"]).exits(0);
    for (what, came_of) in
        [("write out.txt", "denied"), ("append data/in.txt", "ok"), ("write data/x.lua", "denied")]
    {
        assert_eq!(came(&ran, what), came_of);
    }
    project.write(
        "scripts/tests/main.lua",
        r#"local test, fs = require("test"), require("fs")
        test("writes", function()
          local ok, err = pcall(fs.write, "out.txt", "x")
          test.expect(not ok and err.kind).to_equal("denied")
          fs.write("data/in.txt", "x")
          test.expect(fs.read("data/in.txt")).to_equal("x")
        end)"#,
    );
    project.mooncast(&["test"]).exits(0);
    assert!(!project.path("data").exists() && !project.path("out.txt").exists());
}

#[test]
fn check_says_which_scripts_need_a_grant() {
    let project = Project::new()
        .file("mooncast.toml", "simulator = true\n[permissions]\nwrite = [\"granted\"]\n")
        .file("scripts/fine.lua", "local fs = require('fs')\nfunction main() fs.write('data/x', '') fs.write('granted/x', '') fs.append(arg[1], '') end\n")
        .file("scripts/needy.lua", "local fs = require('fs')\nfunction main()\n  fs.write('out/x.csv', '')\n  pcall(fs.append, 'log.txt', '')\n  fs.mkdir('made')\n  local w = fs.remove\n  w('gone')\nend\n");
    let ran = project.mooncast(&["check"]).exits(1);
    for line in [
        "needy.lua:3:12: `out/x.csv`",
        "needy.lua:4:20: `log.txt`",
        "needy.lua:5:12: `made`",
        "--allow-write=out/x.csv",
    ] {
        assert!(ran.stdout.contains(line), "no {line} in {ran:#?}");
    }
    assert!(!ran.stdout.contains("fine.lua:"), "{ran:#?}");
    project.mooncast(&["check", "--allow-write=.", "scripts"]).exits(0);
}
