//! Limits how many operators follow each other in a template. minijinja calls itself for each of them (`- - - x`,
//! `a + a + a`) and for each `elif`, and some thousands would exceed the stack and end the worker.

/// The most operators in one pair of braces.
const OPERATORS: usize = 1000;

/// The most `elif` of a template.
const BRANCHES: usize = 500;

/// Words that connect or change operands.
const WORDS: [&str; 7] = ["not", "and", "or", "if", "else", "is", "in"];

/// Returns the problem of a template that nests too deep.
pub(super) fn problem(text: &str) -> Option<String> {
    let mut branches = 0;
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        let line = || 1 + text[..text.len() - rest.len() + start].matches('\n').count();
        let inside = &rest[start + 1..];
        rest = match inside.as_bytes().first() {
            Some(b'#') => after(inside, "#}"),
            Some(b'{' | b'%') => {
                let (block, following) = split(&inside[1..]);
                if operators(block) > OPERATORS {
                    return Some(format!(
                        "template: line {}: more than {OPERATORS} operators in one pair of braces; split them with `{{% set %}}`",
                        line()
                    ));
                }
                let content = block.trim_matches(['-', '+']).trim();
                if content.starts_with("elif") {
                    branches += 1;
                    if branches > BRANCHES {
                        return Some(format!("template: line {}: more than {BRANCHES} `elif`", line()));
                    }
                }
                if content == "raw" { after(following, "endraw") } else { following }
            }
            _ => inside,
        };
    }
    None
}

fn after<'text>(text: &'text str, end: &str) -> &'text str {
    text.find(end).map_or("", |at| &text[at + end.len()..])
}

/// Returns the inside of a pair of braces and the text after it.
fn split(text: &str) -> (&str, &str) {
    let mut depth = 0_usize;
    let mut scan = Scan::default();
    for (index, byte) in text.bytes().enumerate() {
        if scan.is_quoted(byte) {
            continue;
        }
        match byte {
            b'}' | b'%' if depth == 0 && text[index + 1..].starts_with('}') => {
                return (&text[..index], &text[index + 2..]);
            }
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    (text, "")
}

/// Counts the operators outside of strings. Signs of numbers, points in them and the brackets of lists do not count.
fn operators(text: &str) -> usize {
    let (mut count, mut before) = (0, b',');
    let mut scan = Scan::default();
    let mut word = String::new();
    for (index, byte) in text.bytes().enumerate() {
        let is_quoted = scan.is_quoted(byte);
        if !is_quoted && (byte.is_ascii_alphanumeric() || byte == b'_') {
            word.push(char::from(byte));
        } else {
            count += usize::from(WORDS.contains(&word.as_str()));
            word.clear();
        }
        let begins_digits = text.as_bytes().get(index + 1).is_some_and(u8::is_ascii_digit);
        if !is_quoted {
            count += usize::from(match byte {
                b'-' => !(begins_digits && matches!(before, b',' | b'[' | b'(' | b':')),
                b'.' => !(begins_digits && before.is_ascii_digit()),
                b'[' | b'(' => {
                    before.is_ascii_alphanumeric() || b"_])'\"".contains(&before) || !before.is_ascii()
                }
                b'+' | b'*' | b'/' | b'%' | b'~' | b'|' | b'<' | b'>' | b'=' | b'!' => true,
                _ => false,
            });
        }
        if !byte.is_ascii_whitespace() {
            before = byte;
        }
    }
    count
}

/// Knows which bytes belong to a string.
#[derive(Default)]
struct Scan {
    quote: Option<u8>,
    is_escaped: bool,
}

impl Scan {
    fn is_quoted(&mut self, byte: u8) -> bool {
        match self.quote {
            Some(_) if self.is_escaped => self.is_escaped = false,
            Some(_) if byte == b'\\' => self.is_escaped = true,
            Some(quote) if byte == quote => self.quote = None,
            Some(_) => {}
            None if matches!(byte, b'\'' | b'"') => self.quote = Some(byte),
            None => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::template::filled;

    fn chain(begin: &str, part: &str, times: usize, end: &str) -> String {
        [begin, &part.repeat(times), end].concat()
    }

    #[test]
    fn long_chains_are_refused_with_their_line_and_do_not_exceed_the_stack() {
        let values = json!({"a": 1});
        for (begin, part, end) in [
            ("\n{{ ", "-", "a }}"),
            ("\n{{ ", "- ", "1 }}"),
            ("\n{{ ", "not ", "a }}"),
            ("\n{{ a", " + a", " }}"),
            ("\n{{ a", "|string", " }}"),
            ("\n{{ a", "[0]", " }}"),
            ("\n{{ a", ".a", " }}"),
            ("\n{{ ", "a if a else ", "a }}"),
            ("\n{% if ", "a and ", "a %}{% endif %}"),
            ("\n{{ {'}}': ", "-", "a} }}"),
        ] {
            let problem = filled(&chain(begin, part, 20_000, end), &values).unwrap_err();
            assert!(problem.contains("line 2: more than 1000 operators"), "{part}: {problem}");
            // A chain as long as is allowed is compiled on a small stack.
            let _ = filled(&chain(begin, part, 450, end), &values);
        }
        let branches = |times| chain("{% if none %}", "{% elif a %}x", times, "{% endif %}");
        assert_eq!(filled(&branches(500), &values).unwrap(), "x");
        assert!(filled(&branches(5000), &values).unwrap_err().contains("more than 500 `elif`"));
    }

    #[test]
    fn what_only_looks_like_a_chain_is_fine() {
        let long = [
            chain("{# ", "-", 9000, " #}"),
            chain("", "---\n", 9000, ""),
            chain("{% raw %}{{ ", "-", 9000, " }}{% endraw %}"),
            chain("{{ '", "-", 9000, "' }}"),
            chain("{% set x = [0", ", -1.5", 2000, "] %}"),
            chain("{% set x = [0", ", [1]", 2000, "] %}"),
            chain("", "{{ a + a }}", 2000, ""),
            chain("", "{{ 名称 }} {{ '汉-字' ~ 名称 }}", 200, ""),
        ];
        for text in long {
            filled(&text, &json!({"a": 1, "名称": "李"})).unwrap();
        }
    }
}
