//! Tests of runs of the command line: no daemon takes them up, and a dead process ends them.

use super::*;

const NAME: &str = "run scripts/a.lua";

fn new(args: &[&str]) -> NewCommandRun {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    NewCommandRun {
        job: NAME.to_owned(),
        args: RunRequest::of(&args),
        start: CommandLineStart { user: "ann".to_owned(), host: "desk".to_owned(), job: None },
        started_at: START,
        plan_guard: None,
    }
}

fn requested(at: Duration) -> NewJobRun {
    NewJobRun {
        job: NAME.to_owned(),
        scheduled_at: at,
        entry: JobRunAction::Run { or_skip: true },
        version: "v1".to_owned(),
        rerun: false,
        timeout: None,
        args: Some(RunRequest::default()),
    }
}

#[test]
fn a_daemon_neither_waits_for_a_run_of_the_command_line_nor_takes_it_up() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let (here, daemon) = (ledger.register("run").await.unwrap(), ledger.register("serve").await.unwrap());
        let first = ledger.begin_command_run(&here, &new(&["x"])).await.unwrap();
        // Two that start in the same millisecond have different names.
        let second = ledger.begin_command_run(&here, &new(&[])).await.unwrap();
        assert_eq!((first, second), (START, START + Duration::from_millis(1)));
        let claimed = ledger.claim_job_runs(&daemon, &[requested(START + HOUR)], &[], &[]).await.unwrap();
        assert_eq!(claimed, [JobClaim::Claimed { attempt: 1 }]);
        let waits = NewJobRun { entry: JobRunAction::Wait, ..requested(START + 2 * HOUR) };
        ledger.claim_job_runs(&daemon, &[waits], &[], &[]).await.unwrap();
        let begun = ledger.begin_job_run(NAME, START + 2 * HOUR, &daemon).await.unwrap();
        assert_eq!(begun, BeginResult::Begun { attempt: 1 });
        ledger.finish_command_run(NAME, second, JobState::Done, None).await.unwrap();
        dies(&ledger, here, &clock).await;
        assert_eq!(ledger.take_over_job_runs(&daemon).await.unwrap(), []);
        let states: Vec<(Duration, JobState, bool)> = ledger
            .job_runs(Some(NAME), 9)
            .await
            .unwrap()
            .iter()
            .map(|run| (run.scheduled_at, run.state, run.command_line.is_some()))
            .collect();
        assert_eq!(
            states,
            [
                (START + 2 * HOUR, JobState::Running, false),
                (START + HOUR, JobState::Running, false),
                (second, JobState::Done, true),
                (first, JobState::Interrupted, true),
            ]
        );
        let found = ledger.job_run(NAME, first).await.unwrap().unwrap();
        assert_eq!(found.note.as_deref(), Some("its process ended before the run did"));
        assert_eq!((found.args.unwrap().args, found.attempt), (vec!["x".to_owned()], 1));
        // A process that only counted as dead tells how the run ended.
        ledger.finish_command_run(NAME, first, JobState::Failed, Some("boom")).await.unwrap();
        assert_eq!(ledger.job_run(NAME, first).await.unwrap().unwrap().state, JobState::Failed);
        let ended = ledger.record_command_run(&new(&[]), JobState::Failed, Some("why")).await.unwrap();
        let ended = ledger.job_run(NAME, ended).await.unwrap().unwrap();
        assert_eq!((ended.state, ended.note.as_deref()), (JobState::Failed, Some("why")));
        assert!(ended.finished_at.is_some());
    });
}

#[test]
fn only_failed_requests_without_a_better_run_after_them_are_listed() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let daemon = ledger.register("serve").await.unwrap();
        let failed = async || -> Vec<Duration> {
            let found = ledger.failed_requests(START, 9).await.unwrap();
            found.into_iter().map(|run| run.scheduled_at).collect()
        };
        ledger.record_command_run(&new(&[]), JobState::Failed, None).await.unwrap();
        assert_eq!(failed().await, []);
        let end = async |at: Duration, state: JobState| {
            ledger.claim_job_runs(&daemon, &[requested(at)], &[], &[]).await.unwrap();
            let run = EndedRun { job: NAME.to_owned(), scheduled_at: at, state, note: None };
            ledger.finish_job_runs(&daemon, &[run]).await.unwrap();
        };
        end(START + HOUR, JobState::Failed).await;
        assert_eq!(failed().await, [START + HOUR]);
        end(START + 2 * HOUR, JobState::Interrupted).await;
        assert_eq!(failed().await, [START + 2 * HOUR]);
        assert_eq!(ledger.failed_requests(clock.unix_time() + HOUR, 9).await.unwrap(), []);
        let later = |hours| NewCommandRun { started_at: START + hours * HOUR, ..new(&[]) };
        ledger.record_command_run(&later(3), JobState::Failed, None).await.unwrap();
        assert_eq!(failed().await, [START + 2 * HOUR]);
        ledger.record_command_run(&later(4), JobState::AlreadySent, None).await.unwrap();
        assert_eq!(failed().await, []);
        end(START + 5 * HOUR, JobState::Failed).await;
        assert_eq!(failed().await, [START + 5 * HOUR]);
        end(START + 6 * HOUR, JobState::Done).await;
        assert_eq!(failed().await, []);
    });
}
