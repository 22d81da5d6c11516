//! A page of Markdown: its code blocks with the marks of their fences, its links and its headings.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A fenced block. `lua,file=scripts/a.lua` is its language and its marks.
#[derive(Debug, Clone)]
pub struct Block {
    pub language: String,
    /// The marks in order, unchanged.
    pub marks: Vec<String>,
    pub text: String,
    /// The line of the fence.
    pub line: usize,
}

impl Block {
    pub fn has(&self, mark: &str) -> bool {
        self.marks.iter().any(|known| known == mark)
    }

    /// Returns the values of `NAME=VALUE`.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.marks.iter().filter_map(move |mark| mark.strip_prefix(name)?.strip_prefix('='))
    }

    pub fn value<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }
}

/// A page.
#[derive(Debug)]
pub struct Page {
    pub path: PathBuf,
    pub blocks: Vec<Block>,
    /// Targets of links and pictures, with their lines.
    pub links: Vec<(usize, String)>,
    /// The anchors of the headings.
    pub anchors: BTreeSet<String>,
}

impl Page {
    pub fn read(path: &Path) -> Self {
        let text =
            std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut page =
            Self { path: path.to_owned(), blocks: Vec::new(), links: Vec::new(), anchors: BTreeSet::new() };
        let mut open: Option<Block> = None;
        for (index, line) in text.lines().enumerate() {
            let fence = line.strip_prefix("```");
            match (&mut open, fence) {
                (None, Some(info)) => {
                    let mut words = info.split(',').map(str::to_owned);
                    let language = words.next().unwrap_or_default();
                    let (marks, text, line) = (words.collect(), String::new(), index + 1);
                    open = Some(Block { language, marks, text, line });
                }
                (Some(_), Some("")) => page.blocks.extend(open.take()),
                (Some(block), _) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                (None, None) => page.prose(index + 1, line),
            }
        }
        assert!(open.is_none(), "{}: a block is not closed", path.display());
        page
    }

    fn prose(&mut self, number: usize, line: &str) {
        if let Some(title) = line.strip_prefix('#') {
            self.anchors.insert(anchor(title.trim_start_matches('#').trim()));
        }
        // Code contains no links.
        let plain: String = line.split('`').step_by(2).collect();
        for (start, _) in plain.match_indices("](") {
            let target = &plain[start + 2..];
            if let Some(end) = target.find(')') {
                self.links.push((number, target[..end].to_owned()));
            }
        }
    }

    /// Returns the page's name for test failures.
    pub fn shown(&self) -> String {
        self.path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap_or(&self.path).display().to_string()
    }
}

/// Returns the anchor that mdBook gives a heading.
fn anchor(title: &str) -> String {
    title
        .chars()
        .filter_map(|letter| match letter {
            ' ' => Some('-'),
            '-' | '_' => Some(letter),
            _ if letter.is_alphanumeric() => Some(letter.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}
