//! Compares file names as a file system does that ignores case or drops characters.

use std::ffi::OsStr;
use std::path::Path;

use crate::config::{FILE_NAME, STATE_FOLDER, is_env_file};

/// The folder of the version control: its settings can hold credentials, and its hooks are programs.
pub(super) const REPOSITORY: &str = ".git";

/// The prefix of the names of files that hold secrets.
pub(super) const DOTENV: &str = ".env";

/// The project's folders of scripts.
pub(super) const CODE: [&str; 2] = ["scripts", "stdlib"];

/// The suffix of a script's name.
const LUA: &str = ".lua";

/// The short names that an 8.3 file system gives to the host's own files, without their number.
const SHORT: [&str; 4] = ["moonca", "git", "env", "gitmod"];

/// Maps all names that some file system considers equal to one name: it folds case, and removes invisible characters,
/// dots and spaces at the end, and the name of an NTFS stream.
pub(super) fn folded(name: &OsStr) -> String {
    let name = name.to_string_lossy();
    let name = name.split_once(':').map_or(&*name, |(before, _)| before);
    let visible = name.chars().filter(|letter| !is_ignorable(*letter));
    // Through upper case, because `ſ` and `K` (the Kelvin sign) then become the ordinary letters `s` and `k`.
    let folded: String = visible.flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect();
    folded.trim_end_matches(['.', ' ']).to_owned()
}

/// Whether scripts can never reach a file of this name, in any granted folder.
pub(super) fn is_hosts(name: &OsStr) -> bool {
    let name = folded(name);
    name == STATE_FOLDER
        || name == FILE_NAME
        || is_env_file(Path::new(&name))
        || name == REPOSITORY
        || name.starts_with(DOTENV)
        || is_short_of_hosts(&name)
}

/// Whether this is the name of a script or a module.
pub(super) fn is_lua(name: &OsStr) -> bool {
    folded(name).ends_with(LUA)
}

/// Whether this is the name of a folder of scripts, if it stands in the project's folder.
pub(super) fn is_code(name: &OsStr) -> bool {
    CODE.contains(&folded(name).as_str())
}

/// Whether the name begins with a dot, like those of tools' settings (`.github`, `.vscode`).
pub(super) fn is_hidden(name: &OsStr) -> bool {
    folded(name).starts_with('.')
}

/// Whether this is a short name of one of the host's files: `MOONCA~1` is `.mooncast`, `GIT~1` is `.git`.
fn is_short_of_hosts(folded: &str) -> bool {
    folded.split_once('~').is_some_and(|(before, number)| {
        SHORT.contains(&before) && number.starts_with(|letter: char| letter.is_ascii_digit())
    })
}

/// Characters that HFS+ ignores in comparisons, and others that are invisible.
const fn is_ignorable(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_that_a_file_system_may_take_for_the_hosts_own_is_known() {
        for name in [
            ".mooncast",
            ".Mooncast",
            ".MOONCAST",
            ".mooncast.",
            ".mooncast. .",
            ".moon\u{200c}cast",
            ".mooncaſt",
            "mooncast.toml",
            "MoonCast.TOML",
            "mooncast.toml::$DATA",
            "mooncast.staging.toml",
            "Mooncast.EU-2.Toml",
            ".git",
            ".GIT",
            ".g\u{200d}it",
            "GIT~1",
            ".git::$INDEX_ALLOCATION",
            ".env",
            ".Env",
            ".ENV.local",
            ".env.production",
            "MOONCA~1",
            "moonca~2.tom",
            "ENV~1",
        ] {
            assert!(is_hosts(OsStr::new(name)), "{name}");
        }
        for name in [
            "mooncast",
            "mooncast.csv",
            "mooncast.list.csv",
            ".github",
            ".gitignore",
            "git",
            "env",
            "environment.csv",
            "a~1",
            "gito~1",
            "data",
        ] {
            assert!(!is_hosts(OsStr::new(name)), "{name}");
        }
        for name in ["scripts", "Scripts", "SCRIPTS.", "ſcripts", "stdlib", "StdLib"] {
            assert!(is_code(OsStr::new(name)), "{name}");
        }
        for name in ["a.lua", "A.LUA", "a.lua.", "a.Lua ", "a.lua:x"] {
            assert!(is_lua(OsStr::new(name)), "{name}");
        }
        assert!(!is_lua(OsStr::new("a.luac")) && !is_lua(OsStr::new("lua")));
    }
}
