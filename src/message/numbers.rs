//! Keeps the digits of numbers in a JSON text that no number type can hold.

use std::borrow::Cow;

use serde_json::Number;

/// Decimal digits that a double always preserves.
const SAFE_DIGITS: usize = 15;

/// Returns the JSON text with quotes around each number that would lose digits, so that it is read as a text with all
/// its digits.
///
/// These numbers are quoted: integers outside of -2^63 to 2^63 - 1, numbers outside of a double's range, and decimals
/// whose nearest double prints other digits. All other bytes stay the same, also in a text that is not valid JSON.
/// The text is copied only if a number is quoted.
pub fn exact_numbers(json: &[u8]) -> Cow<'_, [u8]> {
    let mut quoted: Vec<u8> = Vec::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(&byte) = json.get(at) {
        match byte {
            b'"' => at = end_of_string(json, at + 1),
            b'-' | b'0'..=b'9' => {
                let end = end_of_number(json, at);
                let number = &json[at..end];
                if !is_exact(number) {
                    quoted.extend_from_slice(&json[copied..at]);
                    quoted.push(b'"');
                    quoted.extend_from_slice(number);
                    quoted.push(b'"');
                    copied = end;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    quoted.extend_from_slice(&json[copied..]);
    Cow::Owned(quoted)
}

/// Returns the position after the quote that ends a string.
fn end_of_string(json: &[u8], mut at: usize) -> usize {
    while let Some(byte) = json.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    json.len()
}

fn end_of_number(json: &[u8], from: usize) -> usize {
    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
    from + json[from..].iter().take_while(|byte| is_part(byte)).count()
}

/// Whether a 64-bit integer or a double holds this number exactly. Text that is not a number counts as exact; the
/// JSON parser reports it.
fn is_exact(number: &[u8]) -> bool {
    if number.len() <= SAFE_DIGITS && !number.iter().any(|byte| matches!(byte, b'e' | b'E')) {
        return true;
    }
    let Ok(text) = std::str::from_utf8(number) else { return true };
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        return !is_integer(text) || text.parse::<i64>().is_ok();
    }
    let Some(written) = significant(text) else { return true };
    // Printed as JSON will be: of two shortest decimals for one double, printers choose differently.
    text.parse::<f64>()
        .ok()
        .and_then(Number::from_f64)
        .and_then(|double| significant(&double.to_string()))
        .is_some_and(|printed| printed == written)
}

/// Whether JSON reads this as an integer: `-0` and `7`, not `-` or `007`.
fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && !digits.contains('-') && (digits.len() == 1 || !digits.starts_with('0'))
}

/// Returns the digits of a decimal without zeros at the ends, and the power of ten of the first digit; None if the
/// text is not a number.
fn significant(text: &str) -> Option<(String, i64)> {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if whole.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let leading = digits.len() - digits.trim_start_matches('0').len();
    let kept = digits.trim_matches('0').to_owned();
    if kept.is_empty() {
        return Some((kept, 0));
    }
    let first = i64::try_from(whole.len()).ok()? - i64::try_from(leading).ok()?;
    Some((kept, first.checked_add(exponent)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(json: &str) -> String {
        String::from_utf8(exact_numbers(json.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn what_a_number_type_holds_stays() {
        for json in [
            "0",
            "-0",
            "1.5",
            "1.10",
            "0.1",
            "9223372036854775807",
            "-9223372036854775808",
            "1e3",
            "1.84525E+14",
            "0.30000000000000004",
            "123456789012345.6",
            "817981011745463.2",
            "5e-324",
            "\"18446744073709551615\"",
            "\"a\\\"18446744073709551615\"",
            "{\"18446744073709551615\": [1, -2.5, true]}",
            "0e99999",
            "00000000000000000000001",
            "--1111111111111111111",
        ] {
            assert_eq!(read(json), json);
            assert!(matches!(exact_numbers(json.as_bytes()), Cow::Borrowed(_)));
        }
    }

    #[test]
    fn what_would_lose_digits_is_put_in_quotes() {
        for number in [
            "18446744073709551615",
            "9223372036854775808",
            "-9223372036854775809",
            "123456789012345678901234567890",
            "12345678901234567.89",
            "817981011745463.3",
            "0.1234567890123456789",
            "1e400",
            "-1.5e999",
            "1.00000000000000000001",
        ] {
            assert_eq!(
                read(&format!("{{\"a\": {number}, \"b\":[{number},1]}}")),
                format!("{{\"a\": \"{number}\", \"b\":[\"{number}\",1]}}")
            );
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_the_digits_stay(text in "[0-9eE+\\-., \"\\\\\\[\\]{}:a]{0,60}") {
            let quoted = exact_numbers(text.as_bytes()).into_owned();
            let without = |bytes: &[u8]| bytes.iter().copied().filter(|byte| *byte != b'"').collect::<Vec<_>>();
            prop_assert_eq!(without(&quoted), without(text.as_bytes()));
        }

        #[test]
        fn every_double_stays_a_number(double in any::<f64>()) {
            prop_assume!(double.is_finite());
            let json = serde_json::to_string(&double).unwrap();
            prop_assert_eq!(read(&json), json);
        }

        #[test]
        fn every_integer_keeps_its_digits(number in any::<i128>()) {
            let value: serde_json::Value = serde_json::from_str(&read(&number.to_string())).unwrap();
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            prop_assert_eq!(text, number.to_string());
        }
    }
}
