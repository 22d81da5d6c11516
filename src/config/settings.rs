//! All settings, merged: flags override the environment, which overrides the file.

use std::path::PathBuf;

use secrecy::SecretString;

use super::file::{self, AppSection};
use super::store::{key_file, store};
use super::{
    AlertSettings, App, ConfigError, Credentials, Environment, Permissions, Project, ScriptLimits,
    ServeSettings,
};

#[derive(Debug)]
pub struct Settings {
    /// The configured apps, the default one first. Empty if none is configured. Offline, the default app exists in
    /// any case, for its limits.
    pub apps: Vec<App>,
    /// The URL of the Postgres server with the ledger, including its credentials. None if the ledger is a file of the
    /// project.
    pub store: Option<SecretString>,
    /// Whether the project's settings select the simulator.
    pub simulator: bool,
    pub scripts: ScriptLimits,
    pub serve: ServeSettings,
    /// What scripts may access.
    pub permissions: Permissions,
    /// The daemon's alerts. None if they are not configured.
    pub alerts: Option<AlertSettings>,
    /// Files that contain credentials. No permission gives access to them.
    pub secret_files: Vec<PathBuf>,
}

/// The address of an app without one. Nothing listens there.
const NOWHERE: &str = "http://localhost:9";

/// The flags for the default app. Credentials are not flags, since every user of the machine can see a process's
/// flags.
#[derive(Debug, Clone, Default)]
pub struct AppFlags {
    pub base_url: Option<String>,
    pub org: Option<String>,
    pub app: Option<String>,
    /// Whether nothing is sent to the service (`--simulator`, a check), so that addresses and credentials may be
    /// missing.
    pub offline: bool,
}

impl Settings {
    /// Reads the project's settings for a command that sends nothing. Credentials may be missing, and there are no
    /// flags.
    pub fn load_offline(project: &Project, environment: &Environment) -> Result<Self, ConfigError> {
        Self::load(project, environment, &AppFlags { offline: true, ..AppFlags::default() })
    }

    /// Reads the project's settings and merges the environment and the flags into them.
    pub fn load(project: &Project, environment: &Environment, flags: &AppFlags) -> Result<Self, ConfigError> {
        let path = project.settings_file();
        let file = file::read(&path)?;
        let mut secret_files = environment.secret_files();
        secret_files.push(path);

        file.scripts.check()?;
        let mut apps = Vec::new();
        let mut default = file.app.unwrap_or_default();
        overlay(&mut default, environment, flags)?;
        let offline = flags.offline || file.simulator;
        apps.extend(make_app("default", "[app]", default, offline)?);
        for (name, section) in file.apps {
            apps.extend(make_app(&name, &format!("[apps.{name}]"), section, offline)?);
        }
        let alerts = file.alerts.settings(environment)?;
        let serve = file.serve.settings(&project.root)?;
        // A certificate's file may also contain its key.
        secret_files.extend(serve.tls.iter().flat_map(|tls| [tls.key.clone(), tls.certificate.clone()]));
        let store = store(file.store, environment)?;
        secret_files.extend(store.as_ref().and_then(key_file));
        Ok(Self {
            apps,
            store,
            simulator: file.simulator,
            scripts: file.scripts,
            serve,
            permissions: file.permissions,
            alerts,
            secret_files,
        })
    }
}

/// Merges the environment and the flags into the file's settings of the default app.
fn overlay(app: &mut AppSection, environment: &Environment, flags: &AppFlags) -> Result<(), ConfigError> {
    let pick =
        |flag: &Option<String>, variable: &str, setting: &mut Option<String>| -> Result<(), ConfigError> {
            if let Some(value) =
                flag.clone().map_or_else(|| environment.value(variable), |flag| Ok(Some(flag)))?
            {
                *setting = Some(value);
            }
            Ok(())
        };
    pick(&flags.base_url, "MOONCAST_BASE_URL", &mut app.base_url)?;
    pick(&flags.org, "MOONCAST_ORG", &mut app.org)?;
    pick(&flags.app, "MOONCAST_APP", &mut app.name)?;
    pick(&None, "MOONCAST_CLIENT_ID", &mut app.client_id)?;
    if let Some(secret) = environment.value("MOONCAST_CLIENT_SECRET")? {
        app.client_secret = Some(secret.into());
        // Credentials from the environment replace those of the file, also those of another kind.
        app.token = None;
    }
    if let Some(token) = environment.value("MOONCAST_TOKEN")? {
        app.token = Some(token.into());
    }
    Ok(())
}

