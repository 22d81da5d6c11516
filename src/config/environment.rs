//! The program's own variables: `MOONCAST_…`, each also as `MOONCAST_…_FILE` with the path of a file that contains
//! the value.

use std::path::PathBuf;

use encoding_rs::Encoding;
use zeroize::Zeroizing;

use super::ConfigError;

/// The source of environment variables. Tests give their own.
pub struct Environment(Box<EnvLookup>);

/// Looks up a variable by its name.
type EnvLookup = dyn Fn(&str) -> Option<String>;

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Environment")
    }
}

impl Environment {
    /// Reads the process's own variables.
    pub fn of_process() -> Self {
        Self(Box::new(|name| std::env::var(name).ok()))
    }

    /// Has these variables and no others.
    pub fn of(variables: Vec<(String, String)>) -> Self {
        Self(Box::new(move |name| {
            variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        }))
    }

    /// Returns the value of a variable. An empty one counts as not set.
    pub fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    /// Returns the value of `name`, or the content of the file that `name_FILE` names. The content is trimmed of a
    /// byte order mark and white space. It must be UTF-8, or UTF-16 with a byte order mark.
    pub fn value(&self, name: &str) -> Result<Option<String>, ConfigError> {
        let variable = format!("{name}_FILE");
        match (self.get(name), self.get(&variable)) {
            (Some(_), Some(_)) => {
                Err(ConfigError::invalid(name, format!("{name} and {variable} are both set; unset one")))
            }
            (value, None) => Ok(value),
            (None, Some(path)) => {
                let path = PathBuf::from(path);
                let problem = |what: &dyn std::fmt::Display| {
                    ConfigError::invalid(&variable, format!("{}: {what}", path.display()))
                };
                let content = Zeroizing::new(std::fs::read(&path).map_err(|source| problem(&source))?);
                let text = text(&content).ok_or_else(|| {
                    problem(&"it is neither UTF-8 nor UTF-16 with a byte order mark; save it as plain text")
                })?;
                Ok(Some(text.trim().to_owned()))
            }
        }
    }

    /// Returns the file that the variable `name_FILE` names.
    pub(super) fn file_of(&self, name: &str) -> Option<PathBuf> {
        self.get(&format!("{name}_FILE")).map(PathBuf::from)
    }

    /// Returns the files that variables of this program name. Scripts must not read them.
    pub(super) fn secret_files(&self) -> Vec<PathBuf> {
        [
            "MOONCAST_CLIENT_SECRET_FILE",
            "MOONCAST_TOKEN_FILE",
            "MOONCAST_STORE_FILE",
            "MOONCAST_CLIENT_ID_FILE",
            "MOONCAST_ALERTS_URL_FILE",
            "MOONCAST_ALERTS_SECRET_FILE",
            "MOONCAST_CALLBACK_SECRET_FILE",
            "MOONCAST_APP_CERTIFICATE_FILE",
        ]
        .into_iter()
        .filter_map(|name| self.get(name))
        .map(PathBuf::from)
        .collect()
    }
}

/// Decodes a file's text without its byte order mark.
fn text(content: &[u8]) -> Option<Zeroizing<String>> {
    let (encoding, mark) = Encoding::for_bom(content).unwrap_or((encoding_rs::UTF_8, 0));
    let content = content.get(mark..)?;
    let text = encoding.decode_without_bom_handling_and_without_replacement(content)?;
    Some(Zeroizing::new(text.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_its_value_and_nothing_around_it() {
        let wide = |order: fn(u16) -> [u8; 2]| -> Vec<u8> {
            "\u{feff}s3crét\r\n".encode_utf16().flat_map(order).collect()
        };
        for content in [
            "s3crét".as_bytes().to_vec(),
            "s3crét\n".as_bytes().to_vec(),
            "\u{feff}s3crét\r\n".as_bytes().to_vec(),
            "\u{feff}\r\n s3crét \n\n".as_bytes().to_vec(),
            wide(u16::to_le_bytes),
            wide(u16::to_be_bytes),
        ] {
            assert_eq!(text(&content).unwrap().trim(), "s3crét", "{content:?}");
        }
        assert!(text(b"s3cr\xe9t").is_none());
    }
}
