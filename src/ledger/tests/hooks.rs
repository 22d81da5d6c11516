//! Tests of hook requests: each is accepted once, exists until its run has ended, and their number is limited.

use super::*;

fn request(job: &str, delivery: Option<&str>) -> NewHookRequest {
    NewHookRequest {
        job: job.to_owned(),
        delivery: delivery.map(str::to_owned),
        head: "[]".to_owned(),
        body: b"\0body".to_vec(),
    }
}

async fn taken(ledger: &Ledger, job: &str, delivery: Option<&str>) -> Duration {
    match ledger.take_hook_request(&request(job, delivery)).await.unwrap() {
        HookAcceptance::New(at) => at,
        other => panic!("{other:?}"),
    }
}

fn run(job: &str, at: Duration, entry: JobRunAction) -> NewJobRun {
    NewJobRun {
        job: job.to_owned(),
        scheduled_at: at,
        entry,
        version: "v1".to_owned(),
        rerun: false,
        timeout: None,
        args: None,
    }
}

#[test]
fn a_delivery_is_taken_once_and_its_request_stays_until_its_run_is_over() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("serve").await.unwrap();
        let at = taken(&ledger, "a", Some("1")).await;
        let again = || async { ledger.take_hook_request(&request("a", Some("1"))).await.unwrap() };
        assert_eq!(again().await, HookAcceptance::Again(at));
        let others = [taken(&ledger, "b", Some("1")).await, taken(&ledger, "a", Some("2")).await];
        let (plain, other_plain) = (taken(&ledger, "a", None).await, taken(&ledger, "a", None).await);
        assert!(others[1] != at && plain != other_plain, "each has an instant of its own");
        let commands = ledger.job_control().await.unwrap().commands;
        assert_eq!(commands.len(), 5);
        assert!(commands.iter().all(|command| command.by_request && command.command == JobCommand::Run));

        // A request is deleted however its run ends; other requests stay.
        let there = async |at| ledger.hook_request("a", at).await.unwrap();
        assert_eq!(there(at).await, Some(("[]".to_owned(), b"\0body".to_vec())));
        let claimed = [
            run("a", at, JobRunAction::Run { or_skip: false }),
            run("a", others[1], JobRunAction::Wait),
            run("a", plain, JobRunAction::Skip("so".to_owned())),
        ];
        ledger.claim_job_runs(&instance, &claimed, &[], &[]).await.unwrap();
        assert!(there(at).await.is_some() && there(others[1]).await.is_some());
        assert_eq!(there(plain).await, None);
        for (at, state) in [(at, JobState::Done), (others[1], JobState::Cancelled)] {
            let ended = EndedRun { job: "a".to_owned(), scheduled_at: at, state, note: None };
            ledger.finish_job_runs(&instance, &[ended]).await.unwrap();
            assert_eq!(there(at).await, None);
        }
        assert!(there(other_plain).await.is_some());
        ledger.drop_hook_request("a", other_plain).await.unwrap();
        assert_eq!(there(other_plain).await, None);

        // The delivery id is remembered for longer than the request.
        assert_eq!(again().await, HookAcceptance::Again(at));
        assert_eq!(ledger.prune_deliveries(at).await.unwrap(), 0);
        assert_eq!(ledger.prune_deliveries(at + HOUR).await.unwrap(), 3);
        assert!(matches!(again().await, HookAcceptance::New(new) if new != at));
    });
}

#[test]
fn a_run_that_is_entered_again_and_an_interrupted_one_still_have_their_requests() {
    with_folder(|folder, clock| async move {
        let at = {
            let ledger = open(&folder, &clock).await;
            let instance = ledger.register("serve").await.unwrap();
            let at = [taken(&ledger, "a", None).await, taken(&ledger, "b", None).await];
            let now = JobRunAction::Run { or_skip: false };
            let claimed = [run("a", at[0], now.clone()), run("b", at[1], now)];
            ledger.claim_job_runs(&instance, &claimed, &[], &[]).await.unwrap();
            assert!(ledger.mark_not_rerunnable("b", at[1], &instance).await.unwrap());
            dies(&ledger, instance, &clock).await;
            at
        };
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("serve").await.unwrap();
        let waits: Vec<(String, bool)> = ledger
            .take_over_job_runs(&instance)
            .await
            .unwrap()
            .into_iter()
            .map(|orphan| (orphan.job, orphan.why.is_none()))
            .collect();
        assert_eq!(waits, [("a".to_owned(), true), ("b".to_owned(), false)]);
        assert!(ledger.hook_request("a", at[0]).await.unwrap().is_some());
        assert!(ledger.hook_request("b", at[1]).await.unwrap().is_some());
        let again = ledger.retry_hook_run("b", None).await.unwrap().unwrap();
        assert!(ledger.hook_request("b", again).await.unwrap().is_some());
        assert_eq!(ledger.retry_hook_run("b", None).await.unwrap(), None, "it is not over yet");
    });
}

#[test]
fn no_more_wait_than_there_is_room_for() {
    with_folder(|folder, clock| async move {
        let ledger = Ledger::open_scratch(&folder, clock.clone()).await.unwrap();
        for _ in 0..1000 {
            taken(&ledger, "a", None).await;
            clock.sleep(Duration::from_millis(1)).await;
        }
        let full = |job, delivery| {
            let (ledger, request) = (ledger.clone(), request(job, delivery));
            async move { ledger.take_hook_request(&request).await.unwrap() }
        };
        assert_eq!(full("a", Some("1")).await, HookAcceptance::Full);
        let large = NewHookRequest { body: vec![0; 128 * 1024 * 1024], ..request("b", None) };
        assert!(
            matches!(ledger.take_hook_request(&large).await.unwrap(), HookAcceptance::New(_)),
            "another has room"
        );
        assert_eq!(full("b", None).await, HookAcceptance::Full);
        let first = ledger.job_control().await.unwrap().commands.pop().unwrap();
        ledger.drop_hook_request("b", first.scheduled_at.unwrap()).await.unwrap();
        let at = ledger.job_control().await.unwrap().commands[0].scheduled_at.unwrap();
        ledger.drop_hook_request("a", at).await.unwrap();
        assert!(
            matches!(full("a", Some("1")).await, HookAcceptance::New(_)),
            "what was refused can come again"
        );
    });
}
