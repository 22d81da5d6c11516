//! Tests of events that start jobs: each starts its runs once, in the order of its group, and their number is limited.

use std::collections::BTreeMap;

use super::*;

fn event(job: &str, group: &str, json: &str) -> NewJobEvent {
    NewJobEvent { job: job.to_owned(), group: group.to_owned(), json: json.to_owned() }
}

fn callback(call_id: &str, events: Vec<NewJobEvent>) -> NewCallback {
    NewCallback { call_id: call_id.to_owned(), content: None, events }
}

/// Returns the job, the group and the scheduled time of each run that may begin.
async fn ready(ledger: &Ledger) -> Vec<(String, String, Duration)> {
    let commands = ledger.job_control().await.unwrap().commands;
    commands
        .into_iter()
        .map(|command| (command.job, command.event_group.unwrap(), command.scheduled_at.unwrap()))
        .collect()
}

fn run(job: &str, at: Duration) -> NewJobRun {
    NewJobRun {
        job: job.to_owned(),
        scheduled_at: at,
        entry: JobRunAction::Run { or_skip: false },
        version: "v1".to_owned(),
        rerun: false,
        timeout: None,
        args: None,
    }
}

#[test]
fn the_events_of_a_group_start_one_after_the_other_and_each_callback_once() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("serve").await.unwrap();
        let other = ledger.register("serve").await.unwrap();
        let app = ledger.app("a").await.unwrap();
        let first = [
            callback("c1", vec![event("j", "1", "a"), event("k", "1", "a")]),
            callback("c2", vec![event("j", "1", "b")]),
            callback("c1", vec![event("j", "2", "forged")]),
            callback("c3", vec![event("j", "2", "c")]),
        ];
        let stored = ledger.store_callbacks(app, &first).await.unwrap();
        assert_eq!((stored.new, stored.dropped), (vec![true, true, false, true], BTreeMap::new()));
        let again = [callback("c2", vec![event("j", "3", "forged")])];
        assert_eq!(ledger.store_callbacks(app, &again).await.unwrap().new, [false]);
        assert_eq!(ledger.waiting_events("j").await.unwrap(), 3);

        let begin = ready(&ledger).await;
        let of = |job: &str, group: &str| {
            begin.iter().find(|(one, other, _)| (one.as_str(), other.as_str()) == (job, group)).unwrap().2
        };
        assert_eq!(begin.len(), 3);
        let at = of("j", "1");
        assert_eq!(ledger.hook_request("j", at).await.unwrap(), Some(("event 1".to_owned(), b"a".to_vec())));
        // While a run of the group is open, whoever has it, the next event does not begin. Other groups do.
        let claimed = ledger.claim_job_runs(&instance, &[run("j", at)], &[], &[]).await.unwrap();
        assert_eq!(claimed, [JobClaim::Claimed { attempt: 1 }]);
        let commands = ledger.job_control().await.unwrap().commands;
        let done = commands.iter().find(|command| command.scheduled_at == Some(at) && command.job == "j");
        assert!(done.is_none(), "its run is open");
        assert_eq!(ready(&ledger).await.len(), 2);
        let elsewhere = ledger.claim_job_runs(&other, &[run("j", of("j", "2"))], &[], &[]).await.unwrap();
        assert_eq!(elsewhere, [JobClaim::Claimed { attempt: 1 }], "runs of other groups do not wait");
        let ended =
            |at| EndedRun { job: "j".to_owned(), scheduled_at: at, state: JobState::Done, note: None };
        ledger.finish_job_runs(&instance, &[ended(at)]).await.unwrap();
        // The command of the ended run is deleted by the one who applied it.
        for command in ledger.job_control().await.unwrap().commands {
            if command.scheduled_at == Some(at) && command.job == "j" {
                ledger.delete_job_command(command.id).await.unwrap();
            }
        }
        let next =
            ready(&ledger).await.into_iter().find(|(job, group, _)| job == "j" && group == "1").unwrap().2;
        assert_eq!(ledger.hook_request("j", next).await.unwrap().unwrap().1, b"b");
    });
}

#[test]
fn the_oldest_events_make_room_for_new_ones() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let app = ledger.app("a").await.unwrap();
        let store = async |from: usize, to: usize, job: &str| {
            let callbacks: Vec<NewCallback> = (from..to)
                .map(|number| {
                    callback(&format!("{job} {number}"), vec![event(job, "1", &number.to_string())])
                })
                .collect();
            ledger.store_callbacks(app, &callbacks).await.unwrap().dropped
        };
        let first = async |job: &str| {
            let (.., at) = ready(&ledger).await.into_iter().find(|(one, ..)| one == job).unwrap();
            let (_, body) = ledger.hook_request(job, at).await.unwrap().unwrap();
            String::from_utf8(body).unwrap()
        };
        assert_eq!(store(0, 900, "j").await, BTreeMap::new());
        assert_eq!(store(900, 1003, "j").await, BTreeMap::from([("j".to_owned(), 3)]));
        assert_eq!((first("j").await, ledger.waiting_events("j").await.unwrap()), ("3".to_owned(), 1000));
        assert_eq!(store(0, 5, "k").await, BTreeMap::new(), "another job has room of its own");
        assert_eq!(store(2000, 4000, "j").await, BTreeMap::from([("j".to_owned(), 2000)]));
        assert_eq!((first("j").await, ledger.waiting_events("j").await.unwrap()), ("3000".to_owned(), 1000));
        assert_eq!(ledger.drop_waiting_events("j", i64::MAX).await.unwrap(), 1000);
        assert_eq!((ledger.waiting_events("j").await.unwrap(), first("k").await), (0, "0".to_owned()));
    });
}
