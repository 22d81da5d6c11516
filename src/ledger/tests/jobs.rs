//! Tests of job runs, the job registry, job commands, and the versions that unfinished runs need.

use super::*;

fn run(job: &str, at: Duration, entry: JobRunAction) -> NewJobRun {
    NewJobRun {
        job: job.to_owned(),
        scheduled_at: at,
        entry,
        version: "v1".to_owned(),
        rerun: false,
        timeout: Some(HOUR),
        args: None,
    }
}

fn now() -> JobRunAction {
    JobRunAction::Run { or_skip: true }
}

fn version(hash: &str) -> StoredScript {
    let part = |module: &str, text: &'static str| StoredModule {
        module: module.to_owned(),
        path: format!("scripts/{module}.lua"),
        text: Bytes::from_static(text.as_bytes()),
    };
    StoredScript { hash: hash.to_owned(), parts: vec![part("", "-- script"), part("lib", "-- lib")] }
}

async fn claim(ledger: &Ledger, instance: &Instance, new: NewJobRun) -> JobClaim {
    ledger.claim_job_runs(instance, &[new], &[version("v1")], &[]).await.unwrap()[0]
}

async fn finish(ledger: &Ledger, instance: &Instance, job: &str, state: JobState) -> u64 {
    let ended = EndedRun { job: job.to_owned(), scheduled_at: START, state, note: Some("so".to_owned()) };
    ledger.finish_job_runs(instance, &[ended]).await.unwrap()
}

fn decided(until: Duration) -> DecidedUntil {
    DecidedUntil { job: "a".to_owned(), until, next: Some(until + HOUR) }
}

fn registered_jobs(name: &str, times: &str, decided_until: Duration) -> RegisteredJob {
    RegisteredJob {
        name: name.to_owned(),
        script: "scripts/a.lua".to_owned(),
        times: times.to_owned(),
        decided_until,
        // Another schedule means another version of the script.
        version: if times == "cron" { "v2" } else { "v1" }.to_owned(),
    }
}

#[test]
fn an_instant_of_a_job_starts_once() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let (one, two) = (ledger.register("serve").await.unwrap(), ledger.register("serve").await.unwrap());
        let daily = || run("daily", START, now());
        assert_eq!(claim(&ledger, &one, daily()).await, JobClaim::Claimed { attempt: 1 });
        assert_eq!(claim(&ledger, &one, daily()).await, JobClaim::Running);
        assert_eq!(claim(&ledger, &two, daily()).await, JobClaim::Running);
        assert_eq!(ledger.take_over_job_runs(&two).await.unwrap(), []);
        dies(&ledger, one, &clock).await;
        assert_eq!(claim(&ledger, &two, daily()).await, JobClaim::Running);
        let orphans = ledger.take_over_job_runs(&two).await.unwrap();
        assert!(
            orphans.len() == 1 && orphans[0].why.is_none() && orphans[0].timeout == Some(HOUR),
            "{orphans:?}"
        );
        assert_eq!(
            ledger.begin_job_run("daily", START, &two).await.unwrap(),
            BeginResult::Begun { attempt: 2 }
        );
        assert_eq!(ledger.begin_job_run("daily", START, &two).await.unwrap(), BeginResult::Gone);
        assert_eq!(finish(&ledger, &two, "daily", JobState::Done).await, 1);
        assert_eq!(finish(&ledger, &two, "daily", JobState::Failed).await, 0);
        assert_eq!(claim(&ledger, &two, daily()).await, JobClaim::Over(JobState::Done));
        assert_eq!(ledger.job_runs(Some("daily"), 9).await.unwrap()[0].attempt, 2);
    });
}

#[test]
fn a_run_that_sent_loosely_is_interrupted_unless_it_may_run_again() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let (one, two) = (ledger.register("serve").await.unwrap(), ledger.register("serve").await.unwrap());
        let again = NewJobRun { rerun: true, ..run("again", START, now()) };
        for new in [run("not_rerunnable", START, now()), again, run("waits", START, JobRunAction::Wait)] {
            claim(&ledger, &one, new).await;
        }
        assert!(ledger.mark_not_rerunnable("not_rerunnable", START, &one).await.unwrap());
        assert!(ledger.mark_not_rerunnable("again", START, &one).await.unwrap());
        assert!(
            !ledger.mark_not_rerunnable("not_rerunnable", START, &two).await.unwrap(),
            "it is not its own"
        );
        dies(&ledger, one, &clock).await;
        let orphans = ledger.take_over_job_runs(&two).await.unwrap();
        let waits: Vec<_> =
            orphans.iter().map(|orphan| (orphan.job.as_str(), orphan.why.is_none())).collect();
        assert_eq!(waits, [("again", true), ("not_rerunnable", false), ("waits", true)]);
        let not_rerunnable = &ledger.job_runs(Some("not_rerunnable"), 9).await.unwrap()[0];
        assert!(
            not_rerunnable.state == JobState::Interrupted
                && not_rerunnable.note.as_ref().unwrap().contains("rerun"),
            "{not_rerunnable:?}"
        );
        assert_eq!(
            ledger.begin_job_run("waits", START, &two).await.unwrap(),
            BeginResult::Begun { attempt: 1 }
        );
    });
}

