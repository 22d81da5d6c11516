//! The settings: `mooncast.toml`, and the file of an environment over it.

use std::path::Path;
use std::sync::LazyLock;

use crate::config::{Environment, Project, Settings};

use super::{FuzzTarget, fuzz};

#[test]
fn no_input_breaks_it() {
    fuzz(&FuzzTarget { name: "settings", seeds, words: WORDS, cases: 2000, read });
}

const WORDS: &[&str] = &[
    "[app]\n",
    "[apps.two]\n",
    "[scripts]\n",
    "[serve]\n",
    "[permissions]\n",
    "[alerts.ops]\n",
    "[approval]\n",
    "[store]\n",
    "[app.limits]\n",
    "[app.timeouts]\n",
    "base_url = ",
    "org = ",
    "name = ",
    "prefix = ",
    "app_id = ",
    "client_id = ",
    "client_secret = ",
    "token = ",
    "callback_secret = ",
    "extra_fields = ",
    "history_zone = ",
    "mark = ",
    "memory = ",
    "timeout = ",
    "listen = ",
    "tls = ",
    "zone = ",
    "url = ",
    "format = ",
    "simulator = ",
    "store = ",
    "login = ",
    "[[",
    "]]",
    "{ a = 1 }",
    "\"\"\"",
    "'''",
    "true",
    "1979-05-27T07:32:00Z",
    "inf",
    "nan",
    "0x_f",
    "1_000",
    "\"64 MiB\"",
    "\"1h\"",
    "\"\\u0000\"",
    "[\"a\"]",
    "\"https://a.example\"",
    "\n=== env\n",
    "a.b.c = 1\n",
    "\"postgres://u:p@h/d\"",
    "write = [\"data/**\"]",
    "env = [\"A_*\"]",
    "net = [\"*.example.com\"]",
];

/// What begins the file of an environment.
const ENV: &str = "\n=== env\n";

fn seeds() -> Vec<Vec<u8>> {
    let app = "[app]\nbase_url = \"https://a1.easemob.com\"\norg = \"o\"\nname = \"a\"\nclient_id = \"i\"\nclient_secret = \"s\"\n";
    let over = format!("{app}{ENV}[app]\nname = \"b\"\norg = \"o\"\nbase_url = \"https://a1.easemob.com\"\n");
    let new = include_str!("../cli/new/mooncast.toml");
    vec![
        app.as_bytes().to_vec(),
        over.into_bytes(),
        b"simulator = true\n[scripts]\nmemory = \"64 MiB\"\n".to_vec(),
        new.as_bytes().to_vec(),
    ]
}

/// The folder of the project whose settings are read.
static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

fn read(input: &[u8]) -> String {
    let cut = input.windows(ENV.len()).position(|bytes| bytes == ENV.as_bytes());
    let (file, over) = match cut {
        Some(cut) => (&input[..cut], Some(&input[cut + ENV.len()..])),
        None => (input, None),
    };
    let folder: &Path = FOLDER.path();
    std::fs::write(folder.join("mooncast.toml"), file).unwrap();
    std::fs::write(folder.join("mooncast.test.toml"), over.unwrap_or_default()).unwrap();
    let mut project = Project::at(folder).unwrap();
    if over.is_some() {
        project = project.in_env("test").unwrap();
    }
    match Settings::load_offline(&project, &Environment::of(Vec::new())) {
        Ok(settings) => {
            let _ = settings.changes(&settings);
            format!(
                "ok {} {} {}",
                settings.apps.len().min(3),
                settings.alerts.len().min(2),
                settings.store.is_some()
            )
        }
        Err(error) => error.to_string(),
    }
}
