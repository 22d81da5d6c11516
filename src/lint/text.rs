//! The values of string and number literals, and the errors that Lua reports in them.

use full_moon::tokenizer::{StringLiteralQuoteType, TokenKind, TokenReference, TokenType};

use super::{LintFinding, repair};

/// The value of a string literal. `None` if it contains bytes that are not UTF-8.
pub(super) fn string(token: &TokenReference) -> Result<Option<String>, LintFinding> {
    let TokenType::StringLiteral { literal, quote_type, .. } = token.token_type() else { return Ok(None) };
    if matches!(quote_type, StringLiteralQuoteType::Brackets) {
        // Lua reads each line end as one `\n`, and leaves out one at the begin.
        let literal = literal.replace("\r\n", "\n").replace("\n\r", "\n").replace('\r', "\n");
        return Ok(Some(literal.strip_prefix('\n').map_or_else(|| literal.clone(), str::to_owned)));
    }
    match unescape(literal) {
        Ok(bytes) => Ok(String::from_utf8(bytes).ok()),
        Err(problem) => Err(LintFinding::on(token, problem)),
    }
}

fn unescape(literal: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(literal.len());
    let mut rest = literal.chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            '\n' | '\r' => {
                return Err("this string is not closed on its line; close it with the same quote".into());
            }
            '\\' => {}
            other => {
                bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
        }
        match rest.next() {
            Some('a') => bytes.push(7),
            Some('b') => bytes.push(8),
            Some('f') => bytes.push(12),
            Some('n' | '\n') => bytes.push(b'\n'),
            Some('r') => bytes.push(b'\r'),
            Some('\r') => {
                rest.next_if_eq(&'\n');
                bytes.push(b'\n');
            }
            Some('t') => bytes.push(b'\t'),
            Some('v') => bytes.push(11),
            Some(quoted @ ('\\' | '"' | '\'')) => bytes.extend(quoted.to_string().bytes()),
            Some('z') => while rest.next_if(char::is_ascii_whitespace).is_some() {},
            Some('x') => {
                let digits: String =
                    std::iter::from_fn(|| rest.next_if(char::is_ascii_hexdigit)).take(2).collect();
                let value = u8::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 2);
                bytes.push(value.ok_or("`\\x` in a string needs two hexadecimal digits, like \\x41")?);
            }
            Some('u') => bytes.extend(unicode(&mut rest)?),
            Some(digit) if digit.is_ascii_digit() => {
                let more = std::iter::from_fn(|| rest.next_if(char::is_ascii_digit)).take(2);
                let digits: String = std::iter::once(digit).chain(more).collect();
                let value = digits.parse::<u8>();
                bytes.push(
                    value.map_err(|_| {
                        format!("`\\{digits}` in a string is more than \\255, the largest byte")
                    })?,
                );
            }
            Some(other) => {
                return Err(format!(
                    "`\\{other}` is not a valid escape in a string; for a backslash itself write `\\\\`"
                ));
            }
            None => return Err("this string is not closed; close it with the same quote".into()),
        }
    }
    Ok(bytes)
}

/// The bytes of `\u{XXX}`, after the `u`. Lua accepts code points beyond Unicode; these have no UTF-8 form here.
fn unicode(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Vec<u8>, String> {
    let wrong = || "`\\u` in a string needs a character's number in braces, like \\u{4F60}".to_owned();
    rest.next_if_eq(&'{').ok_or_else(wrong)?;
    let digits: String = std::iter::from_fn(|| rest.next_if(char::is_ascii_hexdigit)).collect();
    rest.next_if_eq(&'}').ok_or_else(wrong)?;
    let value = u32::from_str_radix(&digits, 16).ok().filter(|value| *value < 1 << 31).ok_or_else(wrong)?;
    Ok(char::from_u32(value).map_or_else(|| vec![0xff], |letter| letter.to_string().into_bytes()))
}

/// The first invalid number of a script: Lua requires a separator between a number and the next word.
pub(super) fn number_problem(source: &str) -> Option<LintFinding> {
    repair::tokens(source).filter(|token| token.token_kind() == TokenKind::Number).find_map(|token| {
        let end = token.end_position().bytes();
        let is_word = |letter: &char| letter.is_ascii_alphanumeric() || "_.".contains(*letter);
        let tail: String = source[end..].chars().take_while(is_word).take(20).collect();
        (!tail.is_empty()).then(|| {
            let message = format!("`{token}{tail}` is not a number, and a name cannot begin with a digit");
            LintFinding::at(token.start_position(), message)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn escapes_are_what_lua_makes_of_them() {
        let value = |literal| unescape(literal).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(value(r"a\tb\065\x41\u{4F60}\z  c\\").unwrap(), "a\tbAA你c\\");
        for wrong in [r"\q", r"\x4", r"\256", r"\u{110000000}", r"\u4F60", "a\nb"] {
            assert!(value(wrong).is_err(), "{wrong}");
        }
    }
}
