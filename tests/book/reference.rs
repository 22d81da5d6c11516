//! The generated pages: the Lua modules from their stubs, the commands from their help.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::Path;

use super::stub::{Entry, File, Kind, Member};
use crate::support::Project;

/// Returns the modules and their files, by their names: the globals and their types, then those in Lua, then those in
/// Rust.
pub fn files() -> Vec<(String, File)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["stdlib", "stdlib/meta"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "lua") {
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                let text = std::fs::read_to_string(&path).unwrap();
                let of_globals = folder == "stdlib/meta" && !text.contains(&format!("\nlocal {name} ="));
                files.push((!of_globals, folder, name, File::read(&text)));
            }
        }
    }
    files.sort_by(|left, right| (left.0, left.1, &left.2).cmp(&(right.0, right.1, &right.2)));
    files.into_iter().map(|(_, _, name, file)| (name, file)).collect()
}

/// Returns the page of the Lua modules.
pub fn lua() -> String {
    let mut page = "# Lua\n\nGenerated from the editor stubs. `im` and `schedule` are globals; load the other modules with `require`.\n".to_owned();
    for (name, file) in files() {
        let title = match name.as_str() {
            "types" => "Tables of im".to_owned(),
            "im" | "schedule" => name.clone(),
            module => format!("require(\"{module}\")"),
        };
        let _ = write!(page, "\n## {title}\n\n{}", prose(&file.head));
        let of_module = |entry: &&Entry| entry.kind == Kind::Class && entry.name == name;
        page.extend(file.entries.iter().filter(of_module).map(|entry| prose(&entry.text)));
        // Functions come before the tables of their arguments.
        let (calls, tables): (Vec<_>, Vec<_>) =
            file.entries.iter().partition(|entry| matches!(entry.kind, Kind::Function | Kind::Value));
        for entry in calls.into_iter().chain(tables) {
            describe(&mut page, entry);
        }
    }
    page
}

fn describe(page: &mut String, entry: &Entry) {
    let own = entry.name.contains(['.', ':']);
    if entry.name.contains("._") || !own || entry.is_inner() {
        return;
    }
    let Entry { name, members, .. } = entry;
    match entry.kind {
        Kind::Function => {
            let optional = |name: &String| members.iter().any(|member| member.name == format!("{name}?"));
            let shown: Vec<String> = entry
                .arguments
                .iter()
                .map(|name| if optional(name) { format!("{name}?") } else { name.clone() })
                .collect();
            let _ = write!(page, "\n### `{name}({})`\n\n{}", shown.join(", "), prose(&entry.text));
            for member in members {
                let Member { name, of, text } = member;
                let _ = writeln!(page, "- `{}`: `{of}`{}", name.trim_end_matches('?'), after(text));
            }
            for returned in &entry.returns {
                let _ = writeln!(page, "- returns `{}`{}", returned.of, after(&returned.text));
            }
            for overload in &entry.overloads {
                let _ = writeln!(page, "- also `{overload}`");
            }
        }
        Kind::Value | Kind::Alias => {
            let _ = write!(page, "\n### `{name}`\n\n{}", prose(&entry.text));
            if !entry.of.is_empty() {
                let _ = writeln!(page, "- `{}`", entry.of);
            }
        }
        Kind::Class => {
            let _ = write!(page, "\n### `{name}`\n\n{}", prose(&entry.text));
            if !entry.of.is_empty() {
                let _ = writeln!(
                    page,
                    "All of `{}`{}",
                    entry.of,
                    if members.is_empty() { "." } else { ", and:\n" }
                );
            }
            if !members.is_empty() {
                page.push_str("| field | type | |\n|---|---|---|\n");
            }
            for Member { name, of, text } in members {
                let cell = |text: &str| text.replace('|', "\\|");
                let _ = writeln!(page, "| `{name}` | `{}` | {} |", cell(of), cell(text));
            }
        }
    }
}

fn after(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// Formats lines of a comment as paragraphs. Indented lines are code.
fn prose(lines: &[String]) -> String {
    let mut text = String::new();
    let mut code = false;
    for line in lines.iter().skip_while(|line| line.is_empty()) {
        let is_code = line.starts_with("  ");
        if is_code != code && !(code && line.is_empty()) {
            text.push_str(if is_code { "```lua,sketch\n" } else { "```\n" });
            code = is_code;
        }
        text.push_str(if is_code { &line[2..] } else { line });
        text.push('\n');
    }
    if code {
        text.push_str("```\n");
    }
    if !text.is_empty() && !text.ends_with("\n\n") {
        text.push('\n');
    }
    text.replace("```lua\n", "```lua,sketch\n")
}

/// Returns the page of the commands.
pub fn commands() -> String {
    let project = Project::new();
    let mut page = "# Commands\n\nGenerated from the `--help` of each command.\n".to_owned();
    let mut next: VecDeque<Vec<String>> = [Vec::new()].into();
    while let Some(words) = next.pop_front() {
        let mut args: Vec<&str> = words.iter().map(String::as_str).collect();
        args.push("--help");
        let help = project.mooncast(&args).exits(0).stdout;
        let name = [vec!["mooncast".to_owned()], words.clone()].concat().join(" ");
        let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
        let _ = write!(page, "\n## {name}\n\n```text\n{}\n```\n", lines.join("\n"));
        for command in subcommands(&lines).into_iter().rev() {
            next.push_front([words.clone(), vec![command]].concat());
        }
    }
    page
}

/// Returns the commands that a help text lists.
fn subcommands(help: &[&str]) -> Vec<String> {
    let list = help.iter().skip_while(|line| **line != "Commands:").skip(1);
    list.take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')))
        .filter_map(|line| line.split(' ').next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}
