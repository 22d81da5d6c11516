//! All settings, merged: flags override the environment, which overrides the file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::address::canonical_address;
use super::app::{APP_ID_PATH, NOWHERE};
use super::file::{self, AppAddress, AppSection};
use super::login::LoginSection;
use super::store::{STORE_VARIABLE, key_file, store};
use super::{
    AlertSettings, App, ApprovalRules, CallbackSecrets, ConfigError, Environment, Permissions, Project,
    RecordSettings, ScriptLimits, ServeSettings,
};

#[derive(Debug)]
pub struct Settings {
    /// The configured apps, the default one first. Empty if none is configured. Offline, the default app exists in
    /// any case, for its limits.
    pub apps: Vec<App>,
    /// The secrets of the service's callbacks, by the name of the app. An app without secrets accepts none.
    pub callback_secrets: BTreeMap<String, CallbackSecrets>,
    /// The URL of the Postgres server with the ledger, including its credentials. None if the ledger is a file of the
    /// project.
    pub store: Option<SecretString>,
    /// Whether the project's settings select the simulator.
    pub simulator: bool,
    pub scripts: ScriptLimits,
    pub serve: ServeSettings,
    /// What scripts may access.
    pub permissions: Permissions,
    /// The broadcasts that another person must approve.
    pub approval: ApprovalRules,
    /// The receivers of the daemon's alerts.
    pub alerts: Vec<AlertSettings>,
    /// For each receiver without an address, by its name: what to set.
    pub alerts_without_url: BTreeMap<String, String>,
    /// Files that contain credentials. No permission gives access to them.
    pub secret_files: Vec<PathBuf>,
}

/// The most bytes of a name in `extra_fields` and `body_fields`.
const FIELD_NAME_BYTES: usize = 64;

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
        let mut file = file::read(project)?;
        let mut secret_files = environment.secret_files();
        secret_files.push(project.settings_file());
        secret_files.extend(project.env_file());

        file.scripts.check()?;
        file.approval.check()?;
        if file.apps.contains_key("default") {
            let message = "`default` is the name of the app in [app]; give this app another name";
            return Err(ConfigError::invalid("[apps.default]", message));
        }
        let mut apps = Vec::new();
        let mut default = file.app.unwrap_or_default();
        if let Some(path) = project.env_file() {
            check_env_address(&file.env_address, &path, environment, flags)?;
        }
        overlay(&mut default, environment, flags)?;
        let offline = flags.offline || file.simulator;
        let sections = std::iter::once(("default", &mut default))
            .chain(file.apps.iter_mut().map(|(name, section)| (name.as_str(), section)));
        let callback_secrets = sections
            .map(|(name, section)| (name.to_owned(), std::mem::take(&mut section.callback_secret)))
            .collect();
        apps.extend(make_app("default", "[app]", default, offline)?);
        for (name, section) in file.apps {
            apps.extend(make_app(&name, &format!("[apps.{name}]"), section, offline)?);
        }
        secret_files.extend(file.alerts.secret_files(environment));
        let zone = file.serve.zone();
        let (alerts, alerts_without_url) = file.alerts.settings(environment, zone.as_deref())?;
        let serve = file.serve.settings(&project.root)?;
        // A certificate's file may also contain its key.
        secret_files.extend(serve.tls.iter().flat_map(|tls| [tls.key.clone(), tls.certificate.clone()]));
        if file.store_is_of_all && environment.value(STORE_VARIABLE)?.is_none() {
            let file = project.env_file().unwrap_or_default();
            let message = format!(
                "it is that of mooncast.toml, and an environment has a ledger of its own; set `store` in {} too",
                file.display()
            );
            return Err(ConfigError::invalid("store", message));
        }
        let store = store(file.store, environment)?;
        secret_files.extend(store.as_ref().and_then(key_file));
        Ok(Self {
            apps,
            callback_secrets,
            store,
            simulator: file.simulator,
            scripts: file.scripts,
            serve,
            permissions: file.permissions,
            approval: file.approval,
            alerts,
            alerts_without_url,
            secret_files,
        })
    }
}

