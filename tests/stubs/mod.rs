//! Compares the editor stubs and the documented library with what scripts really find: exactly the same members; the
//! same parameters, options and fields (`shapes`); and the calls of all examples (`examples`).
//!
//! Store: file

mod examples;
mod shapes;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

type Modules = BTreeMap<String, BTreeSet<String>>;

/// Returns what each file of the folders declares of the module that it is named after.
fn declared() -> Modules {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut modules = Modules::new();
    for folder in ["stdlib", "stdlib/meta"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "lua") {
                continue;
            }
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let members: BTreeSet<String> =
                text.lines().filter_map(|line| declaration(line, &name)).map(str::to_owned).collect();
            if !members.is_empty() {
                assert!(modules.insert(name.clone(), members).is_none(), "two files declare `{name}`");
            }
        }
    }
    modules
}

/// Returns the member that a line declares: `function name.member(…)` or `name.member = …`.
fn declaration<'a>(line: &'a str, module: &str) -> Option<&'a str> {
    let (line, ends) = match line.strip_prefix("function ") {
        Some(function) => (function, '('),
        None => (line, ' '),
    };
    let member = line.strip_prefix(module)?.strip_prefix('.')?;
    let (member, rest) = member.split_at(member.find(ends)?);
    (ends == '(' || rest.starts_with(" = ")).then_some(member)
}

/// Returns the members that a script finds in each module. Private ones, whose names begin with `_`, are left out.
fn found(names: &BTreeSet<&str>) -> Modules {
    let folder = tempfile::tempdir().unwrap();
    let list: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    let script = format!(
        r#"for _, name in ipairs({{ {} }}) do
             local ok, module = pcall(require, name)
             if ok then
               for member in pairs(module) do
                 if member:sub(1, 1) ~= "_" then print(name .. " " .. member) end
               end
             end
           end"#,
        list.join(", ")
    );
    let file = folder.path().join("members.lua");
    std::fs::write(&file, script).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_mooncast"))
        .current_dir(folder.path())
        .args(["run", "--simulator", "members.lua"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let mut modules = Modules::new();
    for (module, member) in text.lines().filter_map(|line| line.split_once(' ')) {
        modules.entry(module.to_owned()).or_default().insert(member.to_owned());
    }
    modules
}

#[test]
fn what_check_takes_for_defined_is_what_scripts_find() {
    let folder = tempfile::tempdir().unwrap();
    // The linter must not report any of these as undefined, nor any of these limits as unknown.
    let names = "local g, l = {}, {}
        for name in pairs(_ENV) do g[#g + 1] = name end
        for name in pairs(im.limits) do l[#l + 1] = name end
        print('print(' .. table.concat(g, ', ') .. ', im.limits.' .. table.concat(l, ', im.limits.') .. ')')";
    std::fs::write(folder.path().join("names.lua"), names).unwrap();
    let mooncast = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_mooncast"))
            .current_dir(folder.path())
            .args(args)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let uses = mooncast(&["run", "--simulator", "names.lua"]);
    assert!(uses.contains("im.limits.message_bytes") && uses.contains("xpcall"), "{uses}");
    std::fs::write(folder.path().join("uses.lua"), &uses).unwrap();
    let found = mooncast(&["check", "uses.lua"]);
    assert!(found.contains("no problems"), "{uses}{found}");
    let all = "_G _VERSION arg assert coroutine error getmetatable im ipairs load math next os pairs pcall print \
               rawequal rawget rawlen rawset require select setmetatable string table tonumber tostring type utf8 xpcall";
    for name in all.split(' ') {
        assert!(uses.contains(name), "scripts have no `{name}`");
    }
}

#[test]
fn stubs_and_modules_agree() {
    let declared = declared();
    let names: BTreeSet<&str> = declared.keys().map(String::as_str).collect();
    let found = found(&names);
    assert!(found.len() >= 5, "only {:?}", found.keys());
    let differ: Vec<String> = names
        .into_iter()
        .filter(|name| declared.get(*name) != found.get(*name))
        .map(|name| format!("{name}: declared {:?}, found {:?}", declared.get(name), found.get(name)))
        .collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
