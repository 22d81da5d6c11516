//! What is listed as waiting for a person, and in which order.

use super::*;

fn sources(stored: &StoredNeeds) -> NeedSources<'_> {
    NeedSources {
        healthy: true,
        disk: None,
        broadcasts: &[],
        sends: &[],
        jobs: &[],
        scripts: &[],
        hosts: &[],
        apps: &[],
        stored,
    }
}

fn job(state: JobState, note: &str) -> JobView {
    let last = JobRunView {
        id: "日报@2026-06-01T08:00:00Z".to_owned(),
        job: "日报".to_owned(),
        run: "2026-06-01T08:00:00Z".to_owned(),
        state,
        attempt: 1,
        note: Some(note.to_owned()),
        started_at: "2026-06-01T08:00:00Z".to_owned(),
        finished_at: Some("2026-06-01T08:00:01Z".to_owned()),
        args: None,
        plan: None,
        test_only: false,
        command_line: None,
        version: None,
        reason: None,
    };
    JobView {
        name: "日报".to_owned(),
        script: "scripts/a.lua".to_owned(),
        times: "every 1h".to_owned(),
        next_at: None,
        paused_at: None,
        gone_at: None,
        last: Some(last),
    }
}

#[test]
fn the_most_urgent_is_first_and_each_is_a_sentence_with_a_place() {
    let stored = StoredNeeds {
        open_doubts: vec![(7, "spring/1".to_owned(), 1_240)],
        alerts: vec![UndeliveredAlerts {
            receiver: "ops".to_owned(),
            pending: 1,
            dropped: 2,
            since: Duration::from_hours(494_528),
            error: "status 500".to_owned(),
        }],
        ..StoredNeeds::default()
    };
    let jobs = [job(JobState::Failed, "scripts/a.lua:3: boom\nmore")];
    let disk = Some(DiskSpace { free: 50 << 20, total: 100 << 30 });
    let needs = NeedSources { disk, jobs: &jobs, ..sources(&stored) }.needs();
    let texts: Vec<(&str, &str)> =
        needs.iter().map(|need| (need.text.as_str(), need.page.as_str())).collect();
    assert_eq!(
        texts,
        [
            (
                "The disk of the state folder is nearly full: 50 MiB of 102,400 MiB are free",
                "/log?level=error"
            ),
            (
                "1,240 recipients of broadcast spring/1 are in doubt and no record will settle them: decide yourself",
                "/broadcasts/7?state=in_doubt#recipients"
            ),
            (
                "Job 日报 failed: scripts/a.lua:3: boom",
                "/run?id=%E6%97%A5%E6%8A%A5%402026-06-01T08%3A00%3A00Z"
            ),
            ("1 alert does not reach ops: status 500", "/log?level=warn&text=alert"),
            ("2 alerts for ops were given up after 3 days: status 500", "/log?level=warn&text=alert"),
        ]
    );
    assert_eq!(needs[3].since.as_deref(), Some("2026-06-01T08:00:00Z"));
}

#[test]
fn hosts_that_are_away_and_quotas_that_are_lowered_are_listed() {
    let host = |name: &str, alive, differs| HostView {
        id: 1,
        host: name.to_owned(),
        pid: 1,
        version: "0.1.0".to_owned(),
        roles: Vec::new(),
        scripts: "x".to_owned(),
        differs,
        since: "2026-06-01T08:00:00Z".to_owned(),
        alive,
    };
    let quota = |name: &str, pace, throttled_last_minute| QuotaView {
        name: name.to_owned(),
        per_second: 20,
        limit: 20,
        period: 1,
        pace,
        sent_last_second: 0,
        throttled_last_minute,
        resumes_in: None,
        waiting: Vec::new(),
    };
    // A pace that recovers, and a few refusals at the full pace, need no action.
    let quotas = vec![quota("group messages", 12.5, 3), quota("uploads", 12.5, 0), quota("reads", 20.0, 3)];
    let apps = [AppView { name: "shop".to_owned(), key: "k".to_owned(), quotas }];
    let hosts = [host("a", true, false), host("b", false, false), host("c", true, true)];
    let stored = StoredNeeds::default();
    let needs = NeedSources { hosts: &hosts, apps: &apps, healthy: false, ..sources(&stored) }.needs();
    let texts: Vec<&str> = needs.iter().map(|need| need.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "The ledger cannot be written, so nothing is sent: the log has the reason",
            "Host b no longer reports: 1 of 3 hosts is away",
            "Host c runs other scripts than the other hosts",
            "The service refuses group messages of app shop: Mooncast has lowered its rate to 12.5 of 20 a second",
        ]
    );
}

#[test]
fn a_time_that_was_left_out_on_purpose_needs_nobody() {
    let stored = StoredNeeds::default();
    let codes = |state, note: &str| -> Vec<NeedCode> {
        let jobs = [job(state, note)];
        NeedSources { jobs: &jobs, ..sources(&stored) }.needs().iter().map(|need| need.code).collect()
    };
    let missed = "3 scheduled times from 2026-06-01T08:00:00Z on: missed, and older than the job's `grace`";
    assert_eq!(codes(JobState::Skipped, missed), [NeedCode::RunMissed]);
    let replaced =
        "1 scheduled time, 2026-06-01T08:00:00Z: missed, and a later scheduled time runs in its place";
    assert_eq!(codes(JobState::Skipped, replaced), []);
    assert_eq!(codes(JobState::Skipped, "the run of 2026-06-01T08:00:00Z is still running"), []);
    assert_eq!(codes(JobState::Done, ""), []);
    assert_eq!(codes(JobState::Interrupted, "x"), [NeedCode::RunInterrupted]);
}

#[test]
fn a_run_that_did_not_deliver_everything_is_listed_unless_all_the_rest_is_in_doubt() {
    let stored = StoredNeeds::default();
    let (missed, doubt) =
        ("2 recipients did not get their messages", "1 recipient is in doubt and may have its message");
    let calls = "3 calls of im.request are in doubt";
    for before in ["", "message in group 7: ", "joined in group 7 from ann: "] {
        for (note, listed) in [
            (missed.to_owned(), true),
            ("1 audience had no recipients".to_owned(), true),
            (format!("{missed}; {doubt}"), true),
            (format!("{doubt}; {calls}"), false),
            (doubt.to_owned(), false),
        ] {
            let note = format!("{before}{note}");
            let jobs = [job(JobState::Undelivered, &note)];
            let needs = NeedSources { jobs: &jobs, ..sources(&stored) }.needs();
            let codes: Vec<NeedCode> = needs.iter().map(|need| need.code).collect();
            assert_eq!(codes, vec![NeedCode::RunUndelivered; usize::from(listed)], "{note}");
        }
    }
}
