//! Jobs that run on the workdays of a calendar.

use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use proptest::prelude::*;

use super::*;
use crate::zones::{Calendar, DayKind};

fn calendar(days: &[(Date, DayKind)]) -> Calendar {
    let mut calendar = Calendar::default();
    for (day, kind) in days {
        calendar.add(*day, *kind).unwrap();
    }
    calendar
}

/// The National Day holidays of 2026, with two Saturdays made up.
fn october() -> Calendar {
    let mut days: Vec<_> = (1..=7).map(|day| (date(2026, 10, day), DayKind::Holiday)).collect();
    days.push((date(2026, 9, 27), DayKind::Workday));
    days.push((date(2026, 10, 10), DayKind::Workday));
    calendar(&days)
}

fn on_workdays(text: &str, policy: &str, calendar: Calendar) -> Job {
    let declaration = JobDeclaration {
        calendar: Some("cn-workdays".to_owned()),
        on_holiday: Some(policy.to_owned()),
        ..declared(JobTrigger::Cron(text.to_owned()), "Asia/Shanghai")
    };
    Job::new(&declaration, Some(calendar)).unwrap()
}

fn times(job: &Job, after: &str, count: usize) -> Vec<String> {
    let after: jiff::Timestamp = after.parse().unwrap();
    let after = Duration::try_from(after.as_duration()).unwrap();
    let times = std::iter::successors(job.next_after(after), |last| job.next_after(*last));
    times.take(count).map(run_name).collect()
}

#[test]
fn holidays_are_left_out_and_days_made_up_are_workdays() {
    let job = on_workdays("0 9 * * *", "skip", october());
    assert_eq!(
        times(&job, "2026-09-24T12:00:00Z", 7),
        [
            "2026-09-25T01:00:00Z",
            // A Sunday that is made up.
            "2026-09-27T01:00:00Z",
            "2026-09-28T01:00:00Z",
            "2026-09-29T01:00:00Z",
            "2026-09-30T01:00:00Z",
            "2026-10-08T01:00:00Z",
            "2026-10-09T01:00:00Z",
        ]
    );
    assert_eq!(job.times(), "cron \"0 9 * * *\" in Asia/Shanghai on workdays of cn-workdays");
}

#[test]
fn a_time_on_a_holiday_runs_on_the_next_workday_once() {
    // The first of the month, and a second time of that day.
    let job = on_workdays("0 9,18 1 * *", "next", october());
    assert_eq!(
        times(&job, "2026-09-30T12:00:00Z", 4),
        ["2026-10-08T01:00:00Z", "2026-10-08T10:00:00Z", "2026-11-02T01:00:00Z", "2026-11-02T10:00:00Z"]
    );
    // The times of the holidays fall together with those of the workday.
    let job = on_workdays("0 9 * * *", "next", october());
    assert_eq!(times(&job, "2026-09-30T12:00:00Z", 2), ["2026-10-08T01:00:00Z", "2026-10-09T01:00:00Z"]);
    assert!(job.times().ends_with("on workdays of cn-workdays, holidays on the next"));
}

#[test]
fn an_expression_without_a_workday_ends() {
    let job = on_workdays("0 9 * * sat", "skip", calendar(&[(date(2026, 10, 10), DayKind::Workday)]));
    assert_eq!(times(&job, "2026-09-30T12:00:00Z", 3), ["2026-10-10T01:00:00Z"]);
}

#[test]
fn a_calendar_belongs_to_cron() {
    let every = JobDeclaration {
        calendar: Some("cn".to_owned()),
        ..declared(JobTrigger::Every { ms: 60_000 }, "UTC")
    };
    assert_eq!(Job::new(&every, Some(october())).unwrap_err().field, "calendar");
    let alone = JobDeclaration {
        on_holiday: Some("next".to_owned()),
        ..declared(JobTrigger::Cron("@daily".into()), "UTC")
    };
    assert_eq!(Job::new(&alone, None).unwrap_err().field, "on_holiday");
    let unknown = JobDeclaration {
        on_holiday: Some("later".to_owned()),
        ..declared(JobTrigger::Cron("@daily".into()), "UTC")
    };
    assert!(Job::new(&unknown, None).unwrap_err().message.contains("\"skip\" or \"next\""));
}

proptest! {
    /// With `skip`, the times are those of the expression on workdays. With `next`, each workday has the times of itself and
    /// of the days before it that are none.
    #[test]
    fn times_are_those_of_workdays(
        named in prop::collection::btree_map(0_i32..60, any::<bool>(), 0..25),
        expression in prop::sample::select(vec!["0 9 * * *", "30 8,17 * * mon-fri", "0 10 1,15 * *", "15 7 * * sun"]),
    ) {
        let begin = date(2026, 9, 1);
        let kind = |holiday: &bool| if *holiday { DayKind::Holiday } else { DayKind::Workday };
        let days: Vec<_> = named.iter().map(|(day, holiday)| (begin + day.days(), kind(holiday))).collect();
        let calendar = calendar(&days);
        let plain = job(expression, "UTC");
        let end: Duration = Duration::from_hours(498_192); // 2026-11-01
        let begins: Duration = Duration::from_hours(496_704); // 2026-08-31
        let all = |job: &Job, start: Duration| -> Vec<Duration> {
            std::iter::successors(job.next_after(start), |last| job.next_after(*last)).take_while(|at| *at < end).collect()
        };
        let civil = |at: Duration| zone::timestamp(at).to_zoned(jiff::tz::TimeZone::UTC).datetime();
        let of = |policy: &str| {
            let declaration = JobDeclaration {
                calendar: Some("c".to_owned()),
                on_holiday: Some(policy.to_owned()),
                ..declared(JobTrigger::Cron(expression.to_owned()), "UTC")
            };
            Job::new(&declaration, Some(calendar.clone())).unwrap()
        };
        let kept: Vec<Duration> =
            all(&plain, begins).into_iter().filter(|at| calendar.is_workday(civil(*at).date())).collect();
        prop_assert_eq!(all(&of("skip"), begins), kept);
        // Days before the begin may be moved behind it.
        let moved: std::collections::BTreeSet<_> = all(&plain, begins.saturating_sub(Duration::from_hours(30 * 24)))
            .into_iter()
            .filter_map(|at| {
                let time = civil(at);
                Some(calendar.workday_from(time.date())?.to_datetime(time.time()))
            })
            .filter(|time| (date(2026, 8, 31)..date(2026, 11, 1)).contains(&time.date()))
            .collect();
        let found: std::collections::BTreeSet<_> = all(&of("next"), begins).into_iter().map(civil).collect();
        prop_assert_eq!(found, moved);
    }
}
