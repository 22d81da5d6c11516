//! Paths that leave the project, given to every function that takes a path.
//!
//! Store: file

use std::os::unix::fs::symlink;

use crate::support::Project;

/// Each is refused by `fs.read`, `fs.write`, `fs.list`, `im.upload` and, as a name, by `require`.
const ATTACKS: &[&str] = &[
    "../canary.txt",
    "../../canary.txt",
    "scripts/../../canary.txt",
    "./../canary.txt",
    "..",
    "/etc/passwd",
    "//etc/passwd",
    "/proc/self/environ",
    "/proc/self/mem",
    "/proc/1/environ",
    "/dev/zero",
    "/dev/stdin",
    "/dev/tty",
    "link-out",
    "link-out/passwd",
    "link-file",
    "link-loop",
    "link-state/token",
    "hard-link",
    ".mooncast",
    ".mooncast/token",
    "./.mooncast/token",
    "scripts/../.mooncast/token",
    ".mooncast/../.mooncast/token",
    "mooncast.toml",
    "./mooncast.toml",
    ".env",
    ".env.production",
    ".git/config",
    "pipe",
    "",
    "a\\0b",
    "../canary.txt\\0.png",
    "~/.ssh/id_rsa",
    "file:///etc/passwd",
    "C:\\\\Windows\\\\win.ini",
    "..\\\\canary.txt",
    "%2e%2e/canary.txt",
    "....//canary.txt",
];

#[test]
fn no_path_leads_out_or_to_what_is_the_hosts() {
    assert!(ATTACKS.len() >= 30);
    let outer = Project::new().file("canary.txt", "CANARY-OUTSIDE");
    std::fs::create_dir_all(outer.path("project")).unwrap();
    let root = outer.path("project");
    let write = |path: &str, text: &str| {
        std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        std::fs::write(root.join(path), text).unwrap();
    };
    write(".mooncast/token", "CANARY-TOKEN");
    write("mooncast.toml", "simulator = true\n# CANARY-SETTINGS\n");
    write(".env", "CANARY-ENV");
    write(".env.production", "CANARY-ENV");
    write(".git/config", "CANARY-GIT");
    write("fine.txt", "fine");
    symlink("/etc", root.join("link-out")).unwrap();
    symlink(outer.path("canary.txt"), root.join("link-file")).unwrap();
    symlink("link-loop", root.join("link-loop")).unwrap();
    symlink(".mooncast", root.join("link-state")).unwrap();
    std::fs::hard_link(root.join(".mooncast/token"), root.join("hard-link")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, root.join("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();

    let list: Vec<String> = ATTACKS.iter().map(|path| format!("\"{path}\"")).collect();
    let script = format!(
        r#"local fs = require("fs")
        local attacks = {{ {} }}
        local calls = {{
          read = fs.read, list = fs.list, upload = im.upload, require = require, remove = fs.remove,
          write = function(path) return fs.write(path, "OVERWRITTEN") end,
        }}
        for _, path in ipairs(attacks) do
          for _, name in ipairs {{ "read", "list", "upload", "require", "write", "remove" }} do
            local call = calls[name]
            local ok, result = pcall(call, path)
            local kind = type(result) == "table" and result.kind
            if ok and not (name == "write" or name == "remove") then
              print("REACHED", name, path)
            elseif not ok and kind ~= "denied" and kind ~= "invalid" then
              print("STRANGE", name, path, tostring(result))
            end
          end
        end
        assert(fs.read("fine.txt") == "fine")
        print("done")"#,
        list.join(", ")
    );
    write("scripts/main.lua", &script);
    let project = root.to_str().unwrap();
    let file = format!("{project}/scripts/main.lua");
    let ran =
        outer.mooncast(&["run", "--simulator", "--project", project, "--timeout", "60s", &file]).exits(0);
    assert_eq!(ran.stdout.trim(), "done", "{ran:#?}");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    assert_eq!(std::fs::read_to_string(outer.path("canary.txt")).unwrap(), "CANARY-OUTSIDE");
    assert_eq!(read(".mooncast/token"), "CANARY-TOKEN");
    assert_eq!(read(".env"), "CANARY-ENV");
    assert_eq!(read(".git/config"), "CANARY-GIT");
    assert!(read("mooncast.toml").contains("CANARY-SETTINGS"));
    assert!(read("scripts/main.lua").contains("local attacks"));
}