/// Refuses a variable that names another app than the file of the chosen environment: one of the two is not meant. A flag is
/// meant.
fn check_env_address(
    address: &AppAddress,
    path: &Path,
    environment: &Environment,
    flags: &AppFlags,
) -> Result<(), ConfigError> {
    let parts = [
        ("base_url", "MOONCAST_BASE_URL", &address.base_url, &flags.base_url),
        ("org", "MOONCAST_ORG", &address.org, &flags.org),
        ("name", "MOONCAST_APP", &address.name, &flags.app),
        ("app_id", "MOONCAST_APP_ID", &address.app_id, &None),
    ];
    for (setting, variable, of_file, flag) in parts {
        let (Some(of_file), None) = (of_file, flag) else { continue };
        match environment.value(variable)? {
            Some(value) if canonical_address(&value) != canonical_address(of_file) => {
                let message = format!(
                    "it is `{value}`, but `{setting}` in {} is `{of_file}`; unset {variable} to send to the app of this \
                     environment",
                    path.display()
                );
                return Err(ConfigError::invalid(variable, message));
            }
            _ => {}
        }
    }
    Ok(())
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
    pick(&None, "MOONCAST_APP_ID", &mut app.app_id)?;
    if let Some(certificate) = environment.value("MOONCAST_APP_CERTIFICATE")? {
        app.app_certificate = Some(certificate.into());
        app.token = None;
    }
    if let Some(token) = environment.value("MOONCAST_TOKEN")? {
        app.token = Some(token.into());
    }
    if let Some(secrets) = environment.value("MOONCAST_CALLBACK_SECRET")? {
        app.callback_secret = CallbackSecrets::listed(&secrets);
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
    let AppSection {
        base_url,
        org,
        name: app,
        prefix,
        app_id,
        app_certificate,
        login,
        client_id,
        client_secret,
        token,
        mut limits,
        extra_fields,
        body_fields,
        timeouts,
        history_zone,
        mark,
        verify,
        callback_secret: _,
    } = section;
    check_limits(section_name, &limits)?;
    check_field_names(section_name, "extra_fields", &extra_fields)?;
    check_field_names(section_name, "body_fields", &body_fields)?;
    limits.extra_fields = extra_fields;
    limits.body_fields = body_fields;
    let login = LoginSection { app_id, app_certificate, login, client_id, client_secret, token };
    login.check(section_name)?;
    if !offline
        && base_url.is_none()
        && prefix.is_none()
        && org.is_none()
        && app.is_none()
        && login.is_empty()
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
        if let (Some(app_id), None, None) = (&login.app_id, &org, &app) {
            format!("{base}/{APP_ID_PATH}/{app_id}")
        } else {
            let org = checked_word(section_name, "org", &or_nowhere(org, "org", "MOONCAST_ORG", "none")?)?;
            let app = checked_word(section_name, "name", &or_nowhere(app, "name", "MOONCAST_APP", "none")?)?;
            format!("{base}/{org}/{app}")
        }
    };
    let credentials = login.credentials(section_name, offline)?;
    let records = RecordSettings { history_zone, mark, verify };
    Ok(Some(App { name: name.to_owned(), prefix, credentials, limits, timeouts, records }))
}

fn checked_url(section: &str, setting: &str, url: &str) -> Result<String, ConfigError> {
    let refuse =
        |why: &str| Err(ConfigError::invalid(format!("{section} {setting}"), format!("`{url}` {why}")));
    let canonical = canonical_address(url);
    let Some((scheme, rest)) = canonical.split_once("://") else {
        return refuse("is not an address; an address begins with https://");
    };
    if !matches!(scheme, "http" | "https") {
        return refuse("is neither https:// nor http://");
    }
    if rest.contains('@')
        || rest.contains('?')
        || rest.contains('#')
        || rest.starts_with('/')
        || rest.is_empty()
    {
        return refuse("must be a host and a path, without user, query or fragment");
    }
    Ok(canonical)
}

fn checked_word(section: &str, setting: &str, word: &str) -> Result<String, ConfigError> {
    let fine = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if word.is_empty() || !word.chars().all(fine) {
        let message = format!("`{word}` must be letters, digits, `-`, `_` and `.`");
        return Err(ConfigError::invalid(format!("{section} {setting}"), message));
    }
    Ok(word.to_owned())
}

/// Refuses names that a field of the service cannot have.
fn check_field_names(section: &str, setting: &str, names: &[String]) -> Result<(), ConfigError> {
    let fits = |name: &&String| {
        (1..=FIELD_NAME_BYTES).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b':'))
    };
    match names.iter().find(|name| !fits(name)) {
        None => Ok(()),
        Some(name) => {
            let message = format!(
                "`{name}` is not the name of a field: 1 to {FIELD_NAME_BYTES} letters, digits, `_`, `-` and `:`"
            );
            Err(ConfigError::invalid(format!("{section} {setting}"), message))
        }
    }
}

/// Refuses limits that no script could run with.
fn check_limits(section: &str, limits: &super::AppLimits) -> Result<(), ConfigError> {
    let rates = [
        ("group_per_second", limits.group_per_second),
        ("targeted_per_second", limits.targeted_per_second),
        ("upload_per_second", limits.upload_per_second),
        ("read_per_second", limits.read_per_second),
        ("edit_per_second", limits.edit_per_second),
        ("user_calls_per_second", limits.user_calls_per_second),
        ("user_messages_per_minute", limits.user_messages_per_minute),
        ("room_messages_per_second", limits.room_messages_per_second),
        ("announce_all_per_day", limits.announce_all_per_day),
        ("announce_online_per_day", limits.announce_online_per_day),
    ];
    for (name, rate) in rates {
        if rate == 0 {
            let message = "0 would send nothing; it must be 1 or more";
            return Err(ConfigError::invalid(format!("{section}.limits {name}"), message));
        }
    }
    if !(limits.share > 0.0 && limits.share <= 1.0) {
        let message = format!("{} must be over 0 and up to 1", limits.share);
        return Err(ConfigError::invalid(format!("{section}.limits share"), message));
    }
    Ok(())
}
