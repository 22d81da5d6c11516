//! Decisions after a stop, a fold, and clock changes.

use std::fmt::Write as _;
use std::time::Duration;

use crate::protocol::JobTrigger;
use crate::schedule::missed::{MOST_AT_ONCE, SkipReason};
use crate::schedule::{Job, JobDecision, RunVerdict, decide, run_name};

use super::{declared, job, unix_time, when};

/// Formats a decision: `run 23T09:00:00; skip 23T06:00:00 to 23T08:00:00 (3) old; next 24T09:00:00`, with only the
/// day of the month.
fn shown(decision: &JobDecision) -> String {
    let short = |at: Duration| run_name(at)[8..].trim_end_matches('Z').to_owned();
    let mut text = String::new();
    for verdict in &decision.verdicts {
        let _ = match verdict {
            RunVerdict::Run(at) => write!(text, "run {}; ", short(*at)),
            RunVerdict::Skip(skipped) => {
                let why = match skipped.why {
                    SkipReason::Skip => "skip",
                    SkipReason::Old => "old",
                    SkipReason::Superseded => "superseded",
                };
                let (first, last) = (short(skipped.first), short(skipped.last));
                write!(text, "{why} {first} to {last} ({}); ", skipped.count)
            }
        };
    }
    let _ = write!(text, "next {}", decision.next.map_or("never".to_owned(), short));
    text
}

