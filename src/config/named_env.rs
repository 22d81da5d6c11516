//! Named environments: `mooncast.NAME.toml` is laid over `mooncast.toml`, with a state folder of its own.

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::ConfigError;

/// The variable that names the environment if the flag `--env` does not.
pub const ENV_VARIABLE: &str = "MOONCAST_ENV";

/// The most characters of a name.
const NAME_LENGTH: usize = 32;

/// The number of colours in which the page shows environments.
const COLOURS: u32 = 6;

/// The name of an environment: 1 to 32 of a-z, 0-9 and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EnvName(String);

impl EnvName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number of its colour, from 0 to 5. It depends on the name alone.
    pub fn colour(&self) -> u32 {
        self.0.bytes().fold(0, |sum: u32, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % COLOURS
    }

    /// The name of the environment's settings file.
    pub fn file_name(&self) -> String {
        format!("mooncast.{}.toml", self.0)
    }

    /// The environment of a settings file. None if the name is not one of such a file.
    fn of_file(name: &OsStr) -> Option<Self> {
        name.to_str()?.strip_prefix("mooncast.")?.strip_suffix(".toml")?.parse().ok()
    }
}

impl fmt::Display for EnvName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for EnvName {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=NAME_LENGTH).contains(&name.len()) && name.bytes().all(letter) {
            return Ok(Self(name.to_owned()));
        }
        let message =
            format!("an environment's name has 1 to {NAME_LENGTH} of a-z, 0-9 and `-`, not {name:?}");
        Err(ConfigError::invalid("--env", message))
    }
}

/// Whether a file is the settings file of some environment, by its name.
pub fn is_env_file(path: &Path) -> bool {
    path.file_name().and_then(EnvName::of_file).is_some()
}

/// Reads the name of an environment whose settings file is in `folder`.
///
/// # Errors
///
/// The name is none, or the folder has no such file. The error lists the files that it has.
pub(super) fn find(name: &str, folder: &Path) -> Result<EnvName, ConfigError> {
    let env: EnvName = name.parse()?;
    if folder.join(env.file_name()).is_file() {
        return Ok(env);
    }
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut known: Vec<String> =
        entries.filter_map(|entry| Some(EnvName::of_file(&entry.file_name())?.file_name())).collect();
    known.sort();
    let known = if known.is_empty() {
        "there is no file of another environment either".to_owned()
    } else {
        format!("there are {}", known.join(", "))
    };
    let message = format!("{} has no {}; {known}", folder.display(), env.file_name());
    Err(ConfigError::invalid(format!("--env {env}"), message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word_and_a_missing_file_is_told_with_those_that_exist() {
        for name in ["staging", "a", "eu-2", &"x".repeat(32)] {
            assert_eq!(name.parse::<EnvName>().unwrap().as_str(), name);
        }
        for name in ["", "Staging", "a b", "../x", "a.b", "ü", "a_b", &"x".repeat(33)] {
            assert!(name.parse::<EnvName>().is_err(), "{name}");
        }
        let folder = tempfile::tempdir().unwrap();
        let refused = |name: &str| find(name, folder.path()).unwrap_err().to_string();
        assert!(refused("staging").contains("has no mooncast.staging.toml; there is no file of another"));
        for file in
            ["mooncast.toml", "mooncast.us.toml", "mooncast.eu.toml", "mooncast.A.toml", "mooncast.x.txt"]
        {
            std::fs::write(folder.path().join(file), "").unwrap();
        }
        assert!(refused("staging").ends_with("there are mooncast.eu.toml, mooncast.us.toml"));
        assert_eq!(find("eu", folder.path()).unwrap().as_str(), "eu");
        assert!(is_env_file(Path::new("/p/mooncast.eu.toml")) && !is_env_file(Path::new("/p/mooncast.toml")));
    }
}
