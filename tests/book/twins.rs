//! The common part of the code in both languages: everything but comments and texts.

use super::page::{Block, Page};

/// Returns the differences between the blocks of two pages.
pub fn differences(one: &Page, other: &Page) -> Vec<String> {
    let (left, right) = (&one.blocks, &other.blocks);
    if left.len() != right.len() {
        return vec![format!(
            "{} has {} blocks, {} has {}",
            one.shown(),
            left.len(),
            other.shown(),
            right.len()
        )];
    }
    let pairs = left.iter().zip(right);
    let differ = pairs.filter(|(left, right)| {
        left.language != right.language || left.marks != right.marks || bare(left) != bare(right)
    });
    differ
        .map(|(left, right)| {
            let (left_at, right_at) =
                (format!("{}:{}", one.shown(), left.line), format!("{}:{}", other.shown(), right.line));
            format!(
                "{left_at} and {right_at} differ in more than comments and texts:\n{}\n---\n{}",
                bare(left),
                bare(right)
            )
        })
        .collect()
}

/// Returns a block's code without comments and with empty texts.
fn bare(block: &Block) -> String {
    let code = match block.language.as_str() {
        "lua" => stripped(&block.text, "--"),
        "toml" | "sh" => stripped(&block.text, "#"),
        // The columns and the length of a table.
        "csv" => {
            let header = block.text.lines().next().unwrap_or_default();
            return format!("{header} {}", block.text.lines().count());
        }
        _ => return String::new(),
    };
    code.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

fn stripped(code: &str, comment: &str) -> String {
    let mut bare = String::new();
    let mut rest = code;
    while let Some(letter) = rest.chars().next() {
        if comment == "--" && (rest.starts_with("[[") || rest.starts_with("--[[")) {
            if !rest.starts_with('-') {
                bare.push_str("\"\"");
            }
            rest = rest.split_once("]]").map_or("", |(_, after)| after);
        } else if rest.starts_with(comment) && (comment == "--" || begins_word(&bare)) {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if letter == '"' || letter == '\'' {
            bare.push_str("\"\"");
            rest = after_text(&rest[1..], letter);
        } else {
            bare.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    bare
}

/// Whether a `#` here begins a comment.
fn begins_word(before: &str) -> bool {
    before.chars().next_back().is_none_or(char::is_whitespace)
}

/// Returns the rest after the end of a text.
fn after_text(text: &str, quote: char) -> &str {
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if letter == quote => return &text[at + letter.len_utf8()..],
            _ => {}
        }
    }
    ""
}

#[test]
fn only_comments_and_texts_may_differ() {
    let block = |language: &str, text: &str| {
        let (language, text) = (language.to_owned(), text.to_owned());
        bare(&Block { language, marks: Vec::new(), text, line: 1 })
    };
    assert_eq!(block("lua", "print(\"a\\\"b\") -- x\n-- y\n"), block("lua", "print('c')\n"));
    assert_eq!(block("lua", "f([[a\nb]]) --[[ c ]] g()\n"), block("lua", "f([[]])  g()\n"));
    assert_ne!(block("lua", "print(1)"), block("lua", "print(2)"));
    assert_eq!(block("sh", "echo 'x' # y\n"), block("sh", "echo \"z\"\n"));
    assert_ne!(block("sh", "echo $#"), block("sh", "echo $"));
    assert_ne!(block("csv", "a,b\n1,2\n"), block("csv", "a,b\n"));
}
