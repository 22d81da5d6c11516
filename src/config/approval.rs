//! `[approval]`: the broadcasts that another person must approve.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::ConfigError;

/// The broadcasts that another person must approve.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApprovalRules {
    /// A broadcast with more recipients than this needs an approval. Default none.
    pub over: Option<u64>,
    /// Every broadcast needs an approval. Default false.
    pub always: bool,
    /// What happens to announcements where a rule applies. They cannot wait for an approval.
    pub announcements: AnnouncementRule,
    /// Stricter rules for the broadcasts of single scripts, by the path of the script in the project.
    pub scripts: BTreeMap<String, ScriptApproval>,
}

/// What happens to `im.announce` where a rule applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnnouncementRule {
    /// An announcement is refused.
    #[default]
    Refused,
    /// An announcement needs no approval.
    Permitted,
}

/// The rule for the broadcasts of one script.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScriptApproval {
    pub over: Option<u64>,
    pub always: bool,
}

/// The most recipients of a broadcast that needs no approval; None if none needs one.
const fn limit(over: Option<u64>, always: bool) -> Option<u64> {
    if always { Some(0) } else { over }
}

impl ApprovalRules {
    /// The most recipients that a broadcast of this script may have without an approval. None if it never needs one.
    pub fn over(&self, script: Option<&str>) -> Option<u64> {
        let own = script.and_then(|script| self.scripts.get(script));
        let own = own.and_then(|own| limit(own.over, own.always));
        match (limit(self.over, self.always), own) {
            (Some(general), Some(own)) => Some(general.min(own)),
            (general, own) => general.or(own),
        }
    }

    /// Names the scripts with a rule that are not in the project's folder, one a line.
    pub fn without_scripts(&self, root: &Path) -> Vec<String> {
        let missing = self.scripts.keys().filter(|path| !root.join(path).is_file());
        let missing_file = |path: &String| {
            format!(
                "[approval.scripts] \"{path}\" names no script of this project, so its rule has no effect"
            )
        };
        missing.map(missing_file).collect()
    }

    /// Refuses a rule for a script that demands nothing, or less than the general one.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let general = limit(self.over, self.always);
        for (path, rule) in &self.scripts {
            let invalid = |message: String| {
                Err(ConfigError::invalid(format!("[approval.scripts] \"{path}\""), message))
            };
            let Some(own) = limit(rule.over, rule.always) else {
                return invalid(
                    "it demands nothing; write { over = NUMBER } or { always = true }".to_owned(),
                );
            };
            if let Some(general) = general.filter(|general| own > *general) {
                return invalid(format!(
                    "`over = {own}` demands less than [approval], which needs an approval over {general} recipients; a \
                     script's rule can only be stricter"
                ));
            }
            let is_plain =
                !path.starts_with('/') && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
            if !is_plain {
                let message = "write the script's path in the project, such as \"scripts/campaign.lua\"";
                return invalid(message.to_owned());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Result<ApprovalRules, String> {
        let rules: ApprovalRules = toml::from_str(text).map_err(|error| error.to_string())?;
        rules.check().map_err(|error| error.to_string())?;
        Ok(rules)
    }

    #[test]
    fn the_stricter_rule_counts() {
        let both = rules(
            "over = 100\n[scripts]\n\"scripts/a.lua\" = { over = 10 }\n\"scripts/b.lua\" = { always = true }\n",
        );
        let both = both.unwrap();
        assert_eq!(both.over(None), Some(100));
        assert_eq!(both.over(Some("scripts/c.lua")), Some(100));
        assert_eq!(both.over(Some("scripts/a.lua")), Some(10));
        assert_eq!(both.over(Some("scripts/b.lua")), Some(0));
        assert_eq!(rules("").unwrap().over(Some("scripts/a.lua")), None);
        assert_eq!(rules("always = true").unwrap().over(None), Some(0));
        assert_eq!(rules("over = 0").unwrap().over(None), Some(0));
    }

    #[test]
    fn a_rule_that_is_looser_or_names_no_path_is_refused() {
        for (text, expected) in [
            ("over = 100\n[scripts]\n\"a.lua\" = { over = 200 }", "can only be stricter"),
            ("always = true\n[scripts]\n\"a.lua\" = { over = 1 }", "can only be stricter"),
            ("[scripts]\n\"a.lua\" = {}", "demands nothing"),
            ("[scripts]\n\"a.lua\" = { always = false }", "demands nothing"),
            ("[scripts]\n\"../a.lua\" = { over = 1 }", "the script's path in the project"),
            ("[scripts]\n\"/a.lua\" = { over = 1 }", "the script's path in the project"),
            ("[scripts]\n\"./a.lua\" = { over = 1 }", "the script's path in the project"),
            ("over = -1", "over"),
            ("ovr = 1", "ovr"),
            ("announcements = \"never\"", "expected `refused` or `permitted`"),
        ] {
            let error = rules(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
