//! Tests of a copy that is taken while other processes write.

use super::*;

#[test]
fn a_sketch_holds_what_stood_there_and_nobody_notices() {
    with_folder(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("serve").await.unwrap();
        let lease = planned(&ledger, &instance, &spec(), 2_500).await;
        ledger.intend(lease, vec![1, 2]).await.unwrap();
        ledger.settle(lease, vec![RecipientOutcome::sent(1, "m1", 1)]).await.unwrap();
        ledger.data_set("a.lua", "key", "1", None).await.unwrap();

        let copy = folder.with_extension("copy");
        std::fs::create_dir_all(&copy).unwrap();
        Ledger::snapshot_into(&server::location(&folder).await, &copy, &clock).await.unwrap();
        // The ledger and its copy change independently.
        ledger.settle(lease, vec![RecipientOutcome::sent(2, "m2", 1)]).await.unwrap();
        let sketch = Ledger::open_scratch(&copy, clock.clone()).await.unwrap();
        let me = sketch.register("rehearse").await.unwrap();
        let counts = counted(&sketch, lease.broadcast).await;
        assert_eq!((counts.sent, counts.sending, counts.pending), (1, 1, 2_498));
        assert_eq!(sketch.data_get("a.lua", "key").await.unwrap().as_deref(), Some("1"));
        let app = sketch.app("https://service/org/app").await.unwrap();
        assert!(matches!(
            sketch.find_or_create(app, "news", "1", &spec()).await.unwrap(),
            BroadcastLookup::Unfinished(_)
        ));
        assert!(matches!(
            sketch.find_or_create(app, "news", "2", &spec()).await.unwrap(),
            BroadcastLookup::New(_)
        ));
        drop(me);
        assert_eq!(counted(&ledger, lease.broadcast).await.sent, 2);
    });
}
