//! Attacks through paths, and the files that must stay unchanged.

mod random;
mod tree;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;
use crate::clock::Clock;
use tree::{SECRET, Tree, kind};

#[test]
fn what_is_granted_can_be_used() {
    let tree = Tree::new();
    let disk = &tree.disk;
    for path in ["data/a.csv", "./data/../data//a.csv", "inner/a.csv", "../readonly/r.txt"] {
        assert_eq!(disk.read(path).unwrap(), "plain", "{path}");
    }
    for path in ["project/data/a.csv", "readonly/r.txt", "writable/w.txt", "single.txt"] {
        assert_eq!(disk.read(&tree.at(path)).unwrap(), "plain", "{path}");
    }
    disk.replace("data/new.txt", b"one").unwrap();
    disk.append("data/new.txt", b" two").unwrap();
    disk.append("data/fresh.txt", b"three").unwrap();
    assert_eq!(disk.read("data/new.txt").unwrap(), "one two");
    assert_eq!(disk.read("data/fresh.txt").unwrap(), "three");
    disk.make_folder("data/deep/deeper").unwrap();
    disk.make_folder("data/deep/deeper").unwrap();
    disk.replace("inner/deep/deeper/x", b"x").unwrap();
    assert_eq!(disk.list("data/deep/deeper").unwrap(), ["x"]);
    assert_eq!(kind(disk.remove("data/deep/deeper")), FailureKind::Invalid);
    disk.remove("data/deep/deeper/x").unwrap();
    disk.remove("data/deep/deeper").unwrap();
    assert_eq!(disk.info("data/deep/deeper").unwrap(), None);
    assert_eq!(disk.info("data").unwrap().unwrap().kind, "folder");
    assert_eq!(disk.info("pipe").unwrap().unwrap().kind, "other");
    let info = disk.info("data/new.txt").unwrap().unwrap();
    assert_eq!((info.kind, info.size), ("file", 7));
    assert!(info.modified_unix > 1_700_000_000);
    disk.replace(&tree.at("writable/made.txt"), b"made").unwrap();
    disk.make_folder(&tree.at("later")).unwrap_err();
    fs::create_dir(tree.at("later")).unwrap();
    disk.replace(&tree.at("later/report.csv"), b"made").unwrap();
    assert_eq!(kind(disk.replace(&tree.at("later/other.csv"), b"no")), FailureKind::Denied);
    let opened = disk.open_upload("inner/a.csv").unwrap();
    assert_eq!((opened.name.as_str(), opened.len), ("a.csv", 5));
    // Scripts may be read, because they are not secret.
    assert_eq!(disk.read("scripts/hello.lua").unwrap(), SECRET);
    tree.guarded_is_whole();
}

#[test]
fn without_a_grant_scripts_write_to_their_folder_alone() {
    let tree = Tree::new();
    let project = Project::at(Path::new(&tree.at("project"))).unwrap();
    let disk = Disk::open(&project, &Permissions::default(), &[], None, &[]).unwrap();
    disk.replace("data/new.txt", b"new").unwrap();
    for path in ["new.txt", "inner/new.txt", "./data/../new.txt", "out-file", &tree.at("project/new.txt")] {
        let failure = disk.replace(path, b"new").unwrap_err();
        assert_eq!(failure.kind, FailureKind::Denied, "{path}");
        assert_eq!(disk.append(path, b"new").unwrap_err().kind, FailureKind::Denied, "{path}");
        assert_eq!(kind(disk.make_folder(path)), FailureKind::Denied, "{path}");
        assert_eq!(kind(disk.remove(path)), FailureKind::Denied, "{path}");
    }
    let failure = disk.replace("out/new.csv", b"new").unwrap_err();
    assert!(failure.message.contains("--allow-write=out/new.csv"), "{}", failure.message);
    tree.guarded_is_whole();
}

#[test]
fn a_listing_leaves_out_what_is_never_reached() {
    let tree = Tree::new();
    let names = tree.disk.list(".").unwrap();
    assert!(names.contains(&"data".to_owned()) && names.contains(&"scripts".to_owned()));
    for hidden in [".mooncast", ".git", ".env", ".env.local", "mooncast.toml"] {
        assert!(!names.contains(&hidden.to_owned()), "{hidden}");
    }
    assert!(names.is_sorted());
}

