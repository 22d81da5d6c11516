//! `callback_secret` of `[app]` and `[apps.NAME]`.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

/// The secrets of an app's callback rules. While a secret is changed, the old one and the new one are both valid.
#[derive(Clone, Default)]
pub struct CallbackSecrets(Vec<SecretString>);

impl CallbackSecrets {
    /// Splits a list at commas and white space.
    pub(super) fn listed(text: &str) -> Self {
        let secrets = text.split(|letter: char| letter == ',' || letter.is_whitespace());
        Self(secrets.filter(|secret| !secret.is_empty()).map(SecretString::from).collect())
    }

    pub fn as_slice(&self) -> &[SecretString] {
        &self.0
    }
}

impl fmt::Debug for CallbackSecrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} callback secrets", self.0.len())
    }
}

impl PartialEq for CallbackSecrets {
    fn eq(&self, other: &Self) -> bool {
        let exposed = |secrets: &Self| -> Vec<String> {
            secrets.0.iter().map(|secret| secret.expose_secret().to_owned()).collect()
        };
        exposed(self) == exposed(other)
    }
}

impl<'de> Deserialize<'de> for CallbackSecrets {
    /// Reads one text, or a list of texts. A text is one secret, whatever it contains.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "invalid type: another, expected a text or a list of texts")]
        enum Given {
            One(SecretString),
            Several(Vec<SecretString>),
        }
        let mut secrets = match Given::deserialize(deserializer)? {
            Given::One(secret) => vec![secret],
            Given::Several(secrets) => secrets,
        };
        secrets.retain(|secret| !secret.expose_secret().is_empty());
        Ok(Self(secrets))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Environment, Project, Settings};

    fn settings(text: &str, variables: &[(&str, &str)]) -> Settings {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mooncast.toml"), text).unwrap();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let environment = Environment::of(variables.collect());
        Settings::load_offline(&Project::at(folder.path()).unwrap(), &environment).unwrap()
    }

    #[test]
    fn one_secret_or_several_come_from_the_file_or_the_environment_and_are_never_shown() {
        let file = "[app]\ncallback_secret = 'canary, one'\n[apps.b]\ncallback_secret = ['canary-2', 'canary-3', '']\n";
        let of = |settings: &Settings, app: &str| -> Vec<String> {
            let secrets = settings.callback_secrets[app].as_slice().iter();
            secrets.map(|secret| secrecy::ExposeSecret::expose_secret(secret).to_owned()).collect()
        };
        let plain = settings(file, &[]);
        assert_eq!(of(&plain, "default"), ["canary, one"]);
        assert_eq!(of(&plain, "b"), ["canary-2", "canary-3"]);
        let environment = settings(file, &[("MOONCAST_CALLBACK_SECRET", "canary-4,\n canary-5 ")]);
        assert_eq!(of(&environment, "default"), ["canary-4", "canary-5"]);
        assert_eq!(of(&environment, "b"), ["canary-2", "canary-3"]);
        assert!(of(&settings("", &[]), "default").is_empty());
        assert!(!format!("{plain:?}{environment:?}").contains("canary"));
        assert_eq!(plain.changes(&environment).live, ["callback_secret"]);
        assert!(plain.changes(&settings(file, &[])).live.is_empty());
        let apps = environment.apps.iter().map(super::super::App::callback_key).collect::<Vec<_>>();
        assert_eq!(apps, [Some("none#none".to_owned()), Some("none#none".to_owned())]);
    }
}