#[test]
fn a_run_during_which_its_host_died_twice_is_not_entered_a_third_time() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let mut instance = ledger.register("serve").await.unwrap();
        claim(&ledger, &instance, NewJobRun { rerun: true, ..run("daily", START, now()) }).await;
        // An orderly shutdown does not count as a death, however often it happens.
        for attempt in 2..6 {
            ledger.mark_run_interrupted("daily", START, &instance).await.unwrap();
            dies(&ledger, instance, &clock).await;
            instance = ledger.register("serve").await.unwrap();
            assert!(ledger.take_over_job_runs(&instance).await.unwrap()[0].why.is_none());
            assert_eq!(
                ledger.begin_job_run("daily", START, &instance).await.unwrap(),
                BeginResult::Begun { attempt }
            );
        }
        for (deaths, ends) in [(1, false), (2, true)] {
            dies(&ledger, instance, &clock).await;
            instance = ledger.register("serve").await.unwrap();
            let orphans = ledger.take_over_job_runs(&instance).await.unwrap();
            assert_eq!(orphans[0].why.is_some(), ends, "{deaths} {orphans:?}");
            if !ends {
                // It died while it waited, so that was not a death during the run.
                dies(&ledger, instance, &clock).await;
                instance = ledger.register("serve").await.unwrap();
                assert!(ledger.take_over_job_runs(&instance).await.unwrap()[0].why.is_none());
                ledger.begin_job_run("daily", START, &instance).await.unwrap();
            }
        }
        let run = &ledger.job_runs(Some("daily"), 9).await.unwrap()[0];
        assert_eq!(run.state, JobState::Interrupted);
        assert!(run.note.as_ref().unwrap().contains("mooncast jobs trigger 'daily'"), "{run:?}");
        assert_eq!(ledger.take_over_job_runs(&instance).await.unwrap(), []);
    });
}

#[test]
fn a_run_in_another_process_is_an_overlap() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let (one, two) = (ledger.register("serve").await.unwrap(), ledger.register("serve").await.unwrap());
        let later = START + HOUR;
        claim(&ledger, &one, run("skips", START, now())).await;
        claim(&ledger, &one, run("queues", START, now())).await;
        assert_eq!(claim(&ledger, &two, run("skips", later, now())).await, JobClaim::Over(JobState::Skipped));
        let queued = run("queues", later, JobRunAction::Run { or_skip: false });
        assert_eq!(claim(&ledger, &two, queued).await, JobClaim::Waits);
        assert_eq!(ledger.begin_job_run("queues", later, &two).await.unwrap(), BeginResult::Busy);
        finish(&ledger, &one, "queues", JobState::Done).await;
        assert_eq!(
            ledger.begin_job_run("queues", later, &two).await.unwrap(),
            BeginResult::Begun { attempt: 1 }
        );
    });
}

#[test]
fn versions_stay_for_as_long_as_a_run_needs_them() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("serve").await.unwrap();
        claim(&ledger, &instance, run("daily", START, now())).await;
        assert_eq!(ledger.prune_versions(&[]).await.unwrap(), 0);
        assert_eq!(ledger.version("v1").await.unwrap(), Some(version("v1")));
        finish(&ledger, &instance, "daily", JobState::Done).await;
        assert_eq!(ledger.prune_versions(&["v1".to_owned()]).await.unwrap(), 0);
        assert_eq!(ledger.prune_versions(&[]).await.unwrap(), 2);
        assert_eq!(ledger.version("v1").await.unwrap(), None);
    });
}

