//! What the service answers, and what becomes of the recipients.

use super::*;

#[test]
fn everyone_gets_it_once_and_the_report_says_so() {
    virtually(async |clock| {
        let scene = Scene::new(&clock, Service::accepting(), StoredSpec::new(Call::Group), 300).await;
        let driven = scene.drive().await;
        assert_eq!(driven.end, DriveEnd::Finished);
        assert_eq!((driven.report.total, driven.report.sent), (300, 300));
        scene.each_was_asked_once(300);
        assert_eq!(scene.states().await, all(RecipientState::Sent, 300));
        let shown = scene.ledger.show(scene.id).await.unwrap();
        let stored: BroadcastSummary = serde_json::from_str(&shown.report.unwrap()).unwrap();
        assert_eq!(stored, driven.report);
        assert!(shown.driver.is_none());
    });
}

#[test]
fn groups_are_packed_as_asked_and_users_never_are() {
    virtually(async |clock| {
        let spec = StoredSpec { pack: 3, ..StoredSpec::new(Call::Group) };
        let scene = Scene::new(&clock, Service::accepting(), spec, 10).await;
        assert_eq!(scene.drive().await.report.sent, 10);
        let mut sizes: Vec<_> = scene.service.messages().iter().map(|sent| groups(sent).len()).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [1, 3, 3, 3]);
        scene.each_was_asked_once(10);

        let spec = StoredSpec { pack: 3, ..StoredSpec::new(Call::Targeted) };
        let scene = Scene::new(&clock, Service::accepting(), spec, 4).await;
        assert_eq!(scene.drive().await.report.sent, 4);
        assert_eq!(scene.service.messages().len(), 4);
        assert!(scene.service.messages().iter().all(|sent| sent["users"] == serde_json::json!(["u1", "u2"])));
    });
}

#[test]
fn a_refusal_is_that_of_its_group_and_of_a_pack_leaves_all_in_doubt() {
    virtually(async |clock| {
        let refusing =
            || {
                Service::answering(|number, request| {
                    if is_to(request, "2") { json(400, REFUSED) } else { accept(number, request) }
                })
            };
        let scene = Scene::new(&clock, refusing(), StoredSpec::new(Call::Group), 6).await;
        scene.drive().await;
        assert_eq!(
            scene.states().await,
            BTreeMap::from([(RecipientState::Sent, 5), (RecipientState::Rejected, 1)])
        );

        let spec = StoredSpec { pack: 3, ..StoredSpec::new(Call::Group) };
        let scene = Scene::new(&clock, refusing(), spec, 6).await;
        scene.drive().await;
        assert_eq!(
            scene.states().await,
            BTreeMap::from([(RecipientState::Sent, 3), (RecipientState::InDoubt, 3)])
        );
        scene.each_was_asked_once(6);

        // On the second attempt each group has its own call, and only the refused group is rejected.
        let spec = StoredSpec { pack: 3, in_doubt: InDoubtPolicy::Resend, ..StoredSpec::new(Call::Group) };
        let scene = Scene::new(&clock, refusing(), spec, 6).await;
        scene.drive().await;
        assert_eq!(
            scene.states().await,
            BTreeMap::from([(RecipientState::Sent, 5), (RecipientState::Rejected, 1)])
        );
    });
}

#[test]
fn a_200_that_lacks_a_group_leaves_that_group_in_doubt() {
    virtually(async |clock| {
        let service = Service::answering(|_, _| json(200, r#"{"data":{"1":"11","3":"33"}}"#));
        let spec = StoredSpec { pack: 3, ..StoredSpec::new(Call::Group) };
        let scene = Scene::new(&clock, service, spec, 3).await;
        let report = scene.drive().await.report;
        assert_eq!((report.sent, report.in_doubt), (2, 1));
        assert_eq!(
            scene.states().await,
            BTreeMap::from([(RecipientState::Sent, 2), (RecipientState::InDoubt, 1)])
        );
    });
}

#[test]
fn an_answer_in_doubt_is_held_or_sent_again() {
    virtually(async |clock| {
        let broken_once = || {
            Service::answering(
                |number, request| {
                    if number == 1 { json(500, BROKEN) } else { accept(number, request) }
                },
            )
        };
        let scene = Scene::new(&clock, broken_once(), StoredSpec::new(Call::Group), 5).await;
        scene.drive().await;
        assert_eq!(
            scene.states().await,
            BTreeMap::from([(RecipientState::Sent, 4), (RecipientState::InDoubt, 1)])
        );
        scene.each_was_asked_once(5);

        let spec = StoredSpec { in_doubt: InDoubtPolicy::Resend, ..StoredSpec::new(Call::Group) };
        let scene = Scene::new(&clock, broken_once(), spec, 5).await;
        scene.drive().await;
        assert_eq!(scene.states().await, all(RecipientState::Sent, 5));
        assert_eq!(scene.asked().values().sum::<usize>(), 6);
    });
}

#[test]
fn what_was_throttled_is_sent_again_and_counts_as_no_try() {
    virtually(async |clock| {
        let service = Service::answering(|number, request| {
            if number % 3 == 0 { json(429, r#"{"error":"reach_limit"}"#) } else { accept(number, request) }
        });
        let scene = Scene::new(&clock, service, StoredSpec::new(Call::Group), 60).await;
        let driven = scene.drive().await;
        assert_eq!((driven.end, driven.report.sent), (DriveEnd::Finished, 60));
        let rows = scene.ledger.export(scene.id, 0, u32::MAX).await.unwrap();
        assert!(rows.iter().all(|row| row.attempts == 1));
    });
}
