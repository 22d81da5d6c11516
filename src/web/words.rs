//! The texts of the page in each of its languages.

use std::sync::LazyLock;

pub(in crate::web) use crate::language::Language;

use crate::control::{NEEDS, WAITS, amount, parts_of_time};
use crate::language::Translations;

static TEXTS: LazyLock<Translations> = LazyLock::new(|| {
    Translations::read(
        &[include_str!("page/words/en.toml"), WAITS, NEEDS].concat(),
        include_str!("page/words/zh.toml"),
    )
});

impl Language {
    /// A text by its name. `None` if the name is unknown.
    pub(in crate::web) fn text(self, name: &str) -> Option<&'static str> {
        TEXTS.text(self, name)
    }

    /// A text with its placeholders filled in. `n` selects the form.
    pub(in crate::web) fn say(self, name: &str, values: &[(&str, String)]) -> Option<String> {
        TEXTS.say(self, name, values)
    }
}

/// A duration in its two largest units.
pub(in crate::web) fn span(language: Language, seconds: f64) -> String {
    let said = parts_of_time(seconds).filter_map(|(unit, many)| language.say(unit, &[("n", amount(many))]));
    said.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_there_in_both_languages() {
        TEXTS.check(100);
        assert_eq!(Language::English.say("groups", &[("n", "1".to_owned())]).as_deref(), Some("1 group"));
    }
}
