//! Compares what arrived at the service with what the ledger says, and with what people demanded.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use mooncast::{BroadcastCommand, Call, InDoubtPolicy, Instant, RecipientState};

use crate::operator::{Act, Ended};
use crate::service::{Fate, Sent};
use crate::story::Planned;
use crate::world::Outcome;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
/// How long after a command its driver may still begin a request.
const HEARD: Duration = SECOND;

/// Returns everything that must not have happened.
pub fn judge(outcome: &Outcome) -> Vec<String> {
    let mut problems = outcome.problems.clone();
    let mut by_message: BTreeMap<(&str, &str), Vec<&Sent>> = BTreeMap::new();
    for sent in &outcome.sent {
        for group in &sent.groups {
            by_message.entry((&sent.text, group)).or_default().push(sent);
        }
    }
    for ((text, group), requests) in &by_message {
        let planned = outcome.story.broadcasts.iter().find(|planned| planned.name == *text);
        let resends = planned.is_some_and(|planned| planned.policy == InDoubtPolicy::Resend);
        problems.extend(copies(text, group, requests, resends));
    }
    let has_kills = outcome.kills > 0;
    for (index, planned) in outcome.story.broadcasts.iter().enumerate() {
        problems.extend(commands(outcome, index, planned));
        match outcome.desk.ended.borrow().get(&index) {
            Some(ended) => problems.extend(states(planned, ended, &by_message, has_kills)),
            None => problems.push(format!("{}: the ledger does not have it", planned.name)),
        }
    }
    for (group, state) in outcome.desk.singles.borrow().iter() {
        let single = outcome.story.singles.iter().find(|single| single.group.to_string() == *group);
        let text = single.map_or("", |single| single.text.as_str());
        let requests = by_message.get(&(text, group.as_str())).map_or(&[][..], Vec::as_slice);
        problems.extend(state_of(text, group, *state, None, requests, Facts { has_kills, resends: false }));
    }
    problems.extend(unrecorded_singles(outcome, &by_message));
    if outcome.story.is_prompt() {
        problems.extend(quota(outcome, false));
        problems.extend(quota(outcome, true));
    }
    problems.extend(caps(outcome));
    problems
}

/// Whether a message was accepted or refused, and the process recorded that.
fn is_known(sent: &Sent, group: &str) -> bool {
    sent.is_known && (sent.confirms(group) || sent.fate == Fate::Refused)
}

fn accepted(sent: &Sent) -> bool {
    sent.arrived.is_some() && sent.fate.accepts()
}

fn copies(text: &str, group: &str, requests: &[&Sent], resends: bool) -> Vec<String> {
    let mut problems = Vec::new();
    let copies = requests.iter().filter(|sent| accepted(sent)).count();
    if copies > 1 && !resends {
        problems.push(format!("{text} to {group}: {copies} copies"));
    }
    for (number, first) in requests.iter().enumerate() {
        for second in &requests[number + 1..] {
            let ended = first.ended.unwrap_or(Instant::from_start(Duration::MAX));
            if second.began < ended {
                problems.push(format!("{text} to {group}: two requests at once, at {:?}", second.began));
            } else if is_known(first, group) {
                problems.push(format!("{text} to {group}: again at {:?}, although answered", second.began));
            }
        }
    }
    problems
}

/// Nothing is sent while a person wants that it is not.
fn commands(outcome: &Outcome, index: usize, planned: &Planned) -> Vec<String> {
    let acts = outcome.desk.acts.borrow();
    let acts: Vec<_> = acts.iter().filter(|(one, ..)| *one == index).collect();
    let mut problems = Vec::new();
    for sent in outcome.sent.iter().filter(|sent| sent.text == planned.name) {
        let began = sent.began;
        let mut wrong = |why: &str| problems.push(format!("{}: sent at {began:?}, {why}", planned.name));
        let is_approved = acts.iter().any(|(_, act, at)| *act == Act::Approved && *at <= began);
        if planned.needs_approval && !is_approved {
            wrong("without an approval");
        }
        let before = acts.iter().filter(|(_, _, at)| *at + HEARD < began);
        if before
            .clone()
            .any(|(_, act, _)| matches!(act, Act::Rejected | Act::Command(BroadcastCommand::Cancel)))
        {
            wrong("after it was cancelled");
        }
        // A resumption counts at once, a pause when it was heard.
        let latest = acts.iter().rfind(|(_, act, at)| matches!(act, Act::Command(_)) && *at <= began);
        if let Some((_, Act::Command(BroadcastCommand::Pause), at)) = latest
            && *at + HEARD < began
        {
            wrong("while a person had it paused");
        }
    }
    problems
}

