//! What history files settle, and what they do not.
//!
//! On a server: in the soak

use std::collections::BTreeSet;
use std::time::Duration;

use mooncast::{
    Ask, Call, DriveEnd, HistoryZone, InDoubtPolicy, RecipientState, RecordSettings, SendCounters,
    SendOptions, StoredSpec, VerifiedState,
};
use tokio_util::sync::CancellationToken;

use super::service::{Fate, Files};
use super::{HOUR, START, Scene, spec, virtually};
use crate::support::store;
use crate::survival::random::soak;

/// Every third message is lost, every third accepted silently, as long as the clock stands before the limit.
fn third(number: u64) -> Fate {
    [Fate::Well, Fate::AcceptedSilently, Fate::Lost][usize::try_from(number % 3).unwrap()]
}

#[test]
fn what_is_in_doubt_settles_by_history_and_what_is_absent_is_sent_again_once() {
    virtually(async |clock| {
        // The second sends, a day later, are all accepted.
        let plan = |number: u64, _: &serde_json::Value| if number < 90 { third(number) } else { Fate::Well };
        let scene = Scene::new(&clock, plan, RecordSettings::default()).await;
        let spec = spec(InDoubtPolicy::Reconcile);
        let id = scene.groups(&spec, 90).await;
        let driven = scene.drive(id, &spec).await;
        assert_eq!((driven.end, driven.report.sent), (DriveEnd::Finished, 90), "{:?}", driven.report);
        let copies = scene.service.copies();
        assert_eq!(copies.len(), 90);
        assert!(copies.values().all(|count| *count == 1), "{copies:?}");
        let day = scene.clock.unix_time().saturating_sub(START);
        assert!((24 * HOUR..26 * HOUR).contains(&day), "{day:?}");
        // After 1, 3, 6 and 24 hours.
        let asked: Vec<u64> =
            scene.service.asked().iter().map(|(_, at)| at.saturating_sub(START).as_secs() / 3600).collect();
        assert_eq!(asked, [1, 3, 6, 24]);
        for row in scene.ledger.export(id, 0, u32::MAX).await.unwrap() {
            assert!(row.state == RecipientState::Sent && row.message_id.is_some(), "{row:?}");
        }
        let secret = |request: &crate::support::service::Request| {
            request.path.starts_with("/files/") && format!("{request:?}").contains("canary-token")
        };
        assert!(!scene.service.requests().iter().any(secret));
    });
}

#[test]
fn with_hold_presence_settles_by_itself_and_proven_absence_is_told() {
    virtually(async |clock| {
        let scene = Scene::new(&clock, |number, _| third(number), RecordSettings::default()).await;
        let spec = spec(InDoubtPolicy::Hold);
        let id = scene.groups(&spec, 30).await;
        let driven = scene.drive(id, &spec).await;
        assert_eq!((driven.report.sent, driven.report.in_doubt), (10, 20));
        let waits = scene.delivery.reconcile(Ask::Due).await.unwrap().broadcasts[&id];
        // The hour that has begun ends at 09:00; its file is complete 24 hours later.
        assert_eq!((waits.waiting, waits.until), (20, Some(START + Duration::from_mins(40) + 24 * HOUR)));
        clock.sleep(2 * HOUR).await;
        scene.delivery.reconcile(Ask::Due).await.unwrap();
        let counts = scene.ledger.counts(id).await.unwrap();
        assert_eq!((counts.sent, counts.in_doubt), (20, 10));
        clock.sleep(24 * HOUR).await;
        let told = scene.delivery.reconcile(Ask::Due).await.unwrap().broadcasts[&id];
        assert_eq!((told.absent, told.waiting), (10, 0));
        let counts = scene.ledger.counts(id).await.unwrap();
        assert_eq!((counts.sent, counts.in_doubt, counts.pending), (20, 10, 0));
        assert_eq!(scene.service.copies().len(), 20, "nothing is sent again");
    });
}

#[test]
fn without_records_it_ends_as_hold_does() {
    if store::server().is_some() && !soak() {
        // Three days take minutes there.
        return;
    }
    virtually(async |clock| {
        let scene = Scene::new(&clock, |number, _| third(number), RecordSettings::default()).await;
        scene.service.serve(Files::Missing);
        let spec = spec(InDoubtPolicy::Reconcile);
        let id = scene.groups(&spec, 30).await;
        let driven = scene.drive(id, &spec).await;
        assert_eq!(driven.end, DriveEnd::Finished);
        assert_eq!((driven.report.sent, driven.report.in_doubt), (10, 20));
        // The service keeps its files for three days.
        assert!(scene.clock.unix_time().saturating_sub(START) > 48 * HOUR);
        assert!(scene.service.copies().values().all(|count| *count == 1));
    });
}