const LONG_AGO: &str = "2026-01-01T00:00:00Z";

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn what_is_due_after_a_stop() {
    let (hourly, daily, minutely) = ("0 * * * *", "0 9 * * *", "* * * * *");
    for (text, tz, missed, last, now, expected) in [
        // On time and a little late, with each policy.
        (daily, "UTC", "once", "2026-11-22T09:00:00Z", "2026-11-23T08:59:59.999Z", "next 23T09:00:00"),
        (
            daily,
            "UTC",
            "once",
            "2026-11-22T09:00:00Z",
            "2026-11-23T09:00:00Z",
            "run 23T09:00:00; next 24T09:00:00",
        ),
        (
            daily,
            "UTC",
            "skip",
            "2026-11-22T09:00:00Z",
            "2026-11-23T09:00:00Z",
            "run 23T09:00:00; next 24T09:00:00",
        ),
        (
            daily,
            "UTC",
            "skip",
            "2026-11-22T09:00:00Z",
            "2026-11-23T09:00:05Z",
            "run 23T09:00:00; next 24T09:00:00",
        ),
        (
            daily,
            "UTC",
            "all",
            "2026-11-22T09:00:00Z",
            "2026-11-23T09:00:03Z",
            "run 23T09:00:00; next 24T09:00:00",
        ),
        (
            daily,
            "UTC",
            "skip",
            "2026-11-22T09:00:00Z",
            "2026-11-23T09:00:05.001Z",
            "skip 23T09:00:00 to 23T09:00:00 (1); next 24T09:00:00",
        ),
        // The daemon is down for an hour.
        (
            daily,
            "UTC",
            "once",
            "2026-11-22T09:00:00Z",
            "2026-11-23T10:00:00Z",
            "run 23T09:00:00; next 24T09:00:00",
        ),
        (
            daily,
            "UTC",
            "once",
            "2026-11-22T09:00:00Z",
            "2026-11-23T10:00:00.001Z",
            "old 23T09:00:00 to 23T09:00:00 (1); next 24T09:00:00",
        ),
        (
            daily,
            "UTC",
            "all",
            "2026-11-22T09:00:00Z",
            "2026-11-23T10:30:00Z",
            "old 23T09:00:00 to 23T09:00:00 (1); next 24T09:00:00",
        ),
        (
            "*/20 * * * *",
            "UTC",
            "once",
            "2026-11-23T08:00:00Z",
            "2026-11-23T09:10:00Z",
            "superseded 23T08:20:00 to 23T08:40:00 (2); run 23T09:00:00; next 23T09:20:00",
        ),
        (
            "*/20 * * * *",
            "UTC",
            "all",
            "2026-11-23T08:00:00Z",
            "2026-11-23T09:10:00Z",
            "run 23T08:20:00; run 23T08:40:00; run 23T09:00:00; next 23T09:20:00",
        ),
        (
            "*/20 * * * *",
            "UTC",
            "all",
            "2026-11-23T07:00:00Z",
            "2026-11-23T09:10:00Z",
            "old 23T07:20:00 to 23T08:00:00 (3); run 23T08:20:00; run 23T08:40:00; run 23T09:00:00; next 23T09:20:00",
        ),
        (
            "*/20 * * * *",
            "UTC",
            "skip",
            "2026-11-23T08:00:00Z",
            "2026-11-23T09:10:00Z",
            "skip 23T08:20:00 to 23T09:00:00 (3); next 23T09:20:00",
        ),
        // The daemon is down for an hour and returns when a time is due. That time replaces the missed ones.
        (
            "*/20 * * * *",
            "UTC",
            "once",
            "2026-11-23T08:00:00Z",
            "2026-11-23T09:00:01Z",
            "superseded 23T08:20:00 to 23T08:40:00 (2); run 23T09:00:00; next 23T09:20:00",
        ),
        (
            "*/20 * * * *",
            "UTC",
            "all",
            "2026-11-23T08:00:00Z",
            "2026-11-23T09:00:01Z",
            "run 23T08:20:00; run 23T08:40:00; run 23T09:00:00; next 23T09:20:00",
        ),
        (
            "*/20 * * * *",
            "UTC",
            "skip",
            "2026-11-23T08:00:00Z",
            "2026-11-23T09:00:01Z",
            "skip 23T08:20:00 to 23T08:40:00 (2); run 23T09:00:00; next 23T09:20:00",
        ),
        // The daemon is down for a day, and for months.
        (
            hourly,
            "UTC",
            "once",
            "2026-11-22T09:00:00Z",
            "2026-11-23T09:30:00Z",
            "superseded 22T10:00:00 to 23T08:00:00 (23); run 23T09:00:00; next 23T10:00:00",
        ),
        (
            daily,
            "UTC",
            "once",
            "2026-11-20T09:00:00Z",
            "2026-11-23T08:00:00Z",
            "old 21T09:00:00 to 22T09:00:00 (2); next 23T09:00:00",
        ),
        (
            minutely,
            "UTC",
            "skip",
            "2026-01-31T00:00:00Z",
            "2026-11-23T08:00:30Z",
            "skip 31T00:01:00 to 23T08:00:00 (1000); next 23T08:01:00",
        ),
        ("0 0 1 1 *", "UTC", "once", "2026-01-01T00:00:00Z", "2026-11-23T08:00:30Z", "next 01T00:00:00"),
        // The daemon is down over the fold in New York, 05:00Z to 07:00Z on the 1st. The daily job has one time in
        // it.
        (
            "30 1 * * *",
            "America/New_York",
            "all",
            "2026-10-31T05:30:00Z",
            "2026-11-01T06:30:00Z",
            "run 01T05:30:00; next 02T06:30:00",
        ),
        (
            "30 1 * * *",
            "America/New_York",
            "once",
            "2026-11-01T05:30:00Z",
            "2026-11-01T06:30:00Z",
            "next 02T06:30:00",
        ),
        (
            "30 * * * *",
            "America/New_York",
            "all",
            "2026-11-01T04:30:00Z",
            "2026-11-01T06:30:00Z",
            "run 01T05:30:00; run 01T06:30:00; next 01T07:30:00",
        ),
        // The daemon is down over the gap in Berlin, 01:00Z on the 29th.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "once",
            "2026-03-28T01:30:00Z",
            "2026-03-29T01:45:00Z",
            "run 29T01:00:00; next 30T00:30:00",
        ),
        (
            "0,30 2 * * *",
            "Europe/Berlin",
            "all",
            "2026-03-28T01:30:00Z",
            "2026-03-29T01:45:00Z",
            "run 29T01:00:00; next 30T00:00:00",
        ),
        // The clock is set back by an hour and by a day: no time runs again. It is set forward: the times in between
        // are missed.
        (daily, "UTC", "once", "2026-11-23T09:00:00Z", "2026-11-23T08:30:00Z", "next 24T09:00:00"),
        (hourly, "UTC", "all", "2026-11-23T09:00:00Z", "2026-11-22T09:00:00Z", "next 23T10:00:00"),
        (hourly, "UTC", "skip", "2026-11-23T09:00:00Z", "2026-11-23T08:00:00Z", "next 23T10:00:00"),
        (
            hourly,
            "UTC",
            "once",
            "2026-11-23T09:00:00Z",
            "2026-11-23T12:30:00Z",
            "superseded 23T10:00:00 to 23T11:00:00 (2); run 23T12:00:00; next 23T13:00:00",
        ),
        (
            "every 15m",
            "UTC",
            "once",
            "2026-11-23T09:00:00Z",
            "2026-11-23T09:16:00Z",
            "run 23T09:15:00; next 23T09:30:00",
        ),
        // A single time that is past when the job is first registered, and then decided.
        ("at 2026-11-23 09:00", "UTC", "once", "", "2026-11-23T09:30:00Z", "run 23T09:00:00; next never"),
        (
            "at 2026-11-23 09:00",
            "UTC",
            "once",
            "",
            "2026-11-23T10:30:00Z",
            "old 23T09:00:00 to 23T09:00:00 (1); next never",
        ),
        (
            "at 2026-11-23 09:00",
            "UTC",
            "skip",
            "",
            "2026-11-23T09:30:00Z",
            "skip 23T09:00:00 to 23T09:00:00 (1); next never",
        ),
        ("at 2026-11-23 09:00", "UTC", "once", "", "2026-11-23T08:30:00Z", "next 23T09:00:00"),
        ("at 2026-11-23 09:00", "UTC", "once", "2026-11-23T09:00:00Z", "2026-11-23T09:00:01Z", "next never"),
        // Seconds: times within the tolerance are on time.
        (
            "every 1s",
            "UTC",
            "once",
            "2026-11-23T08:59:57Z",
            "2026-11-23T09:00:00Z",
            "run 23T08:59:58; run 23T08:59:59; run 23T09:00:00; next 23T09:00:01",
        ),
        (
            "every 2s",
            "UTC",
            "once",
            "2026-11-23T08:00:00Z",
            "2026-11-23T09:00:01Z",
            "superseded 23T08:00:02 to 23T08:59:54 (1000); run 23T08:59:56; run 23T08:59:58; run 23T09:00:00; next 23T09:00:02",
        ),
    ] {
        let mut declaration = declared(when(text), tz);
        declaration.missed = Some(missed.to_owned());
        let job = Job::new(&declaration, None).unwrap();
        let last = (!last.is_empty()).then(|| unix_time(last));
        let decision = decide(&job, last, unix_time(LONG_AGO), unix_time(now));
        assert_eq!(shown(&decision), expected, "{text} in {tz}, {missed}, at {now}");
        assert_eq!(decision.wake, decision.next, "nothing is put off");
        let ahead = last.and_then(|last| last.checked_sub(unix_time(now))).filter(|ahead| !ahead.is_zero());
        assert_eq!(decision.ahead, ahead);
        // No time is decided twice.
        if let Some(done) = decision.verdicts.last().map(RunVerdict::last) {
            let again = decide(&job, Some(done), unix_time(LONG_AGO), unix_time(now));
            assert_eq!((again.verdicts, again.next), (Vec::new(), decision.next), "{text} at {now}");
        }
    }
}

