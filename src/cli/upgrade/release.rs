//! Releases and their versions.

use std::cmp::Ordering;

use anyhow::{Context as _, bail};
use serde::Deserialize;

/// The most bytes of a version or of the address of a release's page.
const LONGEST: usize = 300;

/// Returns the address of the newest release of a repository. `None` for a repository that is not at `GitHub`: other
/// services have other addresses.
pub(super) fn latest_release(repository: &str) -> Option<String> {
    let name = github_name(repository)?;
    Some(format!("https://api.github.com/repos/{name}/releases/latest"))
}

/// `OWNER/NAME` of a repository at `GitHub`.
pub(super) fn github_name(repository: &str) -> Option<&str> {
    let path = repository.trim().strip_prefix("https://github.com/")?.trim_end_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let (owner, name) = path.split_once('/')?;
    let plain = |part: &str| {
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
        !part.is_empty() && part.chars().all(is_plain)
    };
    (plain(owner) && plain(name)).then_some(path)
}

/// A version, by Semantic Versioning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    /// As it is written, without a `v` before it.
    pub(super) text: String,
    numbers: [u64; 3],
    /// Whether something follows the numbers that makes it a version before them: `-rc.1`.
    is_preview: bool,
}

impl Version {
    /// The version of this program.
    pub(super) fn installed() -> anyhow::Result<Self> {
        let text = env!("CARGO_PKG_VERSION");
        Self::parse(text).with_context(|| format!("the version of this program, {text}, is not a version"))
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-');
        let (rest, build) = text.split_once('+').map_or((text, None), |(rest, build)| (rest, Some(build)));
        let (numbers, preview) =
            rest.split_once('-').map_or((rest, None), |(numbers, preview)| (numbers, Some(preview)));
        let is_well_formed = |part: &str| !part.is_empty() && part.chars().all(plain);
        if text.len() > LONGEST || !build.into_iter().chain(preview).all(is_well_formed) {
            return None;
        }
        let number =
            |part: &str| part.parse().ok().filter(|_| part.bytes().all(|byte| byte.is_ascii_digit()));
        let mut parts = numbers.split('.');
        let numbers = [number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?];
        parts.next().is_none().then(|| Self { text: text.to_owned(), numbers, is_preview: preview.is_some() })
    }

    /// Compares what is offered: a preview is before the version that it is a preview of. Two previews of one version count as
    /// equal.
    fn compare(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then(other.is_preview.cmp(&self.is_preview))
    }
}

/// A release, as the API of `GitHub` describes it.
#[derive(Debug)]
pub(super) struct Release {
    pub(super) version: Version,
    /// The address of its page.
    pub(super) page: Option<String>,
    is_published: bool,
}

#[derive(Deserialize)]
struct Described {
    tag_name: String,
    html_url: Option<String>,
    #[serde(default)]
    prerelease: bool,
    #[serde(default)]
    draft: bool,
}

impl Release {
    /// Reads the description of a release.
    pub(super) fn read(body: &[u8]) -> anyhow::Result<Self> {
        let described: Described =
            serde_json::from_slice(body).context("its answer is not JSON with a `tag_name`")?;
        let Some(version) = Version::parse(&described.tag_name) else {
            let tag: String = described.tag_name.chars().take(40).collect();
            bail!("its `tag_name`, `{}`, is not a version such as v1.2.3", tag.escape_debug());
        };
        let is_address = |page: &String| {
            let is_web = page.starts_with("https://") || page.starts_with("http://");
            is_web && page.len() <= LONGEST && page.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let page = described.html_url.filter(is_address);
        Ok(Self { version, page, is_published: !described.prerelease && !described.draft })
    }

    /// Whether it is a preview, which is not offered.
    pub(super) const fn is_preview(&self) -> bool {
        self.version.is_preview || !self.is_published
    }

    /// Whether it is offered to those with the version `installed`.
    pub(super) fn is_newer_than(&self, installed: &Version) -> bool {
        !self.is_preview() && self.version.compare(installed).is_gt()
    }

    /// Says that no newer release than `installed` is out.
    pub(super) fn no_newer(&self, installed: &Version) -> String {
        let (here, there) = (&installed.text, &self.version.text);
        if self.is_preview() {
            return format!("mooncast {here}: only a preview is out, {there}, and previews are not offered");
        }
        match self.version.compare(installed) {
            Ordering::Less => format!("mooncast {here} is newer than the newest release, {there}"),
            Ordering::Equal | Ordering::Greater => format!("mooncast {here} is the newest release"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    #[test]
    fn versions_are_in_the_order_of_their_numbers() {
        let inside_out = ["0.1.0", "0.1.2", "0.1.10", "0.2.0-rc.1", "0.2.0", "1.0.0", "10.0.0"];
        for pair in inside_out.windows(2) {
            assert!(version(pair[0]).compare(&version(pair[1])).is_lt(), "{pair:?}");
        }
        for equal in ["v1.2.3", "1.2.3+build.5", "V1.2.3"] {
            assert!(version(equal).compare(&version("1.2.3")).is_eq(), "{equal}");
        }
    }

    #[test]
    fn what_is_no_version_is_none() {
        for text in [
            "",
            "v",
            "1",
            "1.2",
            "1.2.3.4",
            "1.2.x",
            "1.2.+3",
            "1.2.3-",
            "1.2.3+",
            "1.2.3-\u{1b}[2J",
            "-1.2.3",
        ] {
            assert_eq!(Version::parse(text), None, "{text:?}");
        }
        assert_eq!(Version::parse("1.2.99999999999999999999"), None);
        assert_eq!(Version::parse(&format!("1.2.3-{}", "a".repeat(400))), None);
    }

    #[test]
    fn the_page_of_a_release_is_a_web_address() {
        let page = |url: &str| {
            let body = serde_json::json!({ "tag_name": "v1.0.0", "html_url": url }).to_string();
            Release::read(body.as_bytes()).unwrap().page
        };
        assert_eq!(page("https://example.com/r").as_deref(), Some("https://example.com/r"));
        for bad in ["javascript:alert(1)", "https://example.com/\u{1b}[2J", "", "https://a b"] {
            assert_eq!(page(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_repository_at_github_has_an_address_of_its_releases() {
        for repository in ["https://github.com/o/r", "https://github.com/o/r/", "https://github.com/o/r.git"]
        {
            let address = latest_release(repository);
            assert_eq!(address.as_deref(), Some("https://api.github.com/repos/o/r/releases/latest"));
        }
        for other in ["", "https://github.com/o", "https://github.com/o/r/x", "https://example.com/o/r"] {
            assert_eq!(latest_release(other), None, "{other}");
        }
    }
}
