//! Declarations that are refused, and their errors.

use crate::protocol::JobTrigger;
use crate::schedule::Job;

use super::{declared, job, try_job};

#[test]
fn schedules_that_are_wrong_say_where_and_what_is_right() {
    for (text, tz, field, parts) in [
        ("", "UTC", "expr", &["0 fields", "five", "0 9 * * mon-fri"][..]),
        ("0 9 * *", "UTC", "expr", &["\"0 9 * *\"", "4 fields", "five"]),
        ("0 0 9 * * * 2026", "UTC", "expr", &["7 fields"]),
        ("61 * * * *", "UTC", "expr", &["the minute `61`", "0 to 59"]),
        ("0 24 * * *", "UTC", "expr", &["the hour `24`", "0 to 23"]),
        ("0 9 0 * *", "UTC", "expr", &["the day of the month `0`", "1 to 31"]),
        ("0 9 * 13 *", "UTC", "expr", &["the month `13`", "jan to dec"]),
        ("0 9 * * 8", "UTC", "expr", &["the day of the week `8`", "sun to sat"]),
        ("0 9 * * monday", "UTC", "expr", &["the day of the week `monday`"]),
        ("0 9 * * fri-mon", "UTC", "expr", &["the day of the week `fri-mon`"]),
        ("mon 9 * * *", "UTC", "expr", &["the minute `mon`"]),
        ("0 9 * mon *", "UTC", "expr", &["the month `mon`"]),
        ("60 0 9 * * *", "UTC", "expr", &["the second `60`"]),
        ("*/0 * * * *", "UTC", "expr", &["the minute `*/0`"]),
        ("*/70 * * * *", "UTC", "expr", &["the minute `*/70`"]),
        ("1,,2 * * * *", "UTC", "expr", &["the minute `1,,2`"]),
        ("5-1 * * * *", "UTC", "expr", &["the minute `5-1`"]),
        ("-1 * * * *", "UTC", "expr", &["the minute `-1`"]),
        ("0 9 * * fri#6", "UTC", "expr", &["the day of the week `fri#6`"]),
        ("@noon", "UTC", "expr", &["@daily", "@midnight"]),
        ("@reboot", "UTC", "expr", &["@reboot", "@hourly"]),
        ("0 0 30 2 *", "UTC", "expr", &["\"0 0 30 2 *\"", "no date matches it"]),
        ("0 0 31 4,6,9,11 *", "UTC", "expr", &["no date matches it"]),
        ("every 0s", "UTC", "duration", &["0 s", "1 s to 100 years"]),
        ("every 1500ms", "UTC", "duration", &["1.5 s", "whole seconds"]),
        ("every 999999h", "UTC", "duration", &["100 years"]),
        ("at tomorrow", "UTC", "time", &["`tomorrow`", "2026-12-24 18:00"]),
        ("at 2026-12-24", "UTC", "time", &["no time of day"]),
        ("at 2026-02-29 10:00", "UTC", "time", &["`2026-02-29 10:00`"]),
        ("at 2026-12-24 18:00+09:00[Asia/Shanghai]", "UTC", "time", &["Asia/Shanghai"]),
        ("at 1969-12-24 18:00", "UTC", "time", &["before 1970"]),
        ("@daily", "Asia/Shangai", "tz", &["`Asia/Shangai`", "did you mean \"Asia/Shanghai\"?"]),
        ("@daily", "Shanghai", "tz", &["did you mean \"Asia/Shanghai\"?"]),
        ("@daily", "new york", "tz", &["did you mean \"America/New_York\"?"]),
        ("@daily", "+8", "tz", &["`+8`", "did you mean \"+08:00\"?"]),
        ("@daily", "", "tz", &["such as \"Asia/Shanghai\""]),
    ] {
        let problem = try_job(text, tz).expect_err(text);
        assert_eq!(problem.field, field, "{text}: {}", problem.message);
        assert!(problem.message.starts_with(&format!("{field}: ")), "{}", problem.message);
        for part in parts {
            assert!(problem.message.contains(part), "{text} in {tz}: {} lacks {part}", problem.message);
        }
    }
}

#[test]
fn options_that_are_wrong_say_what_is_right() {
    let change = |change: &dyn Fn(&mut crate::protocol::JobDeclaration)| {
        let mut declaration = declared(JobTrigger::Cron("*/5 9 * * *".to_owned()), "UTC");
        change(&mut declaration);
        Job::new(&declaration, None).expect_err("it is wrong")
    };
    for (field, problem, parts) in [
        ("name", change(&|job| job.name.clear()), &["empty"][..]),
        ("name", change(&|job| job.name = "x".repeat(201)), &["201", "200"]),
        ("name", change(&|job| job.name = "a\nb".into()), &["`a\\nb`"]),
        ("name", change(&|job| job.name = " a".into()), &["space"]),
        (
            "missed",
            change(&|job| job.missed = Some("never".into())),
            &["`never`", "\"once\", \"skip\" or \"all\""],
        ),
        ("overlap", change(&|job| job.overlap = Some("kill".into())), &["`kill`", "\"queue\""]),
        ("timeout", change(&|job| job.timeout_ms = Some(0)), &["0 s"]),
        ("grace", change(&|job| job.grace_ms = Some(u64::MAX)), &["100 years"]),
        ("jitter", change(&|job| job.jitter_ms = Some(300_000)), &["5m", "less than", "between two runs"]),
    ] {
        assert_eq!(problem.field, field);
        for part in parts {
            assert!(problem.message.contains(part), "{} lacks {part}", problem.message);
        }
    }
}

#[test]
fn a_run_is_put_off_by_less_than_the_jitter_and_always_the_same() {
    let mut declaration = declared(JobTrigger::Every { ms: 60_000 }, "UTC");
    declaration.jitter_ms = Some(30_000);
    let job = Job::new(&declaration, None).unwrap();
    let instants: Vec<_> = (0..100).map(|minute| std::time::Duration::from_secs(60 * minute)).collect();
    let delays: Vec<_> = instants.iter().map(|scheduled_at| job.delay(*scheduled_at)).collect();
    assert!(delays.iter().all(|delay| delay.as_secs() < 30));
    assert_eq!(
        delays,
        instants.iter().map(|scheduled_at| job.clone().delay(*scheduled_at)).collect::<Vec<_>>()
    );
    let distinct: std::collections::BTreeSet<_> = delays.iter().collect();
    assert!(distinct.len() > 90, "{delays:?}");
}

#[test]
fn the_words_for_its_times_tell_schedules_apart() {
    for (text, tz, words) in [
        ("0 9 * * mon-fri", "Asia/Shanghai", "cron \"0 9 * * mon-fri\" in Asia/Shanghai"),
        ("every 5400s", "UTC", "every 1h 30m"),
        ("at 2026-12-24 18:00", "Asia/Shanghai", "at 2026-12-24T10:00:00Z"),
    ] {
        assert_eq!(job(text, tz).times(), words);
    }
}
