//! Parses a fault plan.

use std::str::FromStr;

use axum::http::StatusCode;

use super::{CallbackFault, FaultEffect, FaultPlan, FaultRule, FaultTrigger, InjectedFault};
use crate::simulator::ServiceCall;

/// A fault rule that cannot be parsed, with the position and the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("fault `{rule}`, column {column}: {problem}")]
pub struct ParseFaultError {
    /// The rule as it was written.
    pub rule: String,
    /// The position of the fault in the rule, in characters, from 1.
    pub column: usize,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl FromStr for FaultPlan {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rules = text.split(['\n', ';']).map(str::trim).filter(|rule| !rule.is_empty());
        rules.map(rule).collect::<Result<_, _>>().map(Self)
    }
}

fn rule(text: &str) -> Result<FaultRule, ParseFaultError> {
    // Every part is a slice of the rule, so its start gives its position.
    let fail = |part: &str, problem: String| {
        let offset = part.as_ptr().addr().saturating_sub(text.as_ptr().addr());
        let column = text.get(..offset).map_or(0, |before| before.chars().count()) + 1;
        ParseFaultError { rule: text.to_owned(), column, problem }
    };
    let parts: Vec<&str> = text.split(':').map(str::trim).collect();
    let (call, when, what) = match parts[..] {
        [call, what] => (call, None, what),
        [call, when, what] => (call, Some(when), what),
        _ => return Err(fail(text, "a rule is CALL:WHAT or CALL:WHEN:WHAT".to_owned())),
    };
    let wanted = read_call(call).map_err(|problem| fail(call, problem))?;
    let fault = read_fault(what).map_err(|(part, problem)| fail(part, problem))?;
    check_pair(wanted, &fault.what).map_err(|problem| fail(what, problem.to_owned()))?;
    Ok(FaultRule {
        text: text.to_owned(),
        call: wanted,
        when: match when {
            Some(when) => read_when(when).map_err(|problem| fail(when, problem))?,
            None => FaultTrigger::Always,
        },
        fault,
        seen: 0,
    })
}

/// Checks that the fault can happen to the call.
fn check_pair(call: Option<ServiceCall>, what: &FaultEffect) -> Result<(), &'static str> {
    let is_callback = call == Some(ServiceCall::Callback);
    match what {
        FaultEffect::Moderated
            if !matches!(
                call,
                Some(ServiceCall::Send | ServiceCall::Targeted | ServiceCall::Users | ServiceCall::Rooms)
            ) =>
        {
            Err("`moderated` is a fault of `send`, `targeted`, `users` and `rooms` only")
        }
        FaultEffect::Callback(_) if !is_callback => Err("this is a fault of `callback` only"),
        FaultEffect::Callback(_) => Ok(()),
        _ if is_callback => Err("the faults of `callback` are lost, doubled, delayed=SECONDS and swapped"),
        _ => Ok(()),
    }
}

fn read_call(name: &str) -> Result<Option<ServiceCall>, String> {
    if name == "any" {
        return Ok(None);
    }
    name.parse().map(Some).map_err(|()| {
        let names: Vec<_> = ServiceCall::ALL.iter().map(|call| call.name()).collect();
        format!("`{name}` is not a call; the calls are {} and any", names.join(", "))
    })
}

