//! The environment variables that scripts may use: some they may read, some the host only fills in as secrets.

use std::ffi::OsString;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use secrecy::{ExposeSecret, SecretString};

use crate::client;
use crate::config::{ALERT_VARIABLES, Permissions};
use crate::protocol::{FailureKind, RequestFailure};

/// The program's own credentials beside those of alerts. No permission grants these variables, nor the variables of the
/// same names with `_FILE`.
const OWN: [&str; 6] = [
    "MOONCAST_CLIENT_SECRET",
    "MOONCAST_TOKEN",
    "MOONCAST_CLIENT_ID",
    "MOONCAST_STORE",
    "MOONCAST_CALLBACK_SECRET",
    "MOONCAST_APP_CERTIFICATE",
];

/// Looks up a variable by name.
type VariableSource = Box<dyn Fn(&str) -> Option<OsString> + Send + Sync>;

/// The variables that the permissions grant: `NAME`, or `PREFIX_*` for all variables with that prefix.
pub struct GrantedVariables {
    readable: Vec<String>,
    secrets: Vec<String>,
    lookup: VariableSource,
    /// The secrets that the run has named so far.
    named: Mutex<Vec<SecretString>>,
}

impl fmt::Debug for GrantedVariables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variables")
            .field("readable", &self.readable)
            .field("secrets", &self.secrets)
            .finish_non_exhaustive()
    }
}

impl GrantedVariables {
    /// Uses the variables of this process, as far as the permissions grant them.
    pub fn new(permissions: &Permissions) -> Self {
        Self::with(permissions, Box::new(|name| std::env::var_os(name)))
    }

    /// Uses another source of variables, for tests.
    pub(super) fn with(permissions: &Permissions, lookup: VariableSource) -> Self {
        Self {
            readable: permissions.env.clone(),
            secrets: permissions.secrets.clone(),
            lookup,
            named: Mutex::default(),
        }
    }

    /// Returns the value of a variable, or `None` if it is not set.
    ///
    /// # Errors
    ///
    /// `denied` unless the variable is granted. A variable that is granted as a secret cannot be read, even if `env`
    /// grants it too.
    pub fn get(&self, name: &str) -> Result<Option<String>, RequestFailure> {
        check_name(name)?;
        if grants(&self.secrets, name) {
            return Err(denied(format!(
                "the variable {name} is a secret; env.secret(\"{name}\") gives a handle to it"
            )));
        }
        if !grants(&self.readable, name) {
            return Err(denied(format!(
                "the variable {name} is not granted; to grant it: `[permissions] env = [\"{name}\"]` or --allow-env={name}"
            )));
        }
        self.value(name)
    }

    /// Returns the value of a secret, which the host fills into requests.
    ///
    /// # Errors
    ///
    /// `denied` unless the secret is granted; `invalid` when it is not set.
    pub fn secret(&self, name: &str) -> Result<SecretString, RequestFailure> {
        check_name(name)?;
        if !grants(&self.secrets, name) {
            return Err(denied(format!(
                "the secret {name} is not granted; to grant it: `[permissions] secrets = [\"{name}\"]`"
            )));
        }
        let value = self.value(name)?.filter(|value| !value.is_empty());
        if let Some(value) = &value {
            let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
            if named.iter().all(|known| known.expose_secret() != value) {
                named.push(SecretString::from(value.as_str()));
            }
        }
        value.map(SecretString::from).ok_or_else(|| {
            RequestFailure::invalid(
                "name",
                format!("the secret {name} is granted, but the variable is not set"),
            )
        })
    }

    /// Hides the secrets that the run has named in a text. Another service can repeat one in its answer.
    pub fn hide_secrets(&self, text: &mut String) {
        let named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let named: Vec<&str> = named.iter().map(ExposeSecret::expose_secret).collect();
        client::hide(text, &named);
    }

    fn value(&self, name: &str) -> Result<Option<String>, RequestFailure> {
        (self.lookup)(name)
            .map(|value| {
                value.into_string().map_err(|_| {
                    RequestFailure::invalid(
                        "name",
                        format!("the variable {name} holds bytes that are not UTF-8"),
                    )
                })
            })
            .transpose()
    }
}

