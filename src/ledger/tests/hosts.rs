//! Tests of hosts, and of which version of a job is active among them.

use super::*;

fn job(name: &str, version: &str) -> RegisteredJob {
    RegisteredJob {
        name: name.to_owned(),
        script: "scripts/a.lua".to_owned(),
        times: "every".to_owned(),
        decided_until: START,
        version: version.to_owned(),
    }
}

fn run(job: &str, version: &str, at: Duration) -> NewJobRun {
    NewJobRun {
        job: job.to_owned(),
        scheduled_at: at,
        entry: JobRunAction::Run { or_skip: false },
        version: version.to_owned(),
        rerun: false,
        timeout: None,
        args: None,
    }
}

async fn claim(ledger: &Ledger, instance: &Instance, new: NewJobRun) -> JobClaim {
    let decided = DecidedUntil { job: new.job.clone(), until: new.scheduled_at, next: None };
    ledger.claim_job_runs(instance, &[new], &[], &[decided]).await.unwrap()[0]
}

#[test]
fn a_daemon_is_known_by_what_it_says_of_itself() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("serve").await.unwrap();
        let other = ledger.register("run").await.unwrap();
        assert_eq!(ledger.hosts().await.unwrap(), []);
        ledger.describe(&instance, "schedule,send", "5f").await.unwrap();
        let hosts = ledger.hosts().await.unwrap();
        assert_eq!(hosts.len(), 1, "a command that is no daemon is none");
        let host = &hosts[0];
        assert_eq!((host.roles.as_str(), host.scripts.as_str(), host.alive), ("schedule,send", "5f", true));
        assert_eq!(
            (host.pid, host.program.as_str()),
            (u64::from(std::process::id()), env!("CARGO_PKG_VERSION"))
        );
        assert!(!host.host.is_empty() && host.since == START);
        dies(&ledger, instance, &clock).await;
        assert!(!ledger.hosts().await.unwrap()[0].alive);
        ledger.reap_dead().await.unwrap();
        assert_eq!(ledger.hosts().await.unwrap(), []);
        drop(other);
    });
}

#[test]
fn one_who_leaves_is_gone_at_once() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("serve").await.unwrap();
        ledger.describe(&instance, "page", "5f").await.unwrap();
        ledger.unregister(&instance).await.unwrap();
        drop(instance);
        assert!(ledger.hosts().await.unwrap().iter().all(|host| !host.alive));
    });
}

#[test]
fn a_job_runs_where_the_version_is_that_was_saved_last() {
    with_folder(|folder, clock| async move {
        let (one, two) = (open(&folder, &clock).await, open(&folder, &clock).await);
        if !one.has_fleet() {
            // A file has one daemon, so the version of that daemon is active.
            let instance = one.register("serve").await.unwrap();
            one.register_jobs(&instance, &[job("a", "v1")]).await.unwrap();
            assert!(!one.must_register_jobs(&instance).await.unwrap());
            assert_eq!(claim(&one, &instance, run("a", "v2", START)).await, JobClaim::Claimed { attempt: 1 });
            return;
        }
        let (first, second) = (one.register("serve").await.unwrap(), two.register("serve").await.unwrap());
        for (ledger, instance, version) in [(&one, &first, "v1"), (&two, &second, "v0")] {
            assert!(ledger.must_register_jobs(instance).await.unwrap(), "nobody knows it yet");
            ledger.describe(instance, "schedule", version).await.unwrap();
            ledger.register_jobs(instance, &[job("a", version)]).await.unwrap();
            assert!(!ledger.must_register_jobs(instance).await.unwrap());
        }
        // A host that starts with another version does not activate it.
        assert_eq!(claim(&two, &second, run("a", "v0", START)).await, JobClaim::Elsewhere);
        assert_eq!(one.job_rows(None).await.unwrap()[0].decided_until, START);
        assert_eq!(claim(&one, &first, run("a", "v1", START + HOUR)).await, JobClaim::Claimed { attempt: 1 });
        // A version that is saved while its host runs becomes active.
        two.register_jobs(&second, &[job("a", "v2")]).await.unwrap();
        assert_eq!(claim(&one, &first, run("a", "v1", START + HOUR * 2)).await, JobClaim::Elsewhere);
        let later = START + HOUR * 2;
        assert_eq!(
            claim(&two, &second, run("a", "v2", later)).await,
            JobClaim::Waits,
            "the run before goes on"
        );
        assert!(!one.must_register_jobs(&first).await.unwrap());
        // A host that starts again with its old version does not activate it.
        one.register_jobs(&first, &[job("a", "v1")]).await.unwrap();
        assert_eq!(claim(&one, &first, run("a", "v1", START + HOUR * 3)).await, JobClaim::Elsewhere);
        // A version that no host has any more is not active.
        dies(&two, second, &clock).await;
        assert!(one.must_register_jobs(&first).await.unwrap());
        let decided = one.register_jobs(&first, &[job("a", "v1")]).await.unwrap();
        assert_eq!(decided, [later], "what nobody decided about is this host's to decide");
        assert!(!one.must_register_jobs(&first).await.unwrap());
        assert_ne!(claim(&one, &first, run("a", "v1", START + HOUR * 3)).await, JobClaim::Elsewhere);
    });
}

#[test]
fn who_was_reaped_claims_nothing() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("serve").await.unwrap();
        assert!(ledger.is_known(&instance).await.unwrap());
        ledger.unregister(&instance).await.unwrap();
        if ledger.has_fleet() {
            assert!(!ledger.is_known(&instance).await.unwrap());
            let claimed = ledger.claim_job_runs(&instance, &[run("a", "v1", START)], &[], &[]).await;
            assert!(matches!(claimed, Err(LedgerError::Reaped)), "{claimed:?}");
            assert!(ledger.job_runs(None, 9).await.unwrap().is_empty());
        }
    });
}

#[test]
fn a_job_is_gone_when_no_host_has_it() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let (one, two) = (ledger.register("serve").await.unwrap(), ledger.register("serve").await.unwrap());
        for instance in [&one, &two] {
            ledger.describe(instance, "schedule", "5f").await.unwrap();
            ledger.register_jobs(instance, &[job("a", "v1")]).await.unwrap();
        }
        ledger.register_jobs(&one, &[]).await.unwrap();
        assert_eq!(ledger.job_rows(None).await.unwrap().len(), usize::from(ledger.has_fleet()));
        ledger.register_jobs(&two, &[]).await.unwrap();
        assert_eq!(ledger.job_rows(None).await.unwrap(), []);
    });
}
