//! Enums whose variants are words in Lua, JSON, SQL and on the command line.

/// Defines an enum with a word for each variant. The word is also its form in JSON and on the pipe.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident $(= $number:literal)?, $word:literal;)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$doc])* $variant $(= $number)?,)+ }

        impl $name {
            /// All variants, in order.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant,)+];

            /// The variant's word.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// Returns the variant with this word.
            pub fn from_name(word: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|one| one.name() == word)
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            /// Returns the variant with this word. The error names the known words and the nearest one.
            fn from_str(word: &str) -> Result<Self, String> {
                Self::from_name(word).ok_or_else(|| {
                    super::words::unknown(word, &Self::ALL.map(Self::name))
                })
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.pad(self.name())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = String::deserialize(deserializer)?;
                Self::from_name(&word)
                    .ok_or_else(|| serde::de::Error::unknown_variant(&word, &[$($word),+]))
            }
        }
    };
}

/// Returns the problem of a word that is not among the known ones.
pub(super) fn unknown(word: &str, known: &[&str]) -> String {
    let near = super::nearest(word, known.iter().copied());
    let hint = near.map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
    format!("must be one of {}, not \"{}\"{hint}", known.join(", "), word.escape_debug())
}

#[cfg(test)]
mod tests {
    use crate::core::{Call, Priority};

    #[test]
    fn a_word_is_the_form_everywhere() {
        for priority in Priority::ALL {
            let json = serde_json::to_string(&priority).unwrap();
            assert_eq!(json, format!("\"{priority}\""));
            assert_eq!(serde_json::from_str::<Priority>(&json).unwrap(), priority);
        }
        assert_eq!(Call::from_name("targeted"), Some(Call::Targeted));
    }

    #[test]
    fn an_unknown_word_is_told_with_the_nearest_one() {
        let error = "hihg".parse::<Priority>().unwrap_err();
        let expected = "must be one of high, normal, low, not \"hihg\"; did you mean \"high\"?";
        assert_eq!(error, expected);
        let error = serde_json::from_str::<Priority>("\"hihg\"").unwrap_err().to_string();
        assert!(
            error.starts_with("unknown variant `hihg`, expected one of `high`, `normal`, `low`"),
            "{error}"
        );
    }
}
