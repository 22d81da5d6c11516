//! Attacks through random paths.

use std::fs;

use proptest::prelude::*;

use super::super::FileStore as _;
use super::tree::{SECRET, Tree};

/// Generates paths of names that lead to interesting files, in any order.
fn paths() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "..",
        "..",
        ".",
        "",
        "data",
        "sub",
        "a.csv",
        "out",
        "out-file",
        "token-link",
        "state-link",
        "token",
        ".mooncast",
        "mooncast.toml",
        ".git",
        "config",
        ".env",
        ".env.local",
        "hard-token",
        "hard-settings",
        "hard-env",
        "hard-credentials",
        "hard-script",
        "scripts",
        "scripts-link",
        "hello.lua",
        "stdlib",
        "iter.lua",
        "inner",
        "dangling",
        "dangling-env",
        "loop",
        "pipe",
        "process",
        "root",
        "cwd",
        "absolute",
        "readonly",
        "writable",
        "back",
        "project",
        "outside.txt",
        "credentials.json",
        "new",
        "single.txt",
        "single.txt.bak",
        "a\0b",
        "é",
        " ",
    ]);
    let start = prop::sample::select(vec![
        "",
        "",
        "",
        "/",
        "//",
        "PROJECT/",
        "FOLDER/",
        "/proc/self/root/",
        "/proc/self/cwd/",
    ]);
    (start, prop::collection::vec(name, 1..7))
        .prop_map(|(start, names)| format!("{start}{}", names.join("/")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_path_escapes(path in paths(), call in 0..6) {
        let tree = Tree::new();
        let path = path.replace("PROJECT", &tree.at("project")).replace("FOLDER", &tree.at(""));
        let is_code = ["scripts", "stdlib", "hard-script"].iter().any(|code| path.contains(code));
        match call {
            0 => if let Ok(content) = tree.disk.read(&path) {
                prop_assert!(content != SECRET || is_code, "{} was read", path);
            },
            1 => { let _ = tree.disk.replace(&path, b"changed"); }
            2 => { let _ = tree.disk.append(&path, b"changed"); }
            3 => { let _ = tree.disk.remove(&path); }
            4 => { let _ = tree.disk.make_folder(&path); }
            _ => if let Ok(names) = tree.disk.list(&path) {
                prop_assert!(!names.contains(&"outside.txt".to_owned()), "{} was listed", path);
                prop_assert!(!names.contains(&"token".to_owned()), "{} was listed", path);
            },
        }
        tree.guarded_is_whole();
        let mut around: Vec<_> = fs::read_dir(tree.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        around.sort();
        prop_assert_eq!(
            around,
            ["outside.txt", "project", "readonly", "single.txt", "single.txt.bak", "writable"]
        );
    }

    #[test]
    fn no_text_makes_the_host_panic(path in "\\PC{0,60}") {
        let tree = Tree::new();
        let _ = tree.disk.read(&path);
        let _ = tree.disk.info(&path);
    }
}
