//! Finds texts that may hold a secret by their words, so that they are not stored.

/// Words that mark a text as possibly secret.
const SECRET: [&str; 9] =
    ["secret", "token", "password", "passwd", "bearer", "authorization", "apikey", "api_key", "api-key"];

/// What stands in place of a value.
const HIDDEN: &str = "[hidden]";

/// Whether a text may hold a secret.
pub(super) fn may_hold_secret(text: &str) -> bool {
    let text = text.to_lowercase();
    SECRET.iter().any(|word| text.contains(word))
}

/// Returns the arguments of a script with those values hidden that may be secret. `token=abc` becomes `token=[hidden]`; the
/// argument after `--token` is hidden too.
pub(super) fn without_secrets(args: &[String]) -> Vec<String> {
    let mut named_before = false;
    let shown = |arg: &String| {
        let (named, is_flag) = (may_hold_secret(arg), arg.starts_with('-') && !arg.contains('='));
        match arg.split_once('=') {
            _ if std::mem::replace(&mut named_before, named && is_flag) => HIDDEN.to_owned(),
            Some((name, _)) if named && may_hold_secret(name) => format!("{name}={HIDDEN}"),
            _ if named && !is_flag => HIDDEN.to_owned(),
            _ => arg.clone(),
        }
    };
    args.iter().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_secrets_are_known() {
        for line in
            ["x = env.secret(\"KEY\")", "Authorization = \"Bearer abc\"", "PASSWORD='a'", "app_token = 1"]
        {
            assert!(may_hold_secret(line), "{line}");
        }
        assert!(!may_hold_secret("im.group_send({ to = \"1\" })"));
    }

    #[test]
    fn values_of_arguments_that_may_be_secret_are_hidden() {
        let args =
            ["Berlin", "token=abc", "x=Bearer abc", "--token", "abc", "--token=abc", "-v", "API_KEY=a=b"];
        let args: Vec<String> = args.map(str::to_owned).to_vec();
        let shown = [
            "Berlin",
            "token=[hidden]",
            "[hidden]",
            "--token",
            "[hidden]",
            "--token=[hidden]",
            "-v",
            "API_KEY=[hidden]",
        ];
        assert_eq!(without_secrets(&args), shown);
    }
}
