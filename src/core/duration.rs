//! The one way in which durations are written: in Lua, in mooncast.toml, on the command line and in the API.

use std::time::Duration;

/// How a duration is written.
const EXAMPLES: &str = "500ms, 10s, 5m, 1h 30m or 90d";

/// Parses a duration: `10s`, `5m`, `1h 30m`, `90d`. A day has 24 hours. Months are refused, because their length
/// varies, and so are negative ones.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let span: Option<jiff::Span> = text.trim().parse().ok();
    let length = span.and_then(|span| span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok());
    length
        .and_then(|length| Duration::try_from(length).ok())
        .ok_or_else(|| format!("`{}` is not a duration; write it like {EXAMPLES}", text.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_units_of_fixed_length() {
        for (text, seconds) in [
            ("10s", 10),
            ("5m", 300),
            ("1h 30m", 5400),
            ("90d", 7_776_000),
            ("1d 2h", 93_600),
            ("2w", 1_209_600),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        for text in ["", "10", "soon", "-5m", "1mo", "1y", "99999999999d", "5 parsecs"] {
            assert!(parse_duration(text).unwrap_err().contains("write it like"), "{text}");
        }
    }
}