#[test]
fn what_was_before_a_job_was_known_is_not_missed() {
    let job = job("0 * * * *", "UTC");
    let (since, now) = (unix_time("2026-11-23T08:30:00Z"), unix_time("2026-11-23T09:10:00Z"));
    assert_eq!(shown(&decide(&job, None, since, now)), "run 23T09:00:00; next 23T10:00:00");
    // The job was removed and came back.
    let last = Some(unix_time("2026-11-01T00:00:00Z"));
    assert_eq!(shown(&decide(&job, last, since, now)), "run 23T09:00:00; next 23T10:00:00");
    assert_eq!(shown(&decide(&job, last, now, now)), "next 23T10:00:00");
}

#[test]
fn a_grace_of_its_own() {
    let mut declaration = declared(when("0 9 * * *"), "UTC");
    declaration.grace_ms = Some(3 * 86_400_000);
    let last = Some(unix_time("2026-11-20T09:00:00Z"));
    let now = unix_time("2026-11-23T08:00:00Z");
    let once = decide(&Job::new(&declaration, None).unwrap(), last, Duration::ZERO, now);
    assert_eq!(shown(&once), "superseded 21T09:00:00 to 21T09:00:00 (1); run 22T09:00:00; next 23T09:00:00");
    declaration.missed = Some("all".to_owned());
    let all = decide(&Job::new(&declaration, None).unwrap(), last, Duration::ZERO, now);
    assert_eq!(shown(&all), "run 21T09:00:00; run 22T09:00:00; next 23T09:00:00");
}

#[test]
fn a_run_that_is_put_off_is_not_late() {
    let mut declaration = declared(JobTrigger::Every { ms: 3_600_000 }, "UTC");
    declaration.jitter_ms = Some(1_800_000);
    declaration.missed = Some("skip".to_owned());
    let job = Job::new(&declaration, None).unwrap();
    let (last, next) = (unix_time("2026-11-23T08:00:00Z"), unix_time("2026-11-23T09:00:00Z"));
    let wake = decide(&job, Some(last), Duration::ZERO, last).wake.unwrap();
    assert_eq!(wake, next + job.delay(next));
    assert!(wake > next);
    let early = decide(&job, Some(last), Duration::ZERO, wake.saturating_sub(Duration::from_millis(1)));
    assert_eq!((early.verdicts, early.wake), (Vec::new(), Some(wake)));
    assert_eq!(decide(&job, Some(last), Duration::ZERO, wake).verdicts, [RunVerdict::Run(next)]);
}

#[test]
fn a_long_list_comes_in_parts_and_whole() {
    let mut declaration = declared(JobTrigger::Every { ms: 1000 }, "UTC");
    declaration.missed = Some("all".to_owned());
    let job = Job::new(&declaration, None).unwrap();
    let now = unix_time("2026-11-23T09:00:00Z");
    let mut last = now.saturating_sub(Duration::from_secs(1000));
    let mut ran = Vec::new();
    loop {
        let decision = decide(&job, Some(last), Duration::ZERO, now);
        assert!(decision.verdicts.len() <= MOST_AT_ONCE);
        let Some(done) = decision.verdicts.last() else { break };
        last = done.last();
        ran.extend(decision.verdicts);
    }
    let expected: Vec<_> =
        (0..1000).rev().map(|ago| RunVerdict::Run(now.saturating_sub(Duration::from_secs(ago)))).collect();
    assert_eq!(ran, expected);
}