#[test]
fn a_file_that_is_not_whole_or_of_another_zone_proves_no_absence() {
    for (files, arrives) in [(Files::CutOff, true), (Files::BadLine, true), (Files::OtherZone, false)] {
        virtually(async |clock| {
            let scene = Scene::new(&clock, |number, _| third(number), RecordSettings::default()).await;
            scene.service.serve(files);
            let spec = spec(InDoubtPolicy::Resend);
            let hold = StoredSpec { in_doubt: InDoubtPolicy::Hold, ..spec.clone() };
            let id = scene.groups(&spec, 9).await;
            scene.drive(id, &hold).await;
            clock.sleep(26 * HOUR).await;
            let outlook = scene.delivery.reconcile(Ask::Due).await.unwrap();
            let counts = scene.ledger.counts(id).await.unwrap();
            let told = outlook.broadcasts.get(&id).copied().unwrap_or_default();
            assert_eq!((counts.pending, told.absent), (0, 0), "{files:?}");
            assert!(counts.sent == 6 || !arrives, "{files:?}: {counts:?}");
            assert_eq!(counts.sent + counts.in_doubt, 9, "{files:?}");
        });
    }
}

#[test]
fn a_record_with_the_mark_and_another_text_prevents_a_proof_of_absence() {
    virtually(async |clock| {
        let plan = |number: u64, _: &serde_json::Value| if number < 9 { third(number) } else { Fate::Well };
        let scene = Scene::new(&clock, plan, RecordSettings::default()).await;
        scene.service.serve(Files::Altered);
        let spec = StoredSpec { mark: Some("abcdefgh".into()), ..spec(InDoubtPolicy::Reconcile) };
        let id = scene.groups(&spec, 9).await;
        let driving = Box::pin(scene.drive(id, &spec));
        let _ = clock.timeout(27 * HOUR, driving).await;
        let counts = scene.ledger.counts(id).await.unwrap();
        // The three lost ones were sent again, the three altered ones are left to a person.
        assert_eq!((counts.sent, counts.in_doubt), (3 + 3, 3), "{counts:?}");
        assert!(scene.service.copies().values().all(|count| *count == 1));
        let marks: BTreeSet<String> = scene
            .service
            .accepted()
            .iter()
            .map(|message| message["ext"]["mooncast"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(marks.len(), 9, "each message has a mark of its own: {marks:?}");
        assert!(marks.iter().all(|mark| mark.len() <= 24 && mark.starts_with("abcdefgh.")));
    });
}

#[test]
fn marks_tell_apart_what_goes_to_members_of_one_group() {
    for (mark, sent) in [(Some("abcdefgh".to_owned()), 2), (None, 2)] {
        virtually(async |clock| {
            // The first is accepted silently, the second lost.
            let plan = |number: u64, _: &serde_json::Value| match number {
                0 => Fate::AcceptedSilently,
                1 => Fate::Lost,
                _ => Fate::Well,
            };
            let scene = Scene::new(&clock, plan, RecordSettings::default()).await;
            let spec = StoredSpec {
                in_doubt: InDoubtPolicy::Reconcile,
                mark: mark.clone(),
                ..StoredSpec::new(Call::Targeted)
            };
            let id = scene.broadcast("news", &spec, &[(1, &["a"]), (1, &["b"])]).await;
            let driven = clock.timeout(27 * HOUR, Box::pin(scene.drive(id, &spec))).await;
            let accepted = scene.service.accepted().len();
            if mark.is_some() {
                assert_eq!(driven.unwrap().report.sent, sent);
                assert_eq!(accepted, 2, "the absent one is sent again");
            } else {
                // One record fits both: neither is settled, and nothing is sent again.
                assert_eq!(accepted, 1);
                assert_eq!(scene.ledger.counts(id).await.unwrap().in_doubt, 2);
            }
        });
    }
}

#[test]
fn marks_tell_apart_equal_single_messages() {
    for mark in [true, false] {
        virtually(async |clock| {
            let plan = |number: u64, _: &serde_json::Value| match number {
                0 => Fate::AcceptedSilently,
                1 => Fate::Lost,
                _ => Fate::Well,
            };
            let scene = Scene::new(&clock, plan, RecordSettings { mark, ..RecordSettings::default() }).await;
            let (stop, counters) = (CancellationToken::new(), SendCounters::default());
            let send = async |key: &str| {
                let json = serde_json::json!({ "to": ["1"], "type": "txt", "body": { "msg": "the same" } });
                let message = scene.delivery.check(Call::Group, json).unwrap();
                let options = SendOptions { once: Some(key.to_owned()), ..SendOptions::default() };
                scene.delivery.send(&message, options, &stop, &counters).await
            };
            for key in ["a", "b"] {
                assert_eq!(send(key).await.unwrap_err().kind, mooncast::FailureKind::InDoubt);
            }
            clock.sleep(25 * HOUR).await;
            scene.delivery.reconcile(Ask::Due).await.unwrap();
            let (first, second) = (send("a").await, send("b").await);
            if !mark {
                // One record fits both.
                assert!(first.is_err() && second.is_err());
                assert_eq!(scene.service.accepted().len(), 1);
                return;
            }
            assert_eq!(first.unwrap(), [("1".to_owned(), "1000000000".to_owned())], "the record's receipt");
            second.unwrap();
            let accepted = scene.service.accepted();
            let marks: BTreeSet<&str> =
                accepted.iter().map(|message| message["ext"]["mooncast"].as_str().unwrap()).collect();
            assert!(marks.len() == 2 && marks.iter().all(|mark| mark.len() <= 24), "{marks:?}");
        });
    }
}

#[test]
fn a_single_message_in_doubt_settles_and_an_absent_one_frees_its_key() {
    virtually(async |clock| {
        let plan = |number: u64, _: &serde_json::Value| match number {
            0 => Fate::AcceptedSilently,
            1 => Fate::Lost,
            _ => Fate::Well,
        };
        let scene = Scene::new(&clock, plan, RecordSettings::default()).await;
        let (stop, counters) = (CancellationToken::new(), SendCounters::default());
        let send = async |key: &str| {
            let json = serde_json::json!({ "to": ["1"], "type": "txt", "body": { "msg": key } });
            let message = scene.delivery.check(Call::Group, json).unwrap();
            let options = SendOptions { once: Some(key.to_owned()), ..SendOptions::default() };
            scene.delivery.send(&message, options, &stop, &counters).await
        };
        for key in ["a", "b"] {
            assert_eq!(send(key).await.unwrap_err().kind, mooncast::FailureKind::InDoubt);
        }
        clock.sleep(25 * HOUR).await;
        scene.delivery.reconcile(Ask::Due).await.unwrap();
        let receipts = send("a").await.unwrap();
        assert_eq!(receipts, [("1".to_owned(), "1000000000".to_owned())], "the receipt of the record");
        send("b").await.unwrap();
        assert_eq!(scene.service.accepted().len(), 2);
    });
}

#[test]
fn asked_at_once_it_reads_each_hour_that_has_ended() {
    virtually(async |clock| {
        let records = RecordSettings { history_zone: Some(HistoryZone::Utc), ..RecordSettings::default() };
        let scene = Scene::new(&clock, |number, _| third(number), records).await;
        let spec = spec(InDoubtPolicy::Hold);
        let id = scene.groups(&spec, 3).await;
        scene.drive(id, &spec).await;
        scene.delivery.reconcile(Ask::Now).await.unwrap();
        assert_eq!(scene.service.asked().len(), 0, "the hour has not ended");
        clock.sleep(100 * Duration::from_mins(1)).await;
        scene.delivery.reconcile(Ask::Now).await.unwrap();
        assert_eq!(scene.ledger.counts(id).await.unwrap().sent, 2);
    });
}

#[test]
fn what_moderation_stopped_is_found_by_the_complete_history_and_not_before() {
    virtually(async |clock| {
        let plan = |_: u64, message: &serde_json::Value| match message["to"][0].as_str() {
            Some("7" | "9") => Fate::Moderated,
            _ => Fate::Well,
        };
        let scene = Scene::new(&clock, plan, RecordSettings::default()).await;
        let spec = spec(InDoubtPolicy::Hold);
        let id = scene.groups(&spec, 30).await;
        assert_eq!(scene.drive(id, &spec).await.report.sent, 30);
        let verify = async |ask| {
            let told = scene.delivery.verify(id, ask).await.unwrap();
            scene.delivery.store_verification(id, &told).await.unwrap();
            let rows = scene.ledger.export(id, 0, 100).await.unwrap();
            let marked = |state| rows.iter().filter(|row| row.verified == state).count() as u64;
            let marks = [VerifiedState::Verified, VerifiedState::Missing, VerifiedState::Unknown].map(marked);
            assert_eq!(marks, [told.verified, told.missing, told.unknown]);
            told
        };
        let told = verify(Ask::Nothing).await;
        assert_eq!((told.verified, told.missing, told.unknown), (0, 0, 30));
        clock.sleep(2 * HOUR).await;
        let told = verify(Ask::Now).await;
        assert_eq!((told.verified, told.missing, told.unknown), (28, 0, 2));
        assert!(!told.is_final());
        clock.sleep(24 * HOUR).await;
        let told = verify(Ask::Now).await;
        assert_eq!((told.verified, told.missing, told.unknown), (28, 2, 0));
        assert_eq!(told.first_missing, ["7", "9"]);
        assert!(told.is_final());
        let report = scene.ledger.show(id).await.unwrap().report.unwrap();
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!((&report["verification"]["missing"], &report["sent"]), (&2.into(), &30.into()));
    });
}