#[test]
fn what_is_decided_stays_so_until_the_rule_changes_also_while_the_job_is_gone() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("serve").await.unwrap();
        let enlist = async |rule: &str, at: Duration| {
            ledger.register_jobs(&instance, &[registered_jobs("a", rule, at)]).await.unwrap()
        };
        assert_eq!(enlist("every", START).await, [START]);
        assert_eq!(enlist("every", START + HOUR).await, [START]);
        let half = START + HOUR / 2;
        ledger.claim_job_runs(&instance, &[run("a", half, now())], &[], &[decided(half)]).await.unwrap();
        assert_eq!(enlist("every", START + HOUR).await, [START + HOUR / 2]);
        assert_eq!(enlist("cron", START + HOUR).await, [START + HOUR]);
        assert_eq!(ledger.register_jobs(&instance, &[]).await.unwrap(), [Duration::ZERO; 0]);
        assert!(ledger.job_rows(None).await.unwrap().is_empty());
        assert!(ledger.job_rows(Some("a")).await.unwrap()[0].gone_at.is_some());
        assert_eq!(enlist("cron", START + HOUR * 2).await, [START + HOUR]);
        ledger.claim_job_runs(&instance, &[], &[], &[decided(START + HOUR * 3)]).await.unwrap();
        assert_eq!(enlist("cron", START).await, [START + HOUR * 3]);
        let listed = &ledger.job_rows(None).await.unwrap()[0];
        assert_eq!(listed.next_at, Some(START + HOUR * 4));
        assert_eq!(listed.last.as_ref().unwrap().scheduled_at, START + HOUR / 2);
    });
}

#[test]
fn commands_wait_until_they_are_granted_and_each_has_an_instant_of_its_own() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("serve").await.unwrap();
        ledger.register_jobs(&instance, &[registered_jobs("a", "every", START)]).await.unwrap();
        claim(&ledger, &instance, run("a", START, now())).await;
        let first = ledger.trigger_job("a").await.unwrap();
        let second = ledger.trigger_job("a").await.unwrap();
        assert_eq!((first, second), (START + Duration::from_millis(1), START + Duration::from_millis(2)));
        ledger.cancel_job("a").await.unwrap();
        assert!(ledger.pause_job("a", true).await.unwrap());
        assert!(!ledger.pause_job("a", true).await.unwrap());
        let control = ledger.job_control().await.unwrap();
        assert_eq!(control.paused, ["a"]);
        let commands: Vec<_> =
            control.commands.iter().map(|command| (command.command, command.scheduled_at)).collect();
        assert_eq!(
            commands,
            [(JobCommand::Run, Some(first)), (JobCommand::Run, Some(second)), (JobCommand::Cancel, None)]
        );
        for command in control.commands {
            ledger.delete_job_command(command.id).await.unwrap();
        }
        clock.sleep(HOUR).await;
        assert!(ledger.pause_job("a", false).await.unwrap());
        assert_eq!(ledger.job_control().await.unwrap(), JobControl::default());
        assert_eq!(ledger.job_rows(None).await.unwrap()[0].decided_until, START + HOUR);
        assert_eq!(ledger.live_instances("serve").await.unwrap().len(), 1);
        dies(&ledger, instance, &clock).await;
        assert_eq!(ledger.live_instances("serve").await.unwrap(), []);
    });
}

#[test]
fn a_broadcast_left_to_the_daemon_is_found_until_it_is_over_or_paused() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("serve").await.unwrap();
        let lease = planned(&ledger, &instance, &spec(), 1).await;
        let id = lease.broadcast;
        assert_eq!(ledger.handed_to_daemon().await.unwrap(), []);
        ledger.hand_to_daemon(id).await.unwrap();
        assert_eq!(ledger.handed_to_daemon().await.unwrap(), [id]);
        ledger.request_command(id, BroadcastCommand::Pause, None).await.unwrap();
        assert_eq!(ledger.handed_to_daemon().await.unwrap(), []);
        ledger.request_command(id, BroadcastCommand::Cancel, None).await.unwrap();
        assert_eq!(ledger.handed_to_daemon().await.unwrap(), [id]);
        assert_eq!(ledger.unreported_endings().await.unwrap(), []);
        // It has no effect before the broadcast has ended.
        ledger.mark_ending_reported(id).await.unwrap();
        ledger.cancel_rest(lease).await.unwrap();
        ledger.finish(lease, "{}").await.unwrap();
        assert_eq!(
            (ledger.handed_to_daemon().await.unwrap(), ledger.unreported_endings().await.unwrap()),
            (vec![], vec![id])
        );
        ledger.mark_ending_reported(id).await.unwrap();
        assert_eq!(ledger.unreported_endings().await.unwrap(), []);
    });
}