#[test]
fn no_path_attack_reads_anything() {
    let tree = Tree::new();
    let (root, outside) = (tree.at("project"), tree.at("outside.txt"));
    let attacks = [
        "../outside.txt",
        "./../outside.txt",
        "data/../../outside.txt",
        "data/sub/../../../outside.txt",
        "data//..//..//outside.txt",
        "nowhere/../../outside.txt",
        "out/outside.txt",
        "out/project/mooncast.toml",
        "out-file",
        "inner/../../outside.txt",
        "absolute",
        "process/environ",
        "process/root/etc/passwd",
        "/etc/passwd",
        "//etc/passwd",
        "/proc/self/environ",
        "/proc/self/root/etc/passwd",
        "/proc/self/cwd/Cargo.toml",
        "/dev/zero",
        "/dev/stdin",
        "/dev/fd/0",
        "mooncast.toml",
        "./mooncast.toml",
        "data/../mooncast.toml",
        ".mooncast/token",
        ".mooncast//token",
        "data/../.mooncast/./token",
        "token-link",
        "state-link/token",
        "data/token-link",
        "inner/token-link",
        "hard-token",
        "hard-settings",
        "hard-git",
        "hard-env",
        "data/hard-credentials",
        "credentials.json",
        "data/../credentials.json",
        ".env",
        ".env.local",
        ".git/config",
        "../readonly/back",
        "../readonly/sub/.env",
        "../readonly/../outside.txt",
        "to-granted",
        "../single.txt.bak",
        "../single.txt/../outside.txt",
        "loop",
        "dangling",
        "pipe",
        "data",
        "",
        "data/a.csv\0.png",
        "\0",
        "~/.ssh/id_rsa",
        "file:///etc/passwd",
        "..\\outside.txt",
        "data/a.csv/",
        "data/a.csv/..",
        "mooncast.toml/",
    ];
    let formatted = [
        outside.clone(),
        format!("{root}/../outside.txt"),
        format!("{root}/.mooncast/token"),
        format!("/proc/self/root{outside}"),
        format!("/proc/self/root{root}/mooncast.toml"),
        "x/".repeat(3000),
        "x".repeat(300),
        format!("{}etc/passwd", "../".repeat(60)),
    ];
    for attack in attacks.into_iter().chain(formatted.iter().map(String::as_str)) {
        // A slash after a file's name is not an attack: only the name counts.
        if attack == "data/a.csv/" {
            continue;
        }
        for result in [tree.disk.read(attack).map(drop), tree.disk.open_upload(attack).map(drop)] {
            let kind = match result {
                Err(failure) => failure.kind,
                Ok(()) => panic!("{attack:?} was read"),
            };
            assert!(matches!(kind, FailureKind::Denied | FailureKind::Invalid), "{attack:?}: {kind:?}");
        }
    }
    for protected in
        ["mooncast.toml", ".mooncast/token", "hard-token", "token-link", "out-file", "/etc/passwd"]
    {
        assert_eq!(kind(tree.disk.read(protected)), FailureKind::Denied, "{protected}");
    }
}

#[test]
fn no_path_attack_changes_anything() {
    let tree = Tree::new();
    for attack in [
        "mooncast.toml",
        ".mooncast/token",
        ".mooncast/new",
        "state-link/new",
        ".git/hooks/pre-commit",
        ".git/config",
        ".env",
        ".env.production",
        "data/.env",
        "dangling-env",
        "dangling",
        "scripts/hello.lua",
        "scripts/new.lua",
        "scripts/lib/new.lua",
        "scripts-link/new.lua",
        "stdlib/iter.lua",
        "hard-token",
        "hard-settings",
        "hard-script",
        "data/hard-credentials",
        "credentials.json",
        "out/new.txt",
        "out-file",
        "token-link",
        "../outside.txt",
        "../new.txt",
        "../readonly/r.txt",
        "../readonly/new.txt",
        "/tmp/mooncast-attack",
        "/etc/cron.d/x",
        "/dev/null",
        "pipe",
        "data",
        ".",
        "",
        "nowhere/new.txt",
    ] {
        for result in [tree.disk.replace(attack, b"changed"), tree.disk.append(attack, b"changed")] {
            let kind = kind(result);
            assert!(matches!(kind, FailureKind::Denied | FailureKind::Invalid), "{attack:?}: {kind:?}");
        }
        tree.guarded_is_whole();
    }
    for attack in
        ["scripts/new", ".git/new", "out/new", "../new", "/tmp/mooncast-attack/x", "data/a.csv/x", ".env.d"]
    {
        assert!(
            matches!(kind(tree.disk.make_folder(attack)), FailureKind::Denied | FailureKind::Invalid),
            "{attack}"
        );
    }
    for attack in [
        "scripts/hello.lua",
        ".mooncast/token",
        "mooncast.toml",
        "../outside.txt",
        ".",
        "",
        "out/readonly",
        "scripts",
    ] {
        assert!(
            matches!(kind(tree.disk.remove(attack)), FailureKind::Denied | FailureKind::Invalid),
            "{attack}"
        );
    }
    // Removing a link removes the link itself, not its target.
    tree.disk.remove("token-link").unwrap();
    tree.guarded_is_whole();
    assert!(!Path::new("/tmp/mooncast-attack").exists());
}

