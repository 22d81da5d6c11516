//! Tests of apps whose address was spelled in two ways.

use super::*;
use crate::ledger::app_keys::{MOVED, MOVED_BESIDES};
use crate::ledger::tables::TableSchema;

#[test]
fn every_table_of_an_app_moves_with_it() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let tables = ledger.store().transaction(async |write| TableSchema::all(write).await).await.unwrap();
        let of_apps = tables.iter().filter(|table| table.columns.iter().any(|(name, _)| name == "app"));
        let mut names: Vec<&str> = of_apps.map(|table| table.name).collect();
        let mut moved: Vec<&str> = MOVED.iter().map(|(name, _)| *name).chain(MOVED_BESIDES).collect();
        names.sort_unstable();
        moved.sort_unstable();
        assert_eq!(names, moved);
    });
}

#[test]
fn a_once_key_stays_with_the_send_that_may_have_been_delivered() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let other = "https://A1.example:443/org/app";
        let (to, from) =
            (ledger.app("https://a1.example/org/app").await.unwrap(), ledger.app(other).await.unwrap());
        let owner = ledger.register("run").await.unwrap();
        let sends: [(AppId, &str, i64); 5] =
            [(to, "a", 3), (from, "a", 2), (to, "b", 2), (from, "b", 2), (from, "c", 3)];
        for (app, once, state) in sends {
            let send = sql("INSERT INTO sends (app, once, hash, recipients, origin, owner, state, created_at, updated_at)
                    VALUES (?, ?, '', '[]', '', ?, ?, 1, 1)");
            ledger.change(send.bind(app.0).bind(once).bind(owner.id()).bind(state)).await.unwrap();
        }
        ledger.unify_app_keys().await.unwrap();
        let question = sql(
            "SELECT once, state, count(*) FROM sends WHERE app = ? GROUP BY once, state ORDER BY once, state",
        );
        let kept: Vec<(Option<String>, i64, i64)> = ledger.store().rows(question.bind(to.0)).await.unwrap();
        let kept: Vec<_> =
            kept.iter().filter_map(|(once, state, n)| Some((once.as_deref()?, *state, *n))).collect();
        assert_eq!(kept, [("a", 2, 1), ("b", 2, 1), ("c", 3, 1)]);
        let left = sql("SELECT count(*) FROM sends WHERE app = ?").bind(from.0);
        assert_eq!(ledger.store().row::<(i64,)>(left).await.unwrap(), Some((0,)));
    });
}
