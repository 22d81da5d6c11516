//! The program's own variables: `MOONCAST_…`, each also as `MOONCAST_…_FILE` with the path of a file that holds it.

use std::path::PathBuf;

use super::ConfigError;

/// Where variables are looked up; tests give their own.
pub struct Environment(Box<LookUp>);

/// The value of a variable, by its name.
type LookUp = dyn Fn(&str) -> Option<String>;

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Environment")
    }
}

impl Environment {
    /// The process's own variables.
    #[must_use]
    pub fn of_process() -> Self {
        Self(Box::new(|name| std::env::var(name).ok()))
    }

    /// These variables and no others.
    #[must_use]
    pub fn of(variables: Vec<(String, String)>) -> Self {
        Self(Box::new(move |name| {
            variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        }))
    }

    /// The value of a variable. One that is empty counts as not set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    /// The value of `name`, or the content of the file that `name_FILE` names, without white space at its end.
    ///
    /// # Errors
    ///
    /// When both are set, or the file cannot be read.
    pub fn value(&self, name: &str) -> Result<Option<String>, ConfigError> {
        let variable = format!("{name}_FILE");
        match (self.get(name), self.get(&variable)) {
            (Some(_), Some(_)) => {
                Err(ConfigError::invalid(name, format!("{name} and {variable} are both set; unset one")))
            }
            (value, None) => Ok(value),
            (None, Some(path)) => {
                let path = PathBuf::from(path);
                let content = std::fs::read_to_string(&path).map_err(|source| {
                    ConfigError::invalid(&variable, format!("{}: {source}", path.display()))
                })?;
                Ok(Some(content.trim_end().to_owned()))
            }
        }
    }

    /// The files that variables of this program name: scripts must not read them.
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