#[test]
fn a_place_that_becomes_a_link_is_no_longer_granted() {
    let tree = Tree::new();
    symlink("readonly", tree.at("later")).unwrap();
    assert_eq!(kind(tree.disk.replace(&tree.at("later/report.csv"), b"no")), FailureKind::Denied);
    fs::write(tree.at("readonly/report.csv"), SECRET).unwrap();
    assert_eq!(kind(tree.disk.append(&tree.at("later/report.csv"), b"no")), FailureKind::Denied);
}

#[test]
fn what_the_system_tells_of_this_process_is_never_reached() {
    let tree = Tree::new();
    let project = Project::at(&tree.folder.path().join("project")).unwrap();
    let all = Permissions { read: vec!["/".into()], write: vec!["/".into()], ..Permissions::default() };
    let disk = Disk::open(&project, &all, &[], None, &[]).unwrap();
    let own = format!("/proc/{}/environ", std::process::id());
    for path in [
        "/proc/self/environ",
        "/proc/thread-self/environ",
        "/proc/self/task/../environ",
        "process/environ",
        &own,
    ] {
        assert_eq!(kind(disk.read(path)), FailureKind::Denied, "{path}");
        assert_eq!(kind(disk.open_upload(path)), FailureKind::Denied, "{path}");
    }
    assert_eq!(kind(disk.append("/proc/self/comm", b"x")), FailureKind::Denied);
    assert!(disk.read("/etc/passwd").is_ok());
}

#[test]
fn a_denial_says_which_permission_would_grant_it() {
    let tree = Tree::new();
    let read = tree.disk.read("/etc/hostname").unwrap_err().message;
    assert!(read.contains("--allow-read=/etc/hostname") && read.contains("[permissions] read"), "{read}");
    let write = tree.disk.replace("../readonly/r.txt", b"").unwrap_err().message;
    assert!(write.contains("--allow-write=/") && write.contains("[permissions] write"), "{write}");
    assert_eq!(tree.disk.read("nowhere").unwrap_err().field.as_deref(), Some("path"));
}

#[test]
fn the_most_that_is_read_at_once_is_16_mib() {
    let tree = Tree::new();
    let path = tree.at("project/data/large");
    fs::File::create(&path).unwrap().set_len(MAX_READ).unwrap();
    assert_eq!(tree.disk.read("data/large").unwrap().len() as u64, MAX_READ);
    fs::File::create(&path).unwrap().set_len(MAX_READ + 1).unwrap();
    assert_eq!(kind(tree.disk.read("data/large")), FailureKind::Invalid);
    assert_eq!(tree.disk.open_upload("data/large").unwrap().len, MAX_READ + 1);
}

#[test]
fn a_write_replaces_the_file_in_one_step_and_keeps_its_mode() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let tree = Tree::new();
    let path = tree.at("project/data/a.csv");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let before = fs::metadata(&path).unwrap();
    tree.disk.replace("inner/a.csv", b"new").unwrap();
    let after = fs::metadata(&path).unwrap();
    assert_ne!(before.ino(), after.ino());
    assert_eq!(after.mode() & 0o777, 0o600);
    assert_eq!(tree.disk.list("data").unwrap(), ["a.csv", "hard-credentials", "sub", "token-link"]);
}

#[test]
fn the_faces_work_off_the_hosts_thread() {
    let tree = Tree::new();
    let project = Project::at(Path::new(&tree.at("project"))).unwrap();
    let files = ProjectFiles::new(&project, &Permissions::default(), &[], None).unwrap();
    Clock::real()
        .block_on(async {
            files.make_folder("data/async").await.unwrap();
            files.write("data/async/x", Bytes::from_static(b"1"), false).await.unwrap();
            files.write("data/async/x", Bytes::from_static(b"2"), true).await.unwrap();
            assert_eq!(files.read("data/async/x").await.unwrap(), "12");
            assert_eq!(files.list("data/async").await.unwrap(), ["x"]);
            assert_eq!(files.info("data/async/x").await.unwrap().unwrap().size, 2);
            assert_eq!(files.open_upload("data/async/x").await.unwrap().len, 2);
            files.remove("data/async/x").await.unwrap();
            assert_eq!(files.info("data/async/x").await.unwrap(), None);
        })
        .unwrap();
}
