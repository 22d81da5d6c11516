//! The texts of alerts in each language.

use std::sync::LazyLock;

use crate::language::{Language, Translations, translate};

static TEXTS: LazyLock<Translations> =
    LazyLock::new(|| Translations::read(include_str!("words/en.toml"), include_str!("words/zh.toml")));

/// A text that is not put into words before its receiver's language is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlertText {
    /// A command, a name, an error. It is the same in each language, except for a sentence of the ledger.
    Plain(String),
    /// A text by its name in `words/`, and the values of its placeholders.
    Named(&'static str, Vec<(&'static str, Self)>),
}

impl AlertText {
    /// A text without other texts in it.
    pub fn named<const N: usize>(name: &'static str, values: [(&'static str, String); N]) -> Self {
        Self::Named(name, values.into_iter().map(|(key, value)| (key, Self::Plain(value))).collect())
    }

    pub fn say(&self, language: Language) -> String {
        match self {
            Self::Plain(text) => translate(language, text).into_owned(),
            Self::Named(name, values) => {
                let values: Vec<_> = values.iter().map(|(key, value)| (*key, value.say(language))).collect();
                // A test says each text.
                TEXTS.say(language, name, &values).unwrap_or_else(|| (*name).to_owned())
            }
        }
    }
}

impl From<String> for AlertText {
    fn from(text: String) -> Self {
        Self::Plain(text)
    }
}

impl From<u64> for AlertText {
    fn from(count: u64) -> Self {
        Self::Plain(count.to_string())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_text_is_there_in_both_languages() {
        super::TEXTS.check(15);
    }
}