fn states(
    planned: &Planned,
    ended: &Ended,
    by_message: &BTreeMap<(&str, &str), Vec<&Sent>>,
    has_kills: bool,
) -> Vec<String> {
    let facts = Facts { has_kills, resends: planned.policy == InDoubtPolicy::Resend };
    let mut problems = Vec::new();
    let name = planned.name.as_str();
    for group in &planned.groups {
        let group = group.to_string();
        let requests = by_message.get(&(name, group.as_str())).map_or(&[][..], Vec::as_slice);
        let Some((state, error)) = ended.groups.get(&group) else {
            if !requests.is_empty() || ended.stage != mooncast::BroadcastStage::Cancelled {
                problems.push(format!("{name} to {group}: the ledger does not have it"));
            }
            continue;
        };
        problems.extend(state_of(name, &group, *state, error.as_deref(), requests, facts));
        if *state == RecipientState::Pending && !ended.waits {
            problems.push(format!("{name} to {group}: pending at the end"));
        }
    }
    problems
}

/// What else counts for the state of a message.
#[derive(Clone, Copy)]
struct Facts {
    /// Whether processes were killed.
    has_kills: bool,
    /// Whether a message in doubt is sent again.
    resends: bool,
}

/// Checks that what the ledger says of a message is true.
fn state_of(
    text: &str,
    group: &str,
    state: RecipientState,
    error: Option<&str>,
    requests: &[&Sent],
    facts: Facts,
) -> Option<String> {
    let is_accepted = requests.iter().any(|sent| accepted(sent));
    // A request whose answer says nothing of this group, or whose process died.
    let is_doubtful = requests.iter().any(|sent| !is_known(sent, group) && sent.fate != Fate::Throttled);
    let is_refused = requests.iter().any(|sent| sent.fate == Fate::Refused && sent.arrived.is_some());
    let is_true = match state {
        RecipientState::Sent => is_accepted,
        // Its process may have died before the request.
        RecipientState::InDoubt => is_doubtful || facts.has_kills,
        RecipientState::Rejected => is_refused,
        // A message in doubt that is to be sent again is pending, and may stay unsent after that.
        RecipientState::Skipped | RecipientState::Cancelled | RecipientState::Pending if facts.resends => {
            !requests.iter().any(|sent| accepted(sent) && is_known(sent, group))
        }
        RecipientState::Skipped | RecipientState::Cancelled | RecipientState::Pending => !is_accepted,
        RecipientState::Sending => false,
    };
    (!is_true).then(|| {
        let fates: Vec<Fate> = requests.iter().map(|sent| sent.fate).collect();
        format!("{text} to {group}: the ledger says {state:?} ({error:?}), after {fates:?}")
    })
}

/// Every single message that arrived has a record.
fn unrecorded_singles(outcome: &Outcome, by_message: &BTreeMap<(&str, &str), Vec<&Sent>>) -> Vec<String> {
    let recorded = outcome.desk.singles.borrow();
    let of = |(text, group): &(&str, &str)| {
        let is_single = outcome.story.singles.iter().any(|single| single.text == *text);
        (is_single && !recorded.iter().any(|(one, _)| one == group))
            .then(|| format!("{text} to {group}: the ledger has no record of it"))
    };
    by_message.keys().filter_map(of).collect()
}

/// No sliding second has more than the quota.
fn quota(outcome: &Outcome, targeted: bool) -> Vec<String> {
    let cost = |sent: &Sent| if targeted { 1 } else { sent.groups.len() };
    let mut arrivals: Vec<_> = outcome
        .sent
        .iter()
        .filter(|sent| sent.is_targeted == targeted)
        .filter_map(|sent| Some((sent.arrived?, cost(sent))))
        .collect();
    arrivals.sort_unstable();
    let (mut second, mut count) = (VecDeque::new(), 0);
    let mut problems = Vec::new();
    for (at, cost) in arrivals {
        second.push_back((at, cost));
        count += cost;
        while let Some((first, cost)) = second.front().copied()
            && first + SECOND <= at
        {
            second.pop_front();
            count -= cost;
        }
        if count > usize::try_from(outcome.story.quota).unwrap() {
            problems.push(format!("{count} messages in the second before {at:?}"));
        }
    }
    problems.truncate(3);
    problems
}

/// No group gets more than its cap within the hour.
fn caps(outcome: &Outcome) -> Vec<String> {
    let mut problems = Vec::new();
    if outcome.story.sets_clock() {
        return problems;
    }
    let kind = |name: &str| outcome.story.broadcasts.iter().find(|planned| planned.name == name);
    for planned in &outcome.story.broadcasts {
        let Some(cap) = planned.cap else { continue };
        for sent in outcome.sent.iter().filter(|sent| sent.text == planned.name && accepted(sent)) {
            for group in &sent.groups {
                let mut before: Vec<&str> = outcome
                    .sent
                    .iter()
                    .filter(|one| one.text != planned.name && accepted(one) && one.groups.contains(group))
                    .filter(|one| one.began < sent.began && sent.began.saturating_since(one.began) < HOUR / 2)
                    .filter(|one| kind(&one.text).is_some_and(|planned| planned.call == Call::Group))
                    .map(|one| one.text.as_str())
                    .collect();
                before.sort_unstable();
                before.dedup();
                if before.len() >= usize::try_from(cap).unwrap() {
                    problems.push(format!(
                        "{} to {group} at {:?}: over its cap of {cap}, after {before:?}",
                        planned.name, sent.began
                    ));
                }
            }
        }
    }
    problems
}
