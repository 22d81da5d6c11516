//! No import cycle between files has more than three files.
//!
//! Store: file

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The most files of a cycle.
const MOST: usize = 3;

/// Finds the files below `src` by the path of their module, without tests.
fn modules(folder: &Path, path: &[String], found: &mut BTreeMap<Vec<String>, PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let file = entry.path();
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        if name == "tests" {
            continue;
        }
        let mut of = path.to_vec();
        if file.is_dir() {
            of.push(name);
            modules(&file, &of, found);
        } else if file.extension().is_some_and(|extension| extension == "rs") {
            if !matches!(name.as_str(), "mod" | "lib" | "main") {
                of.push(name);
            }
            found.insert(of, file);
        }
    }
}

/// Finds the paths of a `use` tree, each with `prefix` before it.
fn leaves(prefix: &[String], tree: &str, found: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    if let Some(list) = tree.strip_prefix('{').and_then(|list| list.strip_suffix('}')) {
        let mut depth = 0_usize;
        let mut start = 0;
        for (at, letter) in list.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    leaves(prefix, &list[start..at], found);
                    start = at + 1;
                }
                _ => {}
            }
        }
        return leaves(prefix, &list[start..], found);
    }
    let (head, rest) = tree.split_once("::").unwrap_or((tree, ""));
    let name = head.split(" as ").next().unwrap().trim();
    if name.is_empty() {
        return;
    }
    let path = [prefix, &[name.to_owned()]].concat();
    if rest.is_empty() { found.push(path) } else { leaves(&path, rest, found) }
}

/// Returns the `use` trees of a file that name parts of this crate.
fn trees(text: &str) -> Vec<String> {
    let code: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap()).collect();
    let code = code.join(" ");
    let mut trees = Vec::new();
    for part in code.split("use ").skip(1) {
        if let Some((tree, _)) = part.split_once(';')
            && ["crate::", "super::", "self::"].iter().any(|start| tree.starts_with(start))
        {
            trees.push(tree.to_owned());
        }
    }
    trees
}

/// Returns what each file imports: the nearest file of the module that a path leads into. A `mod.rs` may name modules
/// below it.
fn imports(modules: &BTreeMap<Vec<String>, PathBuf>) -> BTreeMap<PathBuf, BTreeSet<PathBuf>> {
    let mut all = BTreeMap::new();
    for (module, file) in modules {
        let text = std::fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let mut paths = Vec::new();
        for tree in trees(code) {
            leaves(&[], &tree, &mut paths);
        }
        let edges: &mut BTreeSet<PathBuf> = all.entry(file.clone()).or_default();
        for path in paths {
            let mut base = module.clone();
            let mut rest = path.as_slice();
            match rest[0].as_str() {
                "crate" => {
                    base.clear();
                    rest = &rest[1..];
                }
                "self" => rest = &rest[1..],
                _ => {}
            }
            while rest.first().is_some_and(|word| word == "super") {
                base.pop();
                rest = &rest[1..];
            }
            base.extend_from_slice(rest);
            while !base.is_empty() && !modules.contains_key(&base) {
                base.pop();
            }
            let Some(target) = modules.get(&base).filter(|target| *target != file) else { continue };
            let below = file.ends_with("mod.rs") && target.starts_with(file.parent().unwrap());
            if !below {
                edges.insert(target.clone());
            }
        }
    }
    all
}

/// Returns everything that a file reaches through imports.
fn reached(from: &Path, imports: &BTreeMap<PathBuf, BTreeSet<PathBuf>>) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut left = vec![from.to_owned()];
    while let Some(file) = left.pop() {
        for next in imports.get(&file).into_iter().flatten() {
            if found.insert(next.clone()) {
                left.push(next.clone());
            }
        }
    }
    found
}

#[test]
fn a_circle_of_imports_has_three_files_at_most() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = BTreeMap::new();
    modules(&src, &[], &mut files);
    assert!(files.len() > 50, "only {} files found", files.len());
    let imports = imports(&files);
    let reach: BTreeMap<&PathBuf, BTreeSet<PathBuf>> =
        imports.keys().map(|file| (file, reached(file, &imports))).collect();
    let mut circles = BTreeSet::new();
    for (file, others) in &reach {
        let circle: BTreeSet<String> = others
            .iter()
            .filter(|other| reach.get(other).is_some_and(|back| back.contains(*file)))
            .map(|other| other.strip_prefix(&src).unwrap().display().to_string())
            .collect();
        if circle.len() > MOST {
            circles.insert(circle);
        }
    }
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn a_use_tree_is_read_over_several_lines() {
    let text = "use crate::{\n    a::{b, c::{d as e, f}},\n    // not g\n    h,\n};\nuse std::fmt;\npub use super::i::J;\n";
    let mut paths = Vec::new();
    for tree in trees(text) {
        leaves(&[], &tree, &mut paths);
    }
    let paths: Vec<String> = paths.iter().map(|path| path.join("::")).collect();
    assert_eq!(paths, ["crate::a::b", "crate::a::c::d", "crate::a::c::f", "crate::h", "super::i::J"]);
}
