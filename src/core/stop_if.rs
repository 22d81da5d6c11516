//! The condition of `stop_if`, by which a broadcast pauses itself.
//!
//! ```text
//! stop_if   = condition { " or " condition }
//! condition = count " > " number                      more than this many recipients
//!           | count " > " number "%" " of " number    more than this part, once so many are settled
//! count     = "rejected" | "in_doubt" | "missing"
//! ```

use std::str::FromStr;

words! {
    /// What a condition counts.
    StopCount {
        /// Recipients that the service refused.
        Rejected, "rejected";
        /// Recipients in doubt.
        InDoubt, "in_doubt";
        /// Sent messages of which the service's complete history has no record.
        Missing, "missing";
    }
}

/// Recipients, as conditions count them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StopCounts {
    pub sent: u64,
    pub rejected: u64,
    pub in_doubt: u64,
    pub missing: u64,
}

/// A condition: more than a number, or more than a part of those that are settled.
#[derive(Debug, Clone, PartialEq)]
struct StopCondition {
    text: String,
    counts: StopCount,
    more_than: f64,
    /// The least settled recipients for a part. `None` for a number.
    part_of: Option<u64>,
}

/// Conditions, one of which must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct StopIf(Vec<StopCondition>);

impl FromStr for StopIf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(" or ").map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for StopCondition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "must be conditions like \"rejected > 2% of 200\" or \"in_doubt > 10\", with \" or \" between, not \"{}\"",
                text.trim().escape_debug()
            )
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let (counts, limit, of) = match words.as_slice() {
            [counts, ">", limit] => (*counts, *limit, None),
            [counts, ">", limit, "of", of] => (*counts, *limit, Some(*of)),
            _ => return Err(wrong()),
        };
        let counts = counts.parse()?;
        let whole = |text: &str| {
            let digits =
                !text.is_empty() && text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse::<u32>().ok())?
        };
        let (more_than, part_of) = match (limit.strip_suffix('%'), of) {
            (None, None) => (f64::from(whole(limit).ok_or_else(wrong)?), None),
            (Some(percent), Some(of)) => {
                let is_number = percent.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
                let percent: Option<f64> = if is_number { percent.parse().ok() } else { None };
                let percent = percent.filter(|percent| (0.0..100.0).contains(percent)).ok_or_else(wrong)?;
                let of = whole(of).filter(|of| *of > 0).ok_or_else(wrong)?;
                (percent, Some(of.into()))
            }
            // A part without a number would stop at the first recipient.
            _ => return Err(wrong()),
        };
        Ok(Self { text: words.join(" "), counts, more_than, part_of })
    }
}

impl StopIf {
    /// Returns the first condition that holds, with the figures. `now` are the counts, without those of before.
    pub fn holds(&self, now: StopCounts) -> Option<String> {
        self.0.iter().find_map(|condition| condition.holds(now))
    }
}

impl StopCondition {
    fn holds(&self, now: StopCounts) -> Option<String> {
        let settled = now.sent + now.rejected + now.in_doubt;
        let (count, of, what) = match self.counts {
            StopCount::Rejected => (now.rejected, settled, "rejected"),
            StopCount::InDoubt => (now.in_doubt, settled, "in doubt"),
            StopCount::Missing => (now.missing, now.sent, "missing at the service"),
        };
        let holds = match self.part_of {
            None => count as f64 > self.more_than,
            Some(least) => of >= least && count as f64 * 100.0 > self.more_than * of as f64,
        };
        holds.then(|| format!("stop_if \"{}\": {count} of {of} are {what}", self.text))
    }
}

impl StopCounts {
    /// Returns what was added since `before`.
    pub const fn since(self, before: Self) -> Self {
        Self {
            sent: self.sent.saturating_sub(before.sent),
            rejected: self.rejected.saturating_sub(before.rejected),
            in_doubt: self.in_doubt.saturating_sub(before.in_doubt),
            missing: self.missing.saturating_sub(before.missing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_strict() {
        for good in [
            "rejected > 10",
            "in_doubt > 0",
            "rejected > 2% of 200 or missing > 0.5% of 1000",
            "missing  >  3",
        ] {
            good.parse::<StopIf>().unwrap();
        }
        for wrong in [
            "",
            "rejected",
            "rejected > ",
            "rejected >= 2",
            "rejected > 2%",
            "rejected > 2 of 200",
            "rejected > -1",
            "rejected > 2% of 0",
            "rejected > 100% of 5",
            "rejected > 1e3",
            "rejected>2",
            "rejected > 2 and missing > 1",
            "rejected > 2 or",
            "sent > 2",
            "rejected > 2% of 200 recipients",
        ] {
            wrong.parse::<StopIf>().unwrap_err();
        }
        assert!("rejectd > 2".parse::<StopIf>().unwrap_err().contains("did you mean \"rejected\"?"));
    }

    #[test]
    fn a_part_holds_once_enough_are_settled() {
        let stop: StopIf = "rejected > 2% of 200 or in_doubt > 5".parse().unwrap();
        let counts = |sent, rejected, in_doubt| StopCounts { sent, rejected, in_doubt, missing: 0 };
        assert_eq!(stop.holds(counts(100, 50, 0)), None);
        assert_eq!(stop.holds(counts(196, 4, 0)), None);
        let why = stop.holds(counts(195, 5, 0)).unwrap();
        assert_eq!(why, "stop_if \"rejected > 2% of 200\": 5 of 200 are rejected");
        assert!(stop.holds(counts(0, 0, 6)).unwrap().contains("6 of 6 are in doubt"));
        // What was there before a resume counts no longer.
        assert_eq!(stop.holds(counts(395, 5, 6).since(counts(195, 5, 6))), None);
        let missing: StopIf = "missing > 10% of 10".parse().unwrap();
        assert!(missing.holds(StopCounts { sent: 20, missing: 3, ..StopCounts::default() }).is_some());
    }
}
