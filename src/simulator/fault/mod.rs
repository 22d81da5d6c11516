//! Planned faults: when the service fails, and how.

mod parse;

use std::fmt;

use axum::http::StatusCode;
use rand::Rng;
use serde_json::Value;

pub use parse::ParseFaultError;

use super::ServiceCall;

/// When the service fails, and how.
///
/// A plan is a list of rules, parsed from text with [`str::parse`]. Rules are on separate lines or separated by `;`,
/// each `CALL[:WHEN]:WHAT`:
///
/// - CALL: `send`, `targeted`, `users`, `rooms`, `messages` (the old call), `token`, `upload`, `download`, `groups`,
///   `members`, `group-details`, `group-change`, `recall`, `rewrite`, `history`, `history-file`, `callback`, or `any`,
///   which means any call to the service;
/// - WHEN: `every=K` (the K-th, 2K-th…), `first=N`, `at=3,7` (by number, from 1), `p=0.01` (with that probability),
///   `contains=WORD` (if the call's JSON contains the word).
///   Without WHEN the rule always applies. A rule counts only its own calls, and a new plan starts counting at 0;
/// - WHAT, where *before* means that the service never saw the call and *after* that it did what the call requested:
///   - a status from 300 to 599, with `=ERROR` the error of that name: `429`, `429=resource_limited`,
///     `403=forbidden_op`, `500=web_application`; then, each after a comma, `html` (the body of a gateway, which a
///     502 always has), `json` (a 502 without that body), `retry-after=SECONDS`, `after` (the error follows
///     acceptance);
///   - `reset-before`, `reset-after`: the connection is reset without an answer;
///   - `hang-before`, `hang-after`: the service never answers;
///   - `truncated`: after acceptance the answer stops in the middle of its body;
///   - `garbage`: after acceptance a 200 whose body is not JSON;
///   - `missing`: after acceptance a 200 without the first group;
///   - `moderated`, only for `send` and `targeted`: the call is answered as usual, but moderation stops its messages, so
///     that no history file has them and no callback is posted for them;
///   - only for `callback`: `lost`, `doubled` (the same callback is posted twice), `delayed=SECONDS` (in addition to the
///     usual delay), `swapped` (it is posted 50 ms after the next one, at the latest 30 s late).
///
/// Examples: `send:every=10:429`, `token:first=2:503,retry-after=1`, `send:p=0.01:reset-after`,
/// `send:at=3:504,after`, `send:contains=casino:moderated`, `callback:p=0.05:lost`. If several rules apply to a call, the first one in the plan decides.
#[derive(Debug, Clone, Default)]
pub struct FaultPlan(Vec<FaultRule>);

#[derive(Debug, Clone)]
struct FaultRule {
    /// The rule as it was written.
    text: String,
    /// The call of the rule. `None` means any call.
    call: Option<ServiceCall>,
    when: FaultTrigger,
    fault: InjectedFault,
    /// How many of the rule's calls have arrived.
    seen: u64,
}

#[derive(Debug, Clone, PartialEq)]
enum FaultTrigger {
    Always,
    Every(u64),
    First(u64),
    At(Vec<u64>),
    Chance(f64),
    Contains(String),
}

/// The effect of a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InjectedFault {
    /// Whether the service accepts the call before the fault.
    pub(super) accepted: bool,
    pub(super) what: FaultEffect,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FaultEffect {
    Status { status: StatusCode, error: Option<String>, html: bool, retry_after: Option<u64> },
    Reset,
    Hang,
    Truncated,
    Garbage,
    Missing,
    Moderated,
    Callback(CallbackFault),
}

/// What happens to a callback on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallbackFault {
    Lost,
    Doubled,
    Delayed(u64),
    Swapped,
}

impl FaultPlan {
    /// Whether the plan has no rules.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends the rules of another plan.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Counts the call in every rule for it. `body` is the JSON of the request. Returns the fault of the call, if any, and the text of its rule.
    pub(super) fn next_fault(
        &mut self,
        call: ServiceCall,
        body: &[u8],
        rng: &mut impl Rng,
    ) -> Option<(InjectedFault, String)> {
        let mut struck = None;
        let applies =
            |rule: &&mut FaultRule| rule.call.map_or(call != ServiceCall::Callback, |wanted| wanted == call);
        for rule in self.0.iter_mut().filter(applies) {
            rule.seen += 1;
            let strikes = match &rule.when {
                FaultTrigger::Always => true,
                FaultTrigger::Every(k) => rule.seen.is_multiple_of(*k),
                FaultTrigger::First(n) => rule.seen <= *n,
                FaultTrigger::At(numbers) => numbers.contains(&rule.seen),
                FaultTrigger::Chance(p) => rng.random_bool(*p),
                FaultTrigger::Contains(word) => contains(body, word),
            };
            if strikes && struck.is_none() {
                struck = Some((rule.fault.clone(), rule.text.clone()));
            }
        }
        struck
    }
}

/// Whether the JSON contains the word, however the JSON escapes it.
fn contains(body: &[u8], word: &str) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|json| json.to_string().contains(word))
}

impl fmt::Display for FaultPlan {
    /// Writes the rules as they were written, one per line.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|rule| writeln!(formatter, "{}", rule.text))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    /// Returns which of the first 12 sends have a fault.
    fn struck(plan: &str) -> Vec<u64> {
        let mut plan: FaultPlan = plan.parse().unwrap();
        let mut rng = StdRng::seed_from_u64(7);
        (1..=12).filter(|_| plan.next_fault(ServiceCall::Send, b"", &mut rng).is_some()).collect()
    }

    #[test]
    fn a_rule_strikes_when_it_says() {
        assert_eq!(struck("send:every=5:429"), [5, 10]);
        assert_eq!(struck("send:first=2:429"), [1, 2]);
        assert_eq!(struck("any:at=3,7:429"), [3, 7]);
        assert_eq!(struck("send:429").len(), 12);
        assert_eq!(struck("send:p=1:429").len(), 12);
        assert!(struck("send:p=0:429").is_empty());
        assert!(struck("token:429").is_empty());
    }

    #[test]
    fn chance_strikes_about_as_often_as_it_says() {
        let mut plan: FaultPlan = "any:p=0.25:429".parse().unwrap();
        let mut rng = StdRng::seed_from_u64(7);
        let struck =
            (0..10_000).filter(|_| plan.next_fault(ServiceCall::Groups, b"", &mut rng).is_some()).count();
        assert!((2_300..2_700).contains(&struck), "{struck}");
    }

    #[test]
    fn the_first_of_several_strikes_and_all_of_them_count() {
        let mut plan: FaultPlan = "send:every=2:429\nsend:every=3:503".parse().unwrap();
        let mut rng = StdRng::seed_from_u64(7);
        let texts: Vec<_> = (1..=6)
            .map(|_| plan.next_fault(ServiceCall::Send, b"", &mut rng).map(|(_, text)| text))
            .collect();
        let (even, third) = (Some("send:every=2:429".to_owned()), Some("send:every=3:503".to_owned()));
        assert_eq!(texts, [None, even.clone(), third, even.clone(), None, even]);
    }
}
