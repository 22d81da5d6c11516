//! The settings of an app that authorise its calls.

use secrecy::{ExposeSecret, SecretString};

use super::{AgoraLogin, ConfigError, Credentials};

/// The number of hex digits of an App ID and of an App Certificate.
const DIGITS: usize = 32;

/// The credentials in `[app]` or `[apps.NAME]`, as they were set.
pub(super) struct LoginSection {
    pub(super) app_id: Option<String>,
    pub(super) app_certificate: Option<SecretString>,
    pub(super) login: Option<AgoraLogin>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<SecretString>,
    pub(super) token: Option<SecretString>,
}

impl LoginSection {
    /// Whether no credentials are set.
    pub(super) const fn is_empty(&self) -> bool {
        self.app_id.is_none() && self.client_id.is_none() && self.token.is_none()
    }

    /// Refuses credentials of two kinds, and those of Agora that cannot be right. No error shows a certificate.
    pub(super) fn check(&self, section: &str) -> Result<(), ConfigError> {
        let invalid = |setting: &str, message: String| {
            Err(ConfigError::invalid(format!("{section} {setting}"), message))
        };
        if self.app_id.is_some() && (self.client_id.is_some() || self.client_secret.is_some()) {
            let message = "an app_id and a client_id or client_secret are both set; remove one: an app of Agora has an app_id and an app_certificate, an app of Easemob a client_id and a client_secret";
            return invalid("app_id", message.to_owned());
        }
        if let Some(app_id) = &self.app_id
            && !is_hex(app_id)
        {
            let message = format!(
                "`{app_id}` is not an App ID, which has {DIGITS} hex digits; copy it from Agora's console"
            );
            return invalid("app_id", message);
        }
        if let Some(certificate) = &self.app_certificate {
            let certificate = certificate.expose_secret();
            if !is_hex(certificate) {
                let count = certificate.chars().count();
                let message = format!(
                    "an App Certificate has {DIGITS} hex digits, and this value of {count} characters is none; copy it from Agora's console"
                );
                return invalid("app_certificate", message);
            }
            if self.app_id.is_none() {
                let message = "an App Certificate is set without its App ID; set app_id, or MOONCAST_APP_ID";
                return invalid("app_certificate", message.to_owned());
            }
        }
        if self.login.is_some() && self.app_id.is_none() {
            let message = "only an app with an app_id has this setting; remove it, or set app_id";
            return invalid("login", message.to_owned());
        }
        Ok(())
    }

    /// The credentials to use. A fixed token wins over the others. Offline they may be missing.
    pub(super) fn credentials(self, section: &str, offline: bool) -> Result<Credentials, ConfigError> {
        let missing = |missing, variable| ConfigError::Missing { app: section.to_owned(), missing, variable };
        match self {
            Self { token: Some(token), .. } => Ok(Credentials::Token(token)),
            Self { app_id: Some(app_id), app_certificate: Some(certificate), login, .. } => {
                Ok(Credentials::Agora { app_id, certificate, login: login.unwrap_or_default() })
            }
            Self { client_id: Some(id), client_secret: Some(secret), .. } => {
                Ok(Credentials::Client { id, secret })
            }
            _ if offline => Ok(Credentials::Token(String::new().into())),
            Self { app_id: Some(_), .. } => {
                Err(missing("the app_certificate of its app_id", "MOONCAST_APP_CERTIFICATE"))
            }
            _ => Err(missing(
                "a token, or a client_id with its client_secret, or an app_id with its app_certificate,",
                "MOONCAST_CLIENT_ID and MOONCAST_CLIENT_SECRET",
            )),
        }
    }
}

