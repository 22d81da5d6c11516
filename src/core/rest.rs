//! Calls of the service's REST API that a script names itself, and the grants for them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The most bytes of a path.
const PATH_BYTES: usize = 4096;

/// The first segments of the calls that have a function of their own, and that function.
const RESERVED: [(&str, &str); 3] = [
    (
        "messages",
        "im.group_send, im.targeted_send, im.user_send, im.room_send, im.announce, im.broadcast, im.recall and im.edit make these calls, with checks and a ledger",
    ),
    ("token", "Mooncast fetches the app's token itself, and no script sees it"),
    ("chatfiles", "im.upload makes these calls"),
];

words! {
    /// The methods of the service's REST API.
    RestMethod {
        /// Reads.
        Get, "GET";
        /// Creates or adds.
        Post, "POST";
        /// Changes.
        Put, "PUT";
        /// Removes.
        Delete, "DELETE";
    }
}

impl RestMethod {
    /// Whether a call with this method changes nothing, so that it can be repeated.
    pub const fn only_reads(self) -> bool {
        matches!(self, Self::Get)
    }
}

/// The path of a call below the app's prefix, as segments without their slashes. Each segment has at least one character,
/// is not made of dots, and holds only letters, digits and `- _ . ~ , @ : + =`. The first segment is ASCII and is not that
/// of a call with a function of its own, such as `messages`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestPath(Vec<String>);

impl RestPath {
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for RestPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|segment| write!(formatter, "/{segment}"))
    }
}

impl FromStr for RestPath {
    type Err = String;

    /// Reads a path such as `/chatgroups/184524748161025/users`. The error says what is wrong and where.
    fn from_str(path: &str) -> Result<Self, String> {
        let segments = segments(path)?;
        for segment in &segments {
            check_segment(path, segment)?;
        }
        check_first(path, &segments)?;
        Ok(Self(segments.into_iter().map(str::to_owned).collect()))
    }
}

/// A permission to make calls: `POST /chatgroups/*/users/*`. A `*` stands for one whole segment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct RestGrant {
    method: RestMethod,
    /// `None` stands for any segment.
    segments: Vec<Option<String>>,
}

impl RestGrant {
    /// Whether it grants the call.
    pub fn grants(&self, method: RestMethod, path: &RestPath) -> bool {
        let fits = |(pattern, segment): (&Option<String>, &String)| {
            pattern.as_ref().is_none_or(|pattern| pattern == segment)
        };
        self.method == method
            && self.segments.len() == path.0.len()
            && self.segments.iter().zip(&path.0).all(fits)
    }
}

impl fmt::Display for RestGrant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ", self.method)?;
        let mut segments = self.segments.iter().map(|segment| segment.as_deref().unwrap_or("*"));
        segments.try_for_each(|segment| write!(formatter, "/{segment}"))
    }
}

impl FromStr for RestGrant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "write a method and a path, for example \"GET /chatgroups/*\"";
        let (method, path) = text.split_once(' ').ok_or_else(|| format!("\"{}\": {form}", shown(text)))?;
        let method = method.parse().map_err(|problem| format!("the method {problem}; {form}"))?;
        let parts = segments(path)?;
        for segment in parts.iter().filter(|segment| **segment != "*") {
            check_segment(path, segment)?;
        }
        if parts.first() != Some(&"*") {
            check_first(path, &parts)?;
        }
        let segment = |segment: &&str| (*segment != "*").then(|| (*segment).to_owned());
        Ok(Self { method, segments: parts.iter().map(segment).collect() })
    }
}

impl TryFrom<String> for RestGrant {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map_err(|why| format!("requests: {why}"))
    }
}

/// The quota that a call takes its permit from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestQuota {
    /// The app's quota of reads.
    #[default]
    Read,
    /// A quota of its own, with this many calls a second.
    PerSecond(u32),
}

/// Splits a path at its slashes.
fn segments(path: &str) -> Result<Vec<&str>, String> {
    if path.len() > PATH_BYTES {
        return Err(format!("it has {} bytes, and at most {PATH_BYTES} are taken", path.len()));
    }
    let rest = path.strip_prefix('/').ok_or_else(|| {
        format!(
            "\"{}\" must begin with a slash: it is the part after the app's address, for example \"/chatgroups\"",
            shown(path)
        )
    })?;
    let segments: Vec<&str> = rest.split('/').collect();
    if segments.iter().any(|segment| segment.is_empty()) {
        return Err(format!(
            "\"{}\" has an empty segment: write one slash between segments, and none at the end",
            shown(path)
        ));
    }
    Ok(segments)
}

