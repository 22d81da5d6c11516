//! Numbers, durations and times as text.

use std::fmt::Write as _;
use std::time::Duration;

use crate::core::RecipientCounts;

/// The units of a duration, with their lengths in seconds.
const UNITS: [(&str, u64); 4] = [("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)];

/// A duration in its two largest units: the name of each unit, and how many there are. A unit without any is left out.
pub fn parts_of_time(seconds: f64) -> impl Iterator<Item = (&'static str, u64)> {
    let mut rest = Duration::try_from_secs_f64(seconds.round()).unwrap_or_default().as_secs();
    let first = UNITS.iter().position(|(_, length)| rest >= *length).unwrap_or(UNITS.len() - 1);
    UNITS.into_iter().enumerate().skip(first).take(2).filter_map(move |(at, (name, length))| {
        let many = rest / length;
        rest %= length;
        (many > 0 || at == first).then_some((name, many))
    })
}

/// A duration in its two largest units: `25 s`, `4 min 10 s`, `1 h 22 min`, `2 d 3 h`.
pub fn span(seconds: f64) -> String {
    let unit = |name| match name {
        "day" => "d",
        "hour" => "h",
        "minute" => "min",
        _ => "s",
    };
    let parts: Vec<_> = parts_of_time(seconds).map(|(name, many)| format!("{many} {}", unit(name))).collect();
    parts.join(" ")
}

/// A number with thousands separators.
pub fn amount(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate with a suitable number of digits.
pub fn rate_text(rate: f64) -> String {
    if rate < 99.95 && (rate - rate.round()).abs() >= 0.05 {
        return format!("{rate:.1}");
    }
    // A rate above the largest `u64` does not exist.
    amount(Duration::try_from_secs_f64(rate.round()).unwrap_or_default().as_secs())
}

/// How many were sent to, and the numbers of failures. `of` separates the sent ones from the total.
pub fn counts_text(counts: &RecipientCounts, of: &str) -> String {
    let mut text = format!("{}{of}{}", counts.sent, counts.total());
    for (count, what) in [(counts.rejected, "rejected"), (counts.in_doubt, "in doubt")] {
        if count > 0 {
            // Writing to a `String` cannot fail.
            let _ = write!(text, ", {count} {what}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_rates_are_short() {
        let all = [0, 12, 123, 1_240, 100_000, 1_234_567].map(amount);
        assert_eq!(all, ["0", "12", "123", "1,240", "100,000", "1,234,567"]);
        assert_eq!([0.0, 19.96, 19.5, 18.24, 1_000.4].map(rate_text), ["0", "20", "19.5", "18.2", "1,000"]);
    }

    #[test]
    fn durations_have_two_units() {
        assert_eq!(
            [0.2, 59.6, 61.0, 250.0, 4_950.0, 90_000.0].map(span),
            ["0 s", "1 min", "1 min 1 s", "4 min 10 s", "1 h 22 min", "1 d 1 h"]
        );
    }
}
