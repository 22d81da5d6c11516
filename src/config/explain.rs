//! Explains an error of `mooncast.toml` in the file's terms: the setting, its value, and what it must be.

use toml::de::Error;

/// Settings whose values are never shown.
const SECRET: [&str; 7] =
    ["app_certificate", "callback_secret", "client_secret", "secret", "store", "token", "url"];

/// Characters of a value that are shown.
const SHOWN: usize = 40;

/// Returns the line and the error in it. The parser's own message would show the line, which may contain a secret.
pub(super) fn explain(text: &str, error: &Error) -> String {
    let Some(span) = error.span() else { return error.message().to_owned() };
    let line = text[..span.start].matches('\n').count() + 1;
    let setting = setting_at(text, span.start).filter(|_| text.parse::<toml::Table>().is_ok());
    let sentence = match (setting, expected(error.message())) {
        (Some((section, key)), Some(expected)) if !error.message().starts_with("unknown") => {
            let value = value(&key, text.get(span).unwrap_or_default());
            let expected = in_words(&key, expected);
            format!("{}{key} {value}must be {expected}", section.map(|name| name + " ").unwrap_or_default())
        }
        _ => error.message().to_owned(),
    };
    format!("line {line}: {}", without_credentials(sentence))
}

/// Removes what is between the `://` and the `@` of an address in a sentence.
fn without_credentials(sentence: String) -> String {
    let Some((before, rest)) = sentence.split_once("://") else { return sentence };
    let Some((_, after)) = rest.rsplit_once('@') else { return sentence };
    format!("{before}://…@{after}")
}

/// Returns what the parser expected, if the message is about a value of another type.
fn expected(message: &str) -> Option<&str> {
    let wrong = message.starts_with("invalid type: ") || message.starts_with("invalid value: ");
    wrong.then(|| message.rsplit_once(", expected ").map(|(_, expected)| expected))?
}

/// Returns the section and the key of the value that begins at `start`, if both can be found in the text.
fn setting_at(text: &str, start: usize) -> Option<(Option<String>, String)> {
    let before = &text[..start];
    let (above, line) = before.rsplit_once('\n').unwrap_or(("", before));
    let (keys, _) = line.rsplit_once('=')?;
    let key = keys.rsplit(['{', ',']).next()?.trim();
    let section = above.lines().rev().map(str::trim).find(|line| line.starts_with('['));
    let section = section.map(|line| line.split('#').next().unwrap_or_default().trim().to_owned());
    (!key.is_empty()).then(|| (section, key.to_owned()))
}

/// Returns `is "20", but `, if the value is short and not secret.
fn value(key: &str, value: &str) -> String {
    let fits = !value.is_empty() && value.chars().count() <= SHOWN && !value.contains(char::is_control);
    if fits && !SECRET.contains(&key) { format!("is {value}, but ") } else { String::new() }
}

/// Returns what a setting must be. `expected` is the parser's name for it.
fn in_words(key: &str, expected: &str) -> String {
    let words = match expected {
        "u32" => "a whole number from 1 to 4294967295, without quotes",
        "u64" | "usize" => "a whole number of bytes, 0 or more, without quotes",
        "f64" if key == "share" => "a number over 0 and up to 1, without quotes",
        "f64" => "a number, without quotes",
        "a boolean" => "true or false, without quotes",
        "a string" => "a text in quotes",
        "a sequence" => "a list, like [\"…\"]",
        other if other.starts_with("struct ") || other == "a map" => {
            "a section of its own, with settings in it"
        }
        other => other,
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::file::SettingsFile;
    use super::explain;

    #[test]
    fn the_setting_its_value_and_what_it_must_be_are_named() {
        for (text, expected) in [
            (
                "[app]\norg = 'o'\n[app.limits] # ours\ngroup_per_second = \"20\"",
                "line 4: [app.limits] group_per_second is \"20\", but must be a whole number from 1 to 4294967295, without quotes",
            ),
            ("[app.limits]\ngroup_per_second = -5", "is -5, but must be a whole number from 1 to"),
            (
                "[app.limits]\ngroup_per_second = 99999999999",
                "is 99999999999, but must be a whole number from 1",
            ),
            ("[app.limits]\nupload_bytes = -1", "must be a whole number of bytes, 0 or more"),
            (
                "[app]\nlimits = { upload_per_second = 5, share = 'a' }",
                "line 2: [app] share is 'a', but must be a number over 0 and up to 1",
            ),
            ("simulator = 'yes'", "line 1: simulator is 'yes', but must be true or false, without quotes"),
            ("[permissions]\nnet = 'x'", "line 2: [permissions] net is 'x', but must be a list"),
            ("[apps.b]\norg = ['x']", "line 2: [apps.b] org is ['x'], but must be a text in quotes"),
            ("[app]\nlimits = 5", "limits is 5, but must be a section of its own"),
            ("[scripts]\nmemory = 5.5", "memory is 5.5, but must be a size"),
            ("[scripts]\nmemory = 'lots'", "line 2: `lots` is not a size"),
            ("[app]\nbase_ulr = 'x'", "line 2: unknown field `base_ulr`, expected one of `base_url`"),
            ("\n[app\nx", "line 2: "),
        ] {
            let error = toml::from_str::<SettingsFile>(text).unwrap_err();
            let said = explain(text, &error);
            assert!(said.contains(expected), "{text}\n{said}");
        }
    }

    #[test]
    fn a_secret_of_the_wrong_type_is_not_shown() {
        for text in [
            "[app]\nclient_secret = 12345",
            "[app]\napp_certificate = 12345",
            "[app]\norg='o'\ntoken = [12345]",
            "app = { token = 12345 }",
        ] {
            let error = toml::from_str::<SettingsFile>(text).unwrap_err();
            let said = explain(text, &error);
            assert!(!said.contains("12345") && said.ends_with("must be a text in quotes"), "{said}");
        }
    }

    #[test]
    fn a_store_s_address_is_shown_nowhere_however_it_is_miswritten() {
        for text in [
            "store = postgres://u:CANARY@h/db",
            "store = \"postgres://u:CANARY@h/db",
            "store = 'postgres://u:CANARY@h/db' x",
            "stroe = 'postgres://u:CANARY@h/db'",
            "simulator = 'postgres://u:CANARY@h/db'",
            "scripts = 'postgres://u:CANARY@h/db'",
            "app = 'postgres://u:CANARY@h/db'",
            "serve = { stop_within = 'postgres://u:CANARY@h/db' }",
            "store = 'postgres://u:CANARY@h/db'\nstore = 'postgres://u:CANARY@h/db'",
            "store = { url = 'postgres://u:CANARY@h/db', more = 'CANARY' }",
            "store = ['postgres://u:CANARY@h/db', 'CANARY']",
            "[store]\nurl = ['postgres://u:CANARY@h/db']",
            "[store]\nurll = 'postgres://u:CANARY@h/db'",
            "[store]\nurl = 'postgres://u:CANARY@h/db'\npassword = 'CANARY'",
            "[store]\nurl = \"postgres://u:CANARY\\@h/db\"",
            "[store.url]\nis = 'postgres://u:CANARY@h/db'",
            "'store' = 5\nurl = 'postgres://u:CANARY@h/db'",
        ] {
            let error = toml::from_str::<SettingsFile>(text).unwrap_err();
            let said = explain(text, &error);
            assert!(!said.contains("CANARY"), "{text}\n{said}");
        }
    }
}
