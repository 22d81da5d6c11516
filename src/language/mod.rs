//! The languages of the pages and of alerts, and their texts.
//!
//! A text has placeholders such as `{name}`. A text with a count has two forms, `{n} group|{n} groups`, for one and
//! for any other number.

mod reason;

use std::collections::BTreeMap;

use serde::Deserialize;

pub use reason::{Reason, translate};

/// A language of the pages and of alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Language {
    #[serde(rename = "en")]
    English,
    #[serde(rename = "zh")]
    Chinese,
}

impl Language {
    /// The language of a tag such as `zh-CN`.
    pub fn of(tag: &str) -> Option<Self> {
        match tag.split(['-', '_']).next()? {
            "en" => Some(Self::English),
            "zh" => Some(Self::Chinese),
            _ => None,
        }
    }

    /// The preferred language of an `Accept-Language` header.
    pub fn preferred(accepted: &str) -> Self {
        let mut best = (0.0, Self::English);
        for range in accepted.split(',') {
            let (tag, quality) = range.split_once(";q=").unwrap_or((range, "1"));
            let quality = quality.trim().parse().unwrap_or(0.0_f32);
            if let Some(language) = Self::of(tag.trim()).filter(|_| quality > best.0) {
                best = (quality, language);
            }
        }
        best.1
    }

    /// The language tag for HTML.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }
}

/// The texts of a page in each language.
#[derive(Debug)]
pub struct Translations {
    english: BTreeMap<String, String>,
    chinese: BTreeMap<String, String>,
}

impl Translations {
    /// Reads the texts of two TOML files. An invalid file gives no texts; a test checks that each is valid.
    pub fn read(english: &str, chinese: &str) -> Self {
        let read = |file| toml::from_str(file).unwrap_or_default();
        Self { english: read(english), chinese: read(chinese) }
    }

    /// A text by its name. `None` if the name is unknown.
    pub fn text(&self, language: Language, name: &str) -> Option<&str> {
        let texts = match language {
            Language::English => &self.english,
            Language::Chinese => &self.chinese,
        };
        texts.get(name).map(String::as_str)
    }

    /// A text with its placeholders filled in. `n` selects the form. `None` if the name is unknown or a placeholder has no
    /// value.
    pub fn say(&self, language: Language, name: &str, values: &[(&str, String)]) -> Option<String> {
        let forms = self.text(language, name)?;
        let (one, many) = forms.split_once('|').unwrap_or((forms, forms));
        let single = values.iter().any(|(name, value)| *name == "n" && value == "1");
        let mut rest = if single { one } else { many };
        let mut said = String::new();
        // Placeholders in the values are not replaced.
        while let Some((before, after)) = rest.split_once('{') {
            let (key, after) = after.split_once('}')?;
            let (_, value) = values.iter().find(|(name, _)| *name == key)?;
            said.push_str(before);
            said.push_str(value);
            rest = after;
        }
        said.push_str(rest);
        Some(said)
    }

    /// Checks that both languages have the same texts, at least `least`, with the same placeholders.
    #[cfg(test)]
    pub(crate) fn check(&self, least: usize) {
        use std::collections::BTreeSet;

        fn placeholders(text: &str) -> BTreeSet<&str> {
            text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(key, _)| key).collect()
        }
        let Self { english, chinese } = self;
        assert!(english.len() >= least, "{}", english.len());
        let names = |texts: &BTreeMap<String, String>| texts.keys().cloned().collect::<BTreeSet<_>>();
        let (of_english, of_chinese) = (names(english), names(chinese));
        assert_eq!(of_english, of_chinese, "{:?}", of_english.symmetric_difference(&of_chinese));
        for (name, text) in english {
            let other = &chinese[name];
            assert_eq!(placeholders(text), placeholders(other), "{name}");
            assert!(!text.trim().is_empty() && !other.trim().is_empty(), "{name}");
            if let Some((one, many)) = text.split_once('|') {
                assert!(placeholders(one).is_subset(&placeholders(many)), "{name}");
                assert!(
                    placeholders(many).contains("n"),
                    "{name} has two forms, and no placeholder for the count"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_chooses_the_form_and_values_stay_as_they_are() {
        let texts = Translations::read(
            "groups = \"{n} group|{n} groups\"\nretry = \"Send {name} to {n}?\"",
            "groups = \"{n} 个群\"\nretry = \"{name} {n}\"",
        );
        texts.check(2);
        let said = |n: &str| texts.say(Language::English, "groups", &[("n", n.to_owned())]).unwrap();
        assert_eq!((said("1").as_str(), said("1,240").as_str()), ("1 group", "1,240 groups"));
        let values = [("name", "{n}".to_owned()), ("n", "7".to_owned())];
        assert_eq!(texts.say(Language::English, "retry", &values).as_deref(), Some("Send {n} to 7?"));
        assert_eq!(texts.say(Language::English, "groups", &[]), None);
        assert_eq!(texts.say(Language::Chinese, "no such text", &[]), None);
    }

    #[test]
    fn browsers_say_which_language_they_like() {
        let liked = [
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Chinese),
            ("en-GB,en;q=0.9,zh;q=0.8", Language::English),
            ("de,zh-Hans;q=0.7,en;q=0.3", Language::Chinese),
            ("de", Language::English),
            ("", Language::English),
            ("zh;q=x, ;;q=,en;q=0.1", Language::English),
        ];
        for (accepted, language) in liked {
            assert_eq!(Language::preferred(accepted), language, "{accepted}");
        }
    }
}