fn check_segment(path: &str, segment: &str) -> Result<(), String> {
    if segment.bytes().all(|byte| byte == b'.') {
        return Err(format!(
            "\"{}\" has the segment \"{segment}\", which would leave its place",
            shown(path)
        ));
    }
    let is_taken = |letter: &char| letter.is_alphanumeric() || "-_.~,@:+=".contains(*letter);
    let Some(wrong) = segment.chars().find(|letter| !is_taken(letter)) else { return Ok(()) };
    let advice = match wrong {
        '%' => "; write the character itself, Mooncast encodes it",
        '?' => "; a query goes into `query`",
        '*' => "; a star belongs in [permissions], as a whole segment",
        _ => "",
    };
    Err(format!(
        "\"{}\" holds '{}', which no path may hold: letters, digits and - _ . ~ , @ : + = are taken{advice}",
        shown(path),
        wrong.escape_debug()
    ))
}

/// Refuses the calls that have a function of their own.
fn check_first(path: &str, segments: &[&str]) -> Result<(), String> {
    let first = segments.first().copied().unwrap_or_default();
    if !first.is_ascii() {
        return Err(format!("\"{}\": the first segment must be ASCII", shown(path)));
    }
    // A server may ignore the case, and what stands around the name.
    let first = first.trim_start_matches(|letter: char| !letter.is_ascii_alphanumeric());
    let end = first.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(first.len());
    let name = first.get(..end).unwrap_or_default().to_ascii_lowercase();
    match RESERVED.iter().find(|(reserved, _)| *reserved == name) {
        Some((_, instead)) => Err(format!("im.request never calls /{name}, whatever is granted: {instead}")),
        None => Ok(()),
    }
}

/// A text for an error: escaped, and at most 80 characters.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().nth(80).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grant(text: &str) -> RestGrant {
        text.parse().unwrap()
    }

    #[test]
    fn a_star_grants_one_whole_segment() {
        let granted = grant("POST /chatgroups/*/users/*");
        assert_eq!(granted.to_string(), "POST /chatgroups/*/users/*");
        for (method, path, is_granted) in [
            (RestMethod::Post, "/chatgroups/1/users/u", true),
            (RestMethod::Post, "/chatgroups/1,2/users/u@x", true),
            (RestMethod::Delete, "/chatgroups/1/users/u", false),
            (RestMethod::Post, "/chatgroups/1/users", false),
            (RestMethod::Post, "/chatgroups/1/users/u/more", false),
            (RestMethod::Post, "/chatgroups/1/Users/u", false),
            (RestMethod::Post, "/chatrooms/1/users/u", false),
        ] {
            assert_eq!(granted.grants(method, &path.parse().unwrap()), is_granted, "{method} {path}");
        }
        assert!(grant("GET /*").grants(RestMethod::Get, &"/chatgroups".parse().unwrap()));
    }

    #[test]
    fn a_grant_that_can_be_read_in_two_ways_is_refused() {
        for bad in [
            "",
            "GET",
            "/chatgroups",
            "get /chatgroups",
            "PATCH /chatgroups",
            "GET chatgroups",
            "GET  /chatgroups",
            "GET /chatgroups/",
            "GET /chatgroups/1*",
            "GET /chatgroups/**",
            "GET /..",
            "GET /chatgroups/%2a",
            "POST /messages/users",
            "POST /Messages/*",
            "* /chatgroups",
            "GET https://x/chatgroups",
        ] {
            assert!(bad.parse::<RestGrant>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn an_accepted_path_stays_in_its_place(path in "[/a-zA-Z0-9.%;?#\\\\*@: \u{0}-\u{7f}．／ｍ]{0,24}") {
            let Ok(read) = path.parse::<RestPath>() else { return Ok(()) };
            prop_assert_eq!(read.to_string(), path);
            for segment in read.segments() {
                prop_assert!(!segment.is_empty() && segment.bytes().any(|byte| byte != b'.'));
                prop_assert!(!segment.contains(['/', '\\', '%', '?', '#', ';', '*']));
                prop_assert!(!segment.chars().any(|letter| letter.is_control() || letter.is_whitespace()));
            }
            let first = read.segments().next().unwrap().to_lowercase();
            prop_assert!(!["messages", "token", "chatfiles"].contains(&first.as_str()));
        }
    }
}