fn check_name(name: &str) -> Result<(), RequestFailure> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if name.is_empty() || name.len() > 256 || !name.chars().all(plain) {
        let message = "a variable's name is made of letters, digits and `_`";
        return Err(RequestFailure::invalid("name", message));
    }
    let bare = name.strip_suffix("_FILE").unwrap_or(name);
    if OWN.contains(&bare) || name.starts_with(ALERT_VARIABLES) {
        return Err(denied(format!(
            "{name} is a variable of Mooncast itself; no permission lets scripts read it"
        )));
    }
    Ok(())
}

fn grants(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    })
}

fn denied(message: String) -> RequestFailure {
    RequestFailure { field: Some("name".into()), ..RequestFailure::new(FailureKind::Denied, message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(env: &[&str], secrets: &[&str]) -> GrantedVariables {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let permissions = Permissions { env: owned(env), secrets: owned(secrets), ..Permissions::default() };
        GrantedVariables::with(
            &permissions,
            Box::new(|name| match name {
                "EMPTY" => Some(OsString::new()),
                "MISSING" => None,
                name => Some(OsString::from(format!("value of {name}"))),
            }),
        )
    }

    #[test]
    fn only_what_is_granted_is_read() {
        let granted = variables(&["CITY", "SHOP_*", "MISSING"], &[]);
        assert_eq!(granted.get("CITY").unwrap().as_deref(), Some("value of CITY"));
        assert_eq!(granted.get("SHOP_NAME").unwrap().as_deref(), Some("value of SHOP_NAME"));
        assert_eq!(granted.get("MISSING").unwrap(), None);
        for name in ["HOME", "city", "CITY_", "SHOP", "XSHOP_NAME"] {
            let failure = granted.get(name).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Denied, "{name}");
            assert!(failure.message.contains(&format!("--allow-env={name}")), "{}", failure.message);
        }
    }

    #[test]
    fn the_hosts_own_credentials_are_never_granted() {
        let all = variables(&["*"], &[]);
        let secrets = variables(&[], &["*"]);
        let alerts = ["MOONCAST_ALERTS_URL", "MOONCAST_ALERTS_SECRET", "MOONCAST_ALERTS_OPS_URL"];
        for name in OWN.into_iter().chain(alerts) {
            for name in [name.to_owned(), format!("{name}_FILE")] {
                assert_eq!(all.get(&name).unwrap_err().kind, FailureKind::Denied, "{name}");
                assert_eq!(secrets.secret(&name).unwrap_err().kind, FailureKind::Denied, "{name}");
            }
        }
        assert!(all.get("MOONCAST_ORG").is_ok());
    }

    #[test]
    fn a_secret_is_filled_in_and_never_read() {
        let granted = variables(&["*"], &["HOOK_KEY", "EMPTY", "MISSING"]);
        assert_eq!(granted.secret("HOOK_KEY").unwrap().expose_secret(), "value of HOOK_KEY");
        assert_eq!(granted.get("HOOK_KEY").unwrap_err().kind, FailureKind::Denied);
        assert_eq!(granted.secret("CITY").unwrap_err().kind, FailureKind::Denied);
        assert_eq!(granted.secret("MISSING").unwrap_err().kind, FailureKind::Invalid);
        assert_eq!(granted.secret("EMPTY").unwrap_err().kind, FailureKind::Invalid);
        assert!(!format!("{granted:?}").contains("value of"));
    }

    #[test]
    fn names_that_are_none_are_invalid() {
        let all = variables(&["*"], &["*"]);
        for name in ["", "A=B", "A\0B", "A B", "é", &"A".repeat(300)] {
            assert_eq!(all.get(name).unwrap_err().kind, FailureKind::Invalid, "{name:?}");
            assert_eq!(all.secret(name).unwrap_err().kind, FailureKind::Invalid, "{name:?}");
        }
    }
}
