//! Tests of a store that is damaged, full, of another version, or not writable.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::Ordering;

use super::*;

async fn open_file(folder: &Path, clock: &Clock) -> Ledger {
    Ledger::open(folder, clock.clone()).await.unwrap()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn only_its_owner_can_read_it() {
    with_folder(|folder, clock| async move {
        drop(open_file(&folder, &clock).await);
        assert_eq!(mode(&folder), 0o700);
        std::fs::set_permissions(folder.join("ledger.db"), std::fs::Permissions::from_mode(0o644)).unwrap();
        let ledger = open_file(&folder, &clock).await;
        let instance = ledger.register("run").await.unwrap();
        planned(&ledger, &instance, &spec(), 10).await;
        let mut files = 0;
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            assert_eq!(mode(&path), if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
            files += 1;
        }
        assert!(files >= 4, "the ledger, its two helpers, its lock");
    });
}

#[test]
fn a_newer_ledger_is_left_alone() {
    with_folder(|folder, clock| async move {
        let ledger = open_file(&folder, &clock).await;
        let mut write = ledger.store().write().await.unwrap();
        let done = write.run(sql("PRAGMA user_version = 99")).await;
        write.end(done).await.unwrap();
        let error = Ledger::open(&folder, clock).await.unwrap_err();
        assert!(matches!(error, LedgerError::Store(StoreFault::Newer { found: 99, .. })), "{error}");
    });
}

#[test]
fn noise_and_a_cut_file_are_told_before_anything_is_sent() {
    with_folder(|folder, clock| async move {
        let ledger = open_file(&folder, &clock).await;
        let instance = ledger.register("run").await.unwrap();
        planned(&ledger, &instance, &spec(), 2_000).await;
        // Moves everything into the one file, as closing the last connection does.
        let mut write = ledger.store().connect().await.unwrap();
        write.run(sql("PRAGMA wal_checkpoint(TRUNCATE)")).await.unwrap();
        drop((write, instance, ledger));
        let whole = std::fs::read(folder.join("ledger.db")).unwrap();
        let noise: Vec<u8> =
            (0..whole.len()).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[4]).collect();
        let cut = |keep: usize| whole[..keep].to_vec();
        let spoiled = |at: usize| {
            let mut spoiled = whole.clone();
            let end = (at + 4096).min(whole.len());
            spoiled[at..end].copy_from_slice(&noise[at..end]);
            spoiled
        };
        let bad =
            [noise.clone(), cut(whole.len() / 2), cut(4096), cut(100), spoiled(0), spoiled(whole.len() / 2)];
        for (case, bytes) in bad.iter().enumerate() {
            let other = folder.join(format!("case{case}"));
            std::fs::create_dir(&other).unwrap();
            std::fs::write(other.join("ledger.db"), bytes).unwrap();
            let error = Ledger::open(&other, clock.clone()).await.unwrap_err();
            assert!(matches!(error, LedgerError::Store(StoreFault::Corrupt { .. })), "case {case}: {error}");
            assert!(error.to_string().contains("ledger.db"), "{error}");
            assert_eq!(&std::fs::read(other.join("ledger.db")).unwrap(), bytes, "case {case} was written to");
        }
    });
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error() {
    with_folder(|folder, clock| async move {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("file"), "").unwrap();
        let error = Ledger::open(&folder.join("file"), clock.clone()).await.unwrap_err();
        assert!(
            matches!(error, LedgerError::Store(StoreFault::ReadOnly { .. } | StoreFault::Io { .. })),
            "{error}"
        );
        // The root user may write to read-only files.
        if rustix::process::geteuid().is_root() {
            return;
        }
        for writable in ["folder", "file"] {
            let path = folder.join(writable).with_extension("d");
            drop(open_file(&path, &clock).await);
            let target = if writable == "folder" { path.join("ledger.db") } else { path.clone() };
            let mode = if target.is_dir() { 0o500 } else { 0o400 };
            std::fs::set_permissions(&target, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = Ledger::open(&path, clock.clone()).await.unwrap_err();
            assert!(matches!(error, LedgerError::Store(StoreFault::ReadOnly { .. })), "{error}");
        }
    });
}

#[test]
fn a_full_disk_stops_sending_until_there_is_space() {
    with_folder(|folder, clock| async move {
        let ledger = open_file(&folder, &clock).await;
        let instance = ledger.register("run").await.unwrap();
        let lease = planned(&ledger, &instance, &spec(), 3_000).await;
        ledger.intend(lease, vec![1]).await.unwrap();
        // The setting takes effect when the writing connection is opened again.
        ledger.store().max_pages.store(1, Ordering::Relaxed);
        drop(ledger.store().write().await.unwrap());
        let long = "x".repeat(60_000);
        let filling = RecipientOutcome { error: Some(long), ..RecipientOutcome::sent(1, "m1", 1) };
        let error = ledger.settle(lease, vec![filling]).await.unwrap_err();
        assert!(matches!(error, LedgerError::Store(StoreFault::Full { .. })), "{error}");
        assert!(!ledger.is_healthy());
        let before = counted(&ledger, lease.broadcast).await;
        assert_eq!((before.sending, before.sent), (1, 0));
        // A row that needs no new page can still be written, so the probe succeeds.
        ledger.probe().await.unwrap();
        assert!(ledger.is_healthy());
        ledger.store().max_pages.store(u32::MAX - 1, Ordering::Relaxed);
        drop(ledger.store().write().await.unwrap());
        ledger.settle(lease, vec![RecipientOutcome::sent(1, "m1", 1)]).await.unwrap();
        assert_eq!(counted(&ledger, lease.broadcast).await.sent, 1);
    });
}

#[test]
fn while_the_file_is_gone_nothing_leads_to_a_send() {
    with_folder(|folder, clock| async move {
        let ledger = open_file(&folder, &clock).await;
        let instance = ledger.register("run").await.unwrap();
        let lease = planned(&ledger, &instance, &spec(), 10).await;
        let away = folder.with_extension("away");
        std::fs::rename(&folder, &away).unwrap();
        // Its connection still works, but writes to a file that no later process would find.
        for _ in 0..2 {
            let error = ledger.intend(lease, vec![1]).await.unwrap_err();
            assert!(matches!(error, LedgerError::Store(StoreFault::Gone { .. })), "{error}");
        }
        std::fs::create_dir(&folder).unwrap();
        std::fs::copy(away.join("ledger.db"), folder.join("ledger.db")).unwrap();
        let error = ledger.intend(lease, vec![1]).await.unwrap_err();
        assert!(
            matches!(error, LedgerError::Store(StoreFault::Gone { .. })),
            "another file in its place: {error}"
        );
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::rename(&away, &folder).unwrap();
        ledger.intend(lease, vec![1]).await.unwrap();
        assert!(ledger.is_healthy());
    });
}

#[test]
fn codes_of_the_store_have_their_words() {
    for (code, word) in [
        (13, "disk is full"),
        (266, "check the disk"),
        (11, "damaged"),
        (26, "damaged"),
        (8, "cannot be written"),
        (1032, "cannot be written"),
        (5, "locked"),
        (261, "locked"),
        (1, "report this"),
    ] {
        let error = LedgerError::of_code(Path::new("/a/ledger.db"), Some(code), String::from("so"));
        assert!(error.to_string().contains(word), "{code}: {error}");
        assert!(error.is_fault());
    }
}

#[test]
fn a_call_that_is_given_up_half_way_leaves_nothing_half() {
    with_folder(|folder, clock| async move {
        let ledger = open_file(&folder, &clock).await;
        let instance = ledger.register("run").await.unwrap();
        let app = ledger.app("a").await.unwrap();
        let found = ledger.find_or_create(app, "news", "1", &spec()).await.unwrap();
        let lease = ledger.claim_alone(found.broadcast().id, &instance, LEASE).await.unwrap().unwrap();
        for polls in 1..40 {
            let recipients = groups(0..50, &plain());
            let mut append = Box::pin(ledger.append(lease, &recipients));
            for _ in 0..polls {
                if poll_once(append.as_mut()).await {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(append);
            counted(&ledger, lease.broadcast).await;
        }
        ledger.append(lease, &groups(0..50, &plain())).await.unwrap();
        let counts = counted(&ledger, lease.broadcast).await;
        assert!(counts.pending >= 50 && counts.pending % 50 == 0, "{counts:?}");
    });
}

#[test]
fn after_a_failure_a_write_must_succeed_first() {
    with_folder(|folder, clock| async move {
        let ledger = open_file(&folder, &clock).await;
        let instance = ledger.register("run").await.unwrap();
        let lease = planned(&ledger, &instance, &spec(), 10).await;
        // Only the `write_proof` table cannot be written; all others can.
        let mut other = ledger.store().connect().await.unwrap();
        let stop = "CREATE TRIGGER stop BEFORE UPDATE ON write_proof BEGIN SELECT raise(ABORT, 'no'); END";
        other.run(sql(stop)).await.unwrap();
        ledger.intend(lease, vec![1]).await.unwrap();
        drop(ledger.store().write().await.unwrap());
        let error = ledger.intend(lease, vec![2]).await.unwrap_err();
        assert!(matches!(error, LedgerError::Store(StoreFault::Unhealthy(_))), "{error}");
        other.run(sql("DROP TRIGGER stop")).await.unwrap();
        ledger.intend(lease, vec![2]).await.unwrap();
        assert_eq!(counted(&ledger, lease.broadcast).await.sending, 2);
    });
}