/// Makes the app of a section. Returns None if the section does not identify an app. Offline it returns an app in any
/// case, for its limits.
fn make_app(
    name: &str,
    section_name: &str,
    section: AppSection,
    offline: bool,
) -> Result<Option<App>, ConfigError> {
    let AppSection { base_url, org, name: app, prefix, client_id, client_secret, token, limits, timeouts } =
        section;
    check_limits(section_name, &limits)?;
    if !offline
        && base_url.is_none()
        && prefix.is_none()
        && org.is_none()
        && app.is_none()
        && token.is_none()
        && client_id.is_none()
    {
        return Ok(None);
    }
    let missing =
        |missing, variable| ConfigError::Missing { app: section_name.to_owned(), missing, variable };
    let or_nowhere = |value: Option<String>, name, variable, nowhere: &str| match value {
        None if offline => Ok(nowhere.to_owned()),
        value => value.ok_or_else(|| missing(name, variable)),
    };
    let prefix = if let Some(prefix) = prefix {
        checked_url(section_name, "prefix", &prefix)?
    } else {
        let base = or_nowhere(base_url, "base_url", "MOONCAST_BASE_URL", NOWHERE)?;
        let base = checked_url(section_name, "base_url", &base)?;
        let org = checked_word(section_name, "org", &or_nowhere(org, "org", "MOONCAST_ORG", "none")?)?;
        let app = checked_word(section_name, "name", &or_nowhere(app, "name", "MOONCAST_APP", "none")?)?;
        format!("{base}/{org}/{app}")
    };
    let credentials = match credentials(client_id, client_secret, token) {
        Some(credentials) => credentials,
        None if offline => Credentials::Token(String::new().into()),
        None => {
            return Err(missing(
                "a token, or a client_id with its client_secret,",
                "MOONCAST_CLIENT_ID and MOONCAST_CLIENT_SECRET",
            ));
        }
    };
    Ok(Some(App { name: name.to_owned(), prefix, credentials, limits, timeouts }))
}

fn credentials(
    id: Option<String>,
    secret: Option<SecretString>,
    token: Option<SecretString>,
) -> Option<Credentials> {
    match (token, id, secret) {
        (Some(token), _, _) => Some(Credentials::Token(token)),
        (None, Some(id), Some(secret)) => Some(Credentials::Client { id, secret }),
        _ => None,
    }
}

fn checked_url(section: &str, setting: &str, url: &str) -> Result<String, ConfigError> {
    let refuse =
        |why: &str| Err(ConfigError::invalid(format!("{section} {setting}"), format!("`{url}` {why}")));
    let Some((scheme, rest)) = url.split_once("://") else {
        return refuse("is not an address; an address begins with https://");
    };
    if !matches!(scheme, "http" | "https") {
        return refuse("is neither https:// nor http://");
    }
    if rest.contains('@') || rest.contains('?') || rest.contains('#') || rest.trim_matches('/').is_empty() {
        return refuse("must be a host and a path, without user, query or fragment");
    }
    Ok(url.trim_end_matches('/').to_owned())
}

fn checked_word(section: &str, setting: &str, word: &str) -> Result<String, ConfigError> {
    let fine = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if word.is_empty() || !word.chars().all(fine) {
        let message = format!("`{word}` must be letters, digits, `-`, `_` and `.`");
        return Err(ConfigError::invalid(format!("{section} {setting}"), message));
    }
    Ok(word.to_owned())
}

/// Refuses limits that no script could run with.
fn check_limits(section: &str, limits: &super::AppLimits) -> Result<(), ConfigError> {
    let rates = [
        ("group_per_second", limits.group_per_second),
        ("targeted_per_second", limits.targeted_per_second),
        ("upload_per_second", limits.upload_per_second),
        ("read_per_second", limits.read_per_second),
    ];
    for (name, rate) in rates {
        if rate == 0 {
            let message = "0 a second would send nothing; it must be 1 or more";
            return Err(ConfigError::invalid(format!("{section}.limits {name}"), message));
        }
    }
    if !(limits.share > 0.0 && limits.share <= 1.0) {
        let message = format!("{} must be over 0 and up to 1", limits.share);
        return Err(ConfigError::invalid(format!("{section}.limits share"), message));
    }
    Ok(())
}