fn is_hex(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::super::{AppFlags, Environment, Project, Settings};
    use super::*;

    const ID: &str = "0123456789abcdef0123456789ABCDEF";
    const CERTIFICATE: &str = "fedcba9876543210fedcba9876543210";

    fn load(text: &str, variables: &[(&str, &str)], offline: bool) -> Result<Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mooncast.toml"), text).unwrap();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let environment = Environment::of(variables.collect());
        let flags = AppFlags { offline, ..AppFlags::default() };
        let settings = Settings::load(&Project::at(folder.path()).unwrap(), &environment, &flags);
        settings.map_err(|error| error.to_string())
    }

    #[test]
    fn an_app_id_is_an_address_and_with_its_certificate_a_login() {
        let base = format!("[app]\nbase_url = 'https://a61.chat.agora.io/'\napp_id = '{ID}'\n");
        let variable = [("MOONCAST_APP_CERTIFICATE", CERTIFICATE)];
        let settings = load(&base, &variable, false).unwrap();
        let app = &settings.apps[0];
        assert_eq!(app.prefix, format!("https://a61.chat.agora.io/app-id/{ID}"));
        assert_eq!(app.callback_key(), None);
        let Credentials::Agora { app_id, certificate, login } = &app.credentials else { panic!("{app:?}") };
        assert_eq!(
            (app_id.as_str(), certificate.expose_secret(), *login),
            (ID, CERTIFICATE, AgoraLogin::Exchange)
        );
        assert!(!format!("{settings:?}").contains(CERTIFICATE));

        let older =
            load(&format!("{base}org = '41'\nname = '7'\nlogin = 'direct'\n"), &variable, false).unwrap();
        assert_eq!(older.apps[0].prefix, "https://a61.chat.agora.io/41/7");
        assert_eq!(older.apps[0].callback_key().as_deref(), Some("41#7"));
        assert!(matches!(older.apps[0].credentials, Credentials::Agora { login: AgoraLogin::Direct, .. }));
        assert_eq!(settings.changes(&older).restart, ["[app] address, org or name", "[app] credentials"]);

        let token = load(&base, &[("MOONCAST_TOKEN", "t")], false).unwrap();
        assert!(matches!(token.apps[0].credentials, Credentials::Token(_)));
        assert!(load(&base, &[], true).is_ok());
    }

    #[test]
    fn what_cannot_be_an_agora_login_is_refused_and_no_certificate_is_shown() {
        let id = format!("app_id = '{ID}'\n");
        for (text, variables, expected) in [
            (
                id.clone(),
                vec![],
                "[app]: the app_certificate of its app_id is not set; set it in mooncast.toml or as MOONCAST_APP_CERTIFICATE",
            ),
            (
                String::new(),
                vec![("MOONCAST_APP_CERTIFICATE", CERTIFICATE)],
                "[app] app_certificate: an App Certificate is set without its App ID; set app_id, or MOONCAST_APP_ID",
            ),
            (
                format!("{id}client_id = 'x'\n"),
                vec![("MOONCAST_APP_CERTIFICATE", CERTIFICATE)],
                "[app] app_id: an app_id and a client_id or client_secret are both set; remove one",
            ),
            (id.clone(), vec![("MOONCAST_CLIENT_SECRET", "x")], "are both set; remove one"),
            ("app_id = 'my-app'\n".to_owned(), vec![], "`my-app` is not an App ID, which has 32 hex digits"),
            (
                id.clone(),
                vec![("MOONCAST_APP_CERTIFICATE", "CANARY")],
                "has 32 hex digits, and this value of 6 characters is none",
            ),
            (
                id.clone(),
                vec![("MOONCAST_APP_CERTIFICATE", "CANARYg9876543210fedcba9876543210")],
                "this value of 33 characters is none",
            ),
            (
                "client_id = 'x'\nlogin = 'direct'\n".to_owned(),
                vec![],
                "[app] login: only an app with an app_id has this setting",
            ),
            (
                format!("{id}login = 'maybe'\n"),
                vec![],
                "unknown variant `maybe`, expected `exchange` or `direct`",
            ),
        ] {
            let error =
                load(&format!("[app]\nbase_url = 'https://x'\n{text}"), &variables, false).unwrap_err();
            assert!(error.contains(expected), "{text}{variables:?}\n{error}");
            assert!(!error.contains(CERTIFICATE) && !error.contains("CANARY"), "{error}");
        }
    }
}
