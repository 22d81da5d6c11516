//! A folder that is swapped with a link thousands of times while a script uses it.

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{TRY, text};
use crate::support::{Project, Ran};

/// Swaps two names as fast as it can while a script runs. Returns the script's result and the number of swaps.
fn raced(project: &Project, names: [&str; 2], script: &str) -> (Ran, u64) {
    project.write("scripts/main.lua", format!("{TRY}\n{script}"));
    let [one, other] = names.map(|name| project.path(name));
    let (over, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let ran = project.mooncast(&["run", "--simulator", "--timeout", "100s", "scripts/main.lua"]);
        over.store(true, Ordering::Relaxed);
        ran
    });
    (ran, count.into_inner())
}

/// `swap` is a folder with harmless files; `other` is a link to another folder. Both also exist in `data`.
fn project(leads_to: &str) -> Project {
    let mut project = Project::new();
    for folder in ["", "data/"] {
        project = project
            .file(&format!("{folder}swap/token"), "harmless")
            .file(&format!("{folder}swap/token.csv"), "group_id\ng1\n");
        symlink(leads_to, project.path(format!("{folder}other"))).unwrap();
    }
    project
}

#[test]
fn what_is_read_through_an_exchanged_folder_is_never_the_hosts() {
    let project = project(".mooncast");
    project.write(".mooncast/token", "CANARY-TOKEN");
    project.write(".mooncast/token.csv", "group_id\nCANARYGROUP\n");
    let (ran, count) = raced(
        &project,
        ["swap", "other"],
        r#"
        local seen, began = { read = 0, refused = 0 }, os.time()
        for i = 1, 1500 do
          -- A busy machine does fewer.
          if os.time() - began > 30 then break end
          local ok, text = pcall(fs.read, "swap/token")
          if ok then
            seen.read = seen.read + 1
            if text ~= "harmless" then print("REACHED", text) end
          else
            seen.refused = seen.refused + 1
          end
          local ok, names = pcall(fs.list, "swap")
          if ok and #names ~= 2 then print("LISTED", table.concat(names, " ")) end
          local ok, info = pcall(fs.info, "swap/token")
          if ok and info and info.size ~= 8 then print("TOLD", info.size) end
          if i % 20 == 0 then
            local ok, file = pcall(im.upload, "swap/token")
            if ok and file.size ~= 8 then print("UPLOADED", file.size) end
          end
        end
        print("done", seen.read > 0, seen.refused > 0)"#,
    );
    let ran = ran.exits(0).prints("done\ttrue\ttrue");
    for word in ["REACHED", "LISTED", "TOLD", "UPLOADED", "CANARY"] {
        assert!(!ran.stdout.contains(word), "{ran:#?}");
    }
    assert!(count > 1000, "{count}");
}

#[test]
fn what_is_written_through_an_exchanged_folder_lands_nowhere_else() {
    let project = project("../scripts");
    project.write("scripts/keep", "AS-IT-WAS");
    let before = |project: &Project| {
        let mut names: Vec<_> = std::fs::read_dir(project.path("scripts"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let (ran, count) = raced(
        &project,
        ["data/swap", "data/other"],
        r#"
        local written, began = 0, os.time()
        for i = 1, 1500 do
          -- A busy machine does fewer.
          if os.time() - began > 30 then break end
          if pcall(fs.write, "data/swap/w" .. i % 7, "x") then written = written + 1 end
          pcall(fs.append, "data/swap/keep", "OVERWRITTEN")
          pcall(fs.mkdir, "data/swap/d" .. i % 5 .. "/e")
          pcall(fs.remove, "data/swap/keep")
        end
        print("done", written > 0)"#,
    );
    ran.exits(0).prints("done\ttrue");
    assert_eq!(before(&project), ["keep", "main.lua"]);
    assert_eq!(text(&project, "scripts/keep"), "AS-IT-WAS");
    assert!(count > 500, "{count}");
}

#[test]
fn a_module_behind_an_exchanged_name_is_never_the_hosts() {
    let project = Project::new()
        .file(".mooncast/token", "tok CANARY-TOKEN")
        .file("main.lua", "")
        .file("mod.lua", "return 1");
    symlink(".mooncast/token", project.path("other")).unwrap();
    project.write("loop.lua", "for _ = 1, 300 do local ok, err = pcall(require, 'mod') if ok then package = nil else print(err) end end");
    let (over, one, other) = (AtomicBool::new(false), project.path("mod.lua"), project.path("other"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let ran: Vec<Ran> = (0..20).map(|_| project.mooncast(&["run", "--simulator", "loop.lua"])).collect();
        over.store(true, Ordering::Relaxed);
        for ran in ran {
            assert!(!ran.stdout.contains("CANARY") && !ran.stderr.contains("CANARY"), "{ran:#?}");
        }
    });
}

#[test]
fn an_audience_behind_an_exchanged_folder_is_never_the_hosts() {
    let project = project(".mooncast");
    project.write(".mooncast/token.csv", "group_id\nCANARYGROUP\n");
    let (ran, _) = raced(
        &project,
        ["swap", "other"],
        r#"
        local sent = 0
        for i = 1, 60 do
          local ok, report = pcall(im.broadcast, { name = "n" .. i, to = "swap/token.csv",
            message = function(row) if row.group_id:find("CANARY") then print("REACHED") end
              return { type = "txt", body = { msg = "hi" } } end })
          if ok then sent = sent + 1 end
        end
        print("done", sent > 0)"#,
    );
    ran.exits(0).prints("done\ttrue").never_says("REACHED").never_says("CANARY");
}
