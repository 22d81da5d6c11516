//! Lists the differences between two versions of the settings, in the file's terms.

use secrecy::ExposeSecret;

use super::{AlertSettings, App, AppLimits, Credentials, Settings};

/// The differences between two versions of the settings.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct SettingsChanges {
    /// Changes that a running daemon applies.
    pub live: Vec<String>,
    /// Changes that need a restart.
    pub restart: Vec<String>,
}

impl Settings {
    /// Returns the differences of `new` from these settings.
    pub fn changes(&self, new: &Self) -> SettingsChanges {
        let mut changes = SettingsChanges::default();
        if self.scripts != new.scripts {
            changes.live.push("[scripts]".to_owned());
        }
        if (self.serve.stop_within, self.serve.keep_audit) != (new.serve.stop_within, new.serve.keep_audit) {
            changes.live.push("[serve]".to_owned());
        }
        if self.serve.public_url != new.serve.public_url {
            changes.live.push("[serve] public_url".to_owned());
        }
        if (&self.serve.user_header, &self.serve.users) != (&new.serve.user_header, &new.serve.users) {
            changes.live.push("[serve] user_header, users".to_owned());
        }
        let named = [
            (self.serve.listen != new.serve.listen, "[serve] listen"),
            (self.serve.roles != new.serve.roles, "[serve] roles"),
            (self.serve.zone != new.serve.zone, "[serve] zone"),
            (self.serve.keep_log != new.serve.keep_log, "[serve] keep_log"),
            (self.serve.hosts != new.serve.hosts, "[serve] hosts"),
            (self.serve.tls != new.serve.tls, "[serve] tls_certificate, tls_key"),
            (self.serve.trusted_proxies != new.serve.trusted_proxies, "[serve] trusted_proxies"),
        ];
        let differing = named.into_iter().filter(|(differs, _)| *differs);
        changes.restart.extend(differing.map(|(_, name)| name.to_owned()));
        if self.permissions != new.permissions {
            changes.live.push("[permissions]".to_owned());
        }
        if self.approval != new.approval {
            changes.live.push("[approval]".to_owned());
        }
        if !AlertSettings::same(&self.alerts, &new.alerts) {
            changes.live.push("[alerts]".to_owned());
        }
        let address =
            |settings: &Self| settings.store.as_ref().map(|address| address.expose_secret().to_owned());
        if address(self) != address(new) {
            changes.restart.push("store".to_owned());
        }
        if self.simulator != new.simulator {
            changes.restart.push("simulator".to_owned());
        }
        if self.callback_secrets != new.callback_secrets {
            changes.live.push("callback_secret".to_owned());
        }
        for app in &self.apps {
            match new.apps.iter().find(|other| other.name == app.name) {
                Some(other) => {
                    app.differences(other, &mut changes.restart);
                    let fields =
                        |app: &App| (app.limits.extra_fields.clone(), app.limits.body_fields.clone());
                    if fields(app) != fields(other) {
                        changes.live.push(format!("{} extra_fields, body_fields", app.section()));
                    }
                    let (extra_fields, body_fields) = fields(other);
                    if (AppLimits { extra_fields, body_fields, ..app.limits.clone() }) != other.limits {
                        changes.live.push(format!("{} limits", app.section()));
                    }
                }
                None => changes.restart.push(format!("{} (removed)", app.section())),
            }
        }
        let added = new.apps.iter().filter(|app| self.apps.iter().all(|other| other.name != app.name));
        changes.restart.extend(added.map(|app| format!("{} (added)", app.section())));
        changes
    }
}

impl App {
    fn section(&self) -> String {
        if self.name == "default" { "[app]".to_owned() } else { format!("[apps.{}]", self.name) }
    }

    fn differences(&self, new: &Self, names: &mut Vec<String>) {
        let section = self.section();
        if self.prefix != new.prefix {
            names.push(format!("{section} address, org or name"));
        }
        if !self.credentials.same(&new.credentials) {
            names.push(format!("{section} credentials"));
        }
        if self.timeouts != new.timeouts {
            names.push(format!("{section} timeouts"));
        }
        if self.records != new.records {
            names.push(format!("{section} history_zone, mark, verify"));
        }
    }
}

impl AlertSettings {
    fn same(some: &[Self], others: &[Self]) -> bool {
        let secret = |alerts: &Self| alerts.secret.as_ref().map(|secret| secret.expose_secret().to_owned());
        let equal = |(one, other): (&Self, &Self)| {
            one.name == other.name
                && one.format == other.format
                && one.language == other.language
                && one.zone == other.zone
                && one.url.expose_secret() == other.url.expose_secret()
                && secret(one) == secret(other)
                && one.events == other.events
                && one.after == other.after
        };
        some.len() == others.len() && some.iter().zip(others).all(equal)
    }
}

impl Credentials {
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Token(one), Self::Token(two)) => one.expose_secret() == two.expose_secret(),
            (Self::Client { id, secret }, Self::Client { id: other_id, secret: other }) => {
                id == other_id && secret.expose_secret() == other.expose_secret()
            }
            (
                Self::Agora { app_id, certificate, login },
                Self::Agora { app_id: other_id, certificate: other, login: other_login },
            ) => {
                app_id == other_id
                    && certificate.expose_secret() == other.expose_secret()
                    && login == other_login
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Environment, Project, Settings};

    fn settings(text: &str) -> Settings {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mooncast.toml"), text).unwrap();
        let nothing = Environment::of(Vec::new());
        Settings::load_offline(&Project::at(folder.path()).unwrap(), &nothing).unwrap()
    }

    #[test]
    fn each_change_is_named_where_it_belongs() {
        let before = "[alerts]\nurl = \"https://host/a\"\nsecret = \"x\"\n";
        let live = |after: &str| settings(before).changes(&settings(after)).live;
        assert!(live(before).is_empty());
        for after in [
            "",
            "[alerts]\nurl = \"https://host/b\"\nsecret = \"x\"\n",
            "[alerts]\nurl = \"https://host/a\"\nsecret = \"y\"\n",
            "[alerts]\nurl = \"https://host/a\"\nsecret = \"x\"\nafter = \"1h\"\n",
            "[alerts]\nurl = \"https://host/a\"\nsecret = \"x\"\nevents = [\"stale\"]\n",
        ] {
            assert_eq!(live(after), ["[alerts]"], "{after}");
        }
        let server = |password: &str| settings(&format!("store = \"postgres://u:{password}@h/db\"\n"));
        assert!(server("a").changes(&server("a")).restart.is_empty());
        assert_eq!(server("a").changes(&server("b")).restart, ["store"]);
        assert_eq!(
            server("a").changes(&settings("[serve]\nroles = [\"page\"]\n")).restart,
            ["[serve] roles", "store"]
        );
        let live = settings("").changes(&settings("[scripts]\ncpu = \"3s\"\n[permissions]\nenv = [\"A\"]\n"));
        assert_eq!(
            (live.live, live.restart),
            (vec!["[scripts]".to_owned(), "[permissions]".to_owned()], vec![])
        );
    }
}