fn read_when(text: &str) -> Result<FaultTrigger, String> {
    let known = "`every=K`, `first=N`, `at=N,N…`, `p=0.01`, `contains=WORD`";
    let (name, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is not one of {known}"))?;
    let number = |value: &str| {
        let number = value.trim().parse::<u64>().ok().filter(|&number| number > 0);
        number.ok_or_else(|| format!("`{name}` needs a whole number over 0, not `{value}`"))
    };
    match name {
        "every" => number(value).map(FaultTrigger::Every),
        "first" => number(value).map(FaultTrigger::First),
        "at" => value.split(',').map(number).collect::<Result<_, _>>().map(FaultTrigger::At),
        "p" => {
            let chance = value.parse::<f64>().ok().filter(|chance| (0.0..=1.0).contains(chance));
            chance
                .map(FaultTrigger::Chance)
                .ok_or_else(|| format!("`p` needs a number from 0 to 1, not `{value}`"))
        }
        "contains" if !value.is_empty() => Ok(FaultTrigger::Contains(value.to_owned())),
        _ => Err(format!("`{name}` is not one of {known}")),
    }
}

/// Parses the fault. On an error, returns the wrong part and the reason.
fn read_fault(text: &str) -> Result<InjectedFault, (&str, String)> {
    let mut parts = text.split(',').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let (accepted, what) = match kind {
        "reset-before" => (false, FaultEffect::Reset),
        "reset-after" => (true, FaultEffect::Reset),
        "hang-before" => (false, FaultEffect::Hang),
        "hang-after" => (true, FaultEffect::Hang),
        "truncated" => (true, FaultEffect::Truncated),
        "garbage" => (true, FaultEffect::Garbage),
        "missing" => (true, FaultEffect::Missing),
        "moderated" => (true, FaultEffect::Moderated),
        "lost" => (true, FaultEffect::Callback(CallbackFault::Lost)),
        "doubled" => (true, FaultEffect::Callback(CallbackFault::Doubled)),
        "swapped" => (true, FaultEffect::Callback(CallbackFault::Swapped)),
        _ if kind.starts_with("delayed=") => {
            let seconds = kind.trim_start_matches("delayed=").parse();
            let seconds = seconds.map_err(|_| (kind, "`delayed` needs whole seconds".to_owned()))?;
            (true, FaultEffect::Callback(CallbackFault::Delayed(seconds)))
        }
        _ => return read_status(kind, parts),
    };
    match parts.next() {
        Some(part) => Err((part, format!("`{kind}` takes nothing more, such as `{part}`"))),
        None => Ok(InjectedFault { accepted, what }),
    }
}

fn read_status<'a>(
    kind: &'a str,
    modifiers: impl Iterator<Item = &'a str>,
) -> Result<InjectedFault, (&'a str, String)> {
    let (number, error) = kind.split_once('=').map_or((kind, None), |(number, error)| (number, Some(error)));
    let status = number.parse().ok().filter(|number| (300..=599).contains(number));
    let Some(status) = status.and_then(|number: u16| StatusCode::from_u16(number).ok()) else {
        let known = "reset-before, reset-after, hang-before, hang-after, truncated, garbage, missing, moderated, lost, \
             doubled, delayed=SECONDS, swapped and 300 to 599";
        return Err((kind, format!("`{kind}` is not a fault; the faults are {known}")));
    };
    let (mut html, mut retry_after, mut accepted) = (status == StatusCode::BAD_GATEWAY, None, false);
    for modifier in modifiers {
        match modifier.split_once('=') {
            None if modifier == "html" => html = true,
            None if modifier == "json" => html = false,
            None if modifier == "after" => accepted = true,
            Some(("retry-after", seconds)) => {
                let problem = || (modifier, format!("`retry-after` needs whole seconds, not `{seconds}`"));
                retry_after = Some(seconds.parse().map_err(|_| problem())?);
            }
            _ => {
                let known = "html, json, after and retry-after=SECONDS";
                return Err((modifier, format!("`{modifier}` is not one of {known}")));
            }
        }
    }
    let error = error.map(str::to_owned);
    Ok(InjectedFault { accepted, what: FaultEffect::Status { status, error, html, retry_after } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> InjectedFault {
        text.parse::<FaultPlan>().unwrap().0.remove(0).fault
    }

    fn status(status: u16, error: Option<&str>, html: bool, retry_after: Option<u64>) -> FaultEffect {
        let status = StatusCode::from_u16(status).unwrap();
        FaultEffect::Status { status, error: error.map(str::to_owned), html, retry_after }
    }

    #[test]
    fn reads_every_kind_of_fault() {
        let cases = [
            ("send:429", false, status(429, None, false, None)),
            ("any:every=2:429=resource_limited", false, status(429, Some("resource_limited"), false, None)),
            ("token:first=1:503,retry-after=2", false, status(503, None, false, Some(2))),
            ("send:502", false, status(502, None, true, None)),
            ("send:502,json", false, status(502, None, false, None)),
            ("send : p=0.5 : 504 , html , after", true, status(504, None, true, None)),
            ("upload:at=1,2:reset-before", false, FaultEffect::Reset),
            ("download:reset-after", true, FaultEffect::Reset),
            ("groups:hang-before", false, FaultEffect::Hang),
            ("members:hang-after", true, FaultEffect::Hang),
            ("recall:truncated", true, FaultEffect::Truncated),
            ("targeted:garbage", true, FaultEffect::Garbage),
            ("send:missing", true, FaultEffect::Missing),
            ("send:contains=casino:moderated", true, FaultEffect::Moderated),
            ("callback:p=0.1:lost", true, FaultEffect::Callback(CallbackFault::Lost)),
            ("callback:doubled", true, FaultEffect::Callback(CallbackFault::Doubled)),
            ("callback:delayed=20", true, FaultEffect::Callback(CallbackFault::Delayed(20))),
            ("callback:swapped", true, FaultEffect::Callback(CallbackFault::Swapped)),
        ];
        for (text, accepted, what) in cases {
            assert_eq!(fault(text), InjectedFault { accepted, what }, "{text}");
        }
    }

    #[test]
    fn an_error_says_which_rule_where_and_why() {
        let cases = [
            ("send", 1, "CALL:WHAT"),
            ("sned:429", 1, "`sned` is not a call"),
            ("send:often:429", 6, "`often` is not one of"),
            ("send:every=0:429", 6, "whole number over 0, not `0`"),
            ("send:at=1,x:429", 6, "not `x`"),
            ("send:p=2:429", 6, "from 0 to 1, not `2`"),
            ("send:every=3:200", 14, "`200` is not a fault"),
            ("send:every=3:oops", 14, "`oops` is not a fault"),
            ("send:503,soon", 10, "`soon` is not one of"),
            ("send:503,retry-after=x", 10, "not `x`"),
            ("send:contains=:429", 6, "`contains` is not one of"),
            ("token:moderated", 7, "of `send`, `targeted`, `users` and `rooms` only"),
            ("any:lost", 5, "of `callback` only"),
            ("callback:429", 10, "are lost, doubled"),
            ("callback:delayed=x", 10, "whole seconds"),
            ("send:missing,after", 14, "takes nothing more"),
        ];
        for (text, column, problem) in cases {
            let error = format!("any:429; {text}").parse::<FaultPlan>().unwrap_err();
            assert_eq!((error.rule.as_str(), error.column), (text, column), "{error}");
            assert!(error.problem.contains(problem), "{error}");
        }
        let error = "sned:429".parse::<FaultPlan>().unwrap_err().to_string();
        assert!(
            error.starts_with("fault `sned:429`, column 1: `sned` is not a call; the calls are token, send")
        );
    }

    #[test]
    fn a_plan_reads_back_as_it_was_written() {
        let plan: FaultPlan = "send:429; token:first=1:503\n\n any:p=0.1:garbage ".parse().unwrap();
        assert_eq!(plan.to_string(), "send:429\ntoken:first=1:503\nany:p=0.1:garbage\n");
        assert_eq!(plan.to_string().parse::<FaultPlan>().unwrap().to_string(), plan.to_string());
    }
}
