//! The texts of the page in each of its languages.
//!
//! A text has placeholders such as `{name}`. A text with a count has two forms, `{n} group|{n} groups`, for one and
//! for any other number.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::control::{WAITS, amount, parts_of_time};

type Translations = BTreeMap<String, String>;

static ENGLISH: LazyLock<Translations> =
    LazyLock::new(|| read(&[include_str!("page/words/en.toml"), WAITS].concat()));
static CHINESE: LazyLock<Translations> = LazyLock::new(|| read(include_str!("page/words/zh.toml")));

/// A language of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::web) enum Language {
    English,
    Chinese,
}

impl Language {
    /// The language of a tag such as `zh-CN`.
    pub(in crate::web) fn of(tag: &str) -> Option<Self> {
        match tag.split(['-', '_']).next()? {
            "en" => Some(Self::English),
            "zh" => Some(Self::Chinese),
            _ => None,
        }
    }

    /// The preferred language of an `Accept-Language` header.
    pub(in crate::web) fn preferred(accepted: &str) -> Self {
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
    pub(in crate::web) const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }

    fn texts(self) -> &'static Translations {
        match self {
            Self::English => &ENGLISH,
            Self::Chinese => &CHINESE,
        }
    }

    /// A text by its name. `None` if the name is unknown.
    pub(in crate::web) fn text(self, name: &str) -> Option<&'static str> {
        self.texts().get(name).map(String::as_str)
    }

    /// A text with its placeholders filled in. `n` selects the form.
    pub(in crate::web) fn say(self, name: &str, told: &[(&str, String)]) -> Option<String> {
        let forms = self.text(name)?;
        let (one, many) = forms.split_once('|').unwrap_or((forms, forms));
        let single = told.iter().any(|(name, value)| *name == "n" && value == "1");
        let mut rest = if single { one } else { many };
        let mut said = String::new();
        // Placeholders in the values are not replaced.
        while let Some((before, after)) = rest.split_once('{') {
            let (place, after) = after.split_once('}')?;
            let (_, value) = told.iter().find(|(name, _)| *name == place)?;
            said.push_str(before);
            said.push_str(value);
            rest = after;
        }
        said.push_str(rest);
        Some(said)
    }
}

/// A duration in its two largest units.
pub(in crate::web) fn span(language: Language, seconds: f64) -> String {
    let said = parts_of_time(seconds).filter_map(|(unit, many)| language.say(unit, &[("n", amount(many))]));
    said.collect::<Vec<_>>().join(" ")
}

/// The texts of a file. An invalid file gives no texts; a test checks that both are valid.
fn read(file: &str) -> Translations {
    toml::from_str(file).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn places(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(place, _)| place).collect()
    }

    #[test]
    fn every_text_is_there_in_both_languages_and_tells_the_same() {
        assert!(ENGLISH.len() > 100, "{}", ENGLISH.len());
        assert!(ENGLISH.keys().eq(CHINESE.keys()), "{:?}", {
            let (english, chinese): (BTreeSet<_>, BTreeSet<_>) =
                (ENGLISH.keys().collect(), CHINESE.keys().collect());
            english.symmetric_difference(&chinese).copied().cloned().collect::<Vec<_>>()
        });
        for (name, text) in &*ENGLISH {
            let chinese = &CHINESE[name];
            assert_eq!(places(text), places(chinese), "{name}");
            assert!(!text.trim().is_empty() && !chinese.trim().is_empty(), "{name}");
            if let Some((one, many)) = text.split_once('|') {
                assert_eq!(places(one), places(many), "{name}");
                assert!(places(one).contains("n"), "{name} has forms and counts nothing");
            }
        }
    }

    #[test]
    fn a_count_chooses_the_form_and_what_is_told_stays_as_it_is() {
        let said = |n: &str| Language::English.say("groups", &[("n", n.to_owned())]).unwrap();
        assert_eq!((said("1").as_str(), said("1,240").as_str()), ("1 group", "1,240 groups"));
        let told = [("name", "{n}".to_owned()), ("n", "7".to_owned())];
        assert!(Language::English.say("ask_retry", &told).unwrap().contains("{n}"));
        assert_eq!(Language::English.say("groups", &[]), None);
        assert_eq!(Language::English.say("no such text", &[]), None);
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
