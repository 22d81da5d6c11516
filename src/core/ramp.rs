//! Ramps: a broadcast begins with few recipients, and waits before it goes on to more.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::parse_duration;

/// The most stages.
const MOST_STAGES: usize = 20;

/// The longest pause.
const LONGEST: Duration = Duration::from_hours(24 * 7);

/// The stages of a broadcast. After each it waits; after the last it goes on to all recipients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ramp {
    /// How many recipients are sent to by the end of each stage.
    pub stages: Vec<RampStage>,
    /// The pause after each stage: `5m`.
    #[serde(default = "five_minutes")]
    pub pause: String,
}

fn five_minutes() -> String {
    "5m".to_owned()
}

/// The end of a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number of recipients, or a percentage like \"10%\"")]
pub enum RampStage {
    Recipients(u64),
    Percent(String),
}

impl Ramp {
    /// Returns how many of `total` recipients are sent to by the end of each stage.
    ///
    /// # Errors
    ///
    /// The problem, which follows the name of the field: the stages are none, too many, not in ascending order, or of both
    /// forms.
    pub fn limits(&self, total: u64) -> Result<Vec<u64>, String> {
        if self.stages.is_empty() || self.stages.len() > MOST_STAGES {
            return Err(format!("must have 1 to {MOST_STAGES} stages, not {}", self.stages.len()));
        }
        let mut last = 0.0;
        let mut limits = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            let (value, limit) = match stage {
                RampStage::Recipients(count) => (*count as f64, *count),
                RampStage::Percent(text) => {
                    let percent = percent(text)?;
                    (percent, part_of(total, percent))
                }
            };
            if value <= last {
                return Err(
                    "must have stages that grow, each of at least 1 recipient or more than 0%".to_owned()
                );
            }
            last = value;
            limits.push(limit);
        }
        let percents = self.stages.iter().filter(|stage| matches!(stage, RampStage::Percent(_))).count();
        if percents != 0 && percents != self.stages.len() {
            return Err("must have stages of one form: numbers of recipients, or percentages".to_owned());
        }
        Ok(limits)
    }

    /// Returns the pause after each stage.
    ///
    /// # Errors
    ///
    /// What is wrong with the text, if it is not a time from a second to seven days.
    pub fn pause(&self) -> Result<Duration, String> {
        let length = parse_duration(&self.pause).ok();
        length.filter(|length| (Duration::from_secs(1)..=LONGEST).contains(length)).ok_or_else(|| {
            format!(
                "must be a time from 1s to 7d, like \"5m\" or \"1h\", not \"{}\"",
                self.pause.escape_debug()
            )
        })
    }
}

/// Reads `10%` or `0.5%`, up to 100.
fn percent(text: &str) -> Result<f64, String> {
    let number = text
        .strip_suffix('%')
        .filter(|number| number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'));
    let percent: Option<f64> = number.and_then(|number| number.parse().ok());
    percent
        .filter(|percent| (0.0..=100.0).contains(percent))
        .ok_or_else(|| format!("must have percentages like \"10%\", not \"{}\"", text.escape_debug()))
}

/// The part of a total, at least 1.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a count is one")]
fn part_of(total: u64, percent: f64) -> u64 {
    ((total as f64 * percent / 100.0).ceil() as u64).max(1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ramp(stages: &serde_json::Value) -> Ramp {
        serde_json::from_value(json!({ "stages": stages })).unwrap()
    }

    #[test]
    fn stages_are_numbers_or_percentages() {
        assert_eq!(ramp(&json!([1, 10, 100])).limits(50), Ok(vec![1, 10, 100]));
        assert_eq!(ramp(&json!(["0.5%", "10%", "100%"])).limits(250), Ok(vec![2, 25, 250]));
        assert_eq!(ramp(&json!(["1%"])).limits(3), Ok(vec![1]));
        assert_eq!(ramp(&json!([1])).pause(), Ok(Duration::from_mins(5)));
        for (stages, expected) in [
            (json!([]), "1 to 20 stages"),
            (json!([10, 10]), "stages that grow"),
            (json!([0]), "at least 1 recipient"),
            (json!([1, "10%"]), "of one form"),
            (json!(["101%"]), "percentages like"),
            (json!(["1 %"]), "percentages like"),
            (json!(["10"]), "percentages like"),
        ] {
            let problem = ramp(&stages).limits(100).unwrap_err();
            assert!(problem.contains(expected), "{stages}: {problem}");
        }
        let pause = Ramp { pause: "soon".to_owned(), ..ramp(&json!([1])) };
        assert!(pause.pause().unwrap_err().contains("like \"5m\""));
    }
}
