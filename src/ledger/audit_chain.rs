//! The chain of the audit: how an entry is made, and the act that a task carries out.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use data_encoding::HEXLOWER;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::core::{Act, Actor};

use super::LedgerError;
use super::sql::{Statement, sql};
use super::store::{Transaction, from_millis};

/// Makes the record of the newest entry, if there is none.
pub(super) const FIRST: &str = "INSERT INTO audit_head (id, number, hash, anchor_number, anchor_hash) VALUES (1, 0, '', 0, '') ON CONFLICT DO NOTHING";

/// Takes the next number; returns it with the hash of the entry before it. Writers form one queue, because each locks
/// the row.
pub(super) const NEXT: &str = "UPDATE audit_head SET number = number + 1 WHERE id = 1 RETURNING number, hash";

/// The number of a pending act that is not written yet.
const UNWRITTEN: i64 = 0;

tokio::task_local! {
    /// The act that the current task carries out.
    static PENDING: Arc<PendingAct>;
}

/// An act that a task carries out, and the number of its entry.
pub(super) struct PendingAct {
    pub(super) act: Act,
    number: AtomicI64,
}

/// An entry of the audit: who did what.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, ToSchema, sqlx::FromRow)]
#[schema(as = AuditView)]
pub struct AuditEntry {
    /// From 1, without gaps.
    pub number: i64,
    /// When. Stored in milliseconds since 1970.
    #[serde(serialize_with = "as_time")]
    #[schema(value_type = String)]
    at: i64,
    /// The name of the token, the user whom the proxy names, or the user of the system.
    pub actor: String,
    /// How the actor is known: `token`, `proxy` or `system`.
    pub kind: String,
    /// The actor's role at that time.
    pub role: String,
    /// Where the act came in: `page`, `api` or `cli`.
    pub door: String,
    /// The machine that carried it out.
    pub host: String,
    /// What was done, such as `broadcast.pause`.
    pub act: String,
    /// What it was done to.
    pub object: String,
    /// More about the act. `failed` and `entry` say that the act of an earlier entry failed.
    #[serde(serialize_with = "as_json")]
    #[schema(value_type = Value)]
    pub details: String,
    /// The hash of the entry before it, SHA-256 in hexadecimal.
    pub previous: String,
    /// The hash over the previous hash and this entry.
    pub hash: String,
}

impl AuditEntry {
    /// The entry of an act. `at` is in milliseconds since 1970.
    pub(super) fn new(act: &Act, number: i64, previous: String, at: i64) -> Self {
        let Act { actor, verb, object, details } = act;
        let mut entry = Self {
            number,
            at,
            actor: plain(&actor.name),
            kind: actor.kind.name().to_owned(),
            role: actor.role.name().to_owned(),
            door: actor.door.name().to_owned(),
            host: plain(&actor.host),
            act: plain(verb),
            object: plain(object),
            details: detailed(actor, details).to_string(),
            previous,
            hash: String::new(),
        };
        entry.hash = entry.computed_hash();
        entry
    }

    /// The columns after the number and the time, and their values, in the order of the store and of exports. The hash covers
    /// all but the last two.
    pub fn texts(&self) -> [(&'static str, &str); 10] {
        [
            ("actor", &self.actor),
            ("kind", &self.kind),
            ("role", &self.role),
            ("door", &self.door),
            ("host", &self.host),
            ("act", &self.act),
            ("object", &self.object),
            ("details", &self.details),
            ("previous", &self.previous),
            ("hash", &self.hash),
        ]
    }

    /// The columns of a query for entries, as the types that they were written with: a value that was changed to another
    /// type is read as another text, and not refused.
    pub(super) fn columns() -> String {
        let text = |(name, _)| format!(", COALESCE(CAST({name} AS TEXT), '') AS {name}");
        let texts: String = Self::default().texts().map(text).concat();
        format!("number, CAST(at AS BIGINT) AS at{texts}")
    }

    /// The statements that write it, after [`NEXT`] in the same transaction.
    pub(super) fn statements(&self) -> [Statement; 2] {
        let texts = self.texts();
        let names: String = texts.map(|(name, _)| format!(", {name}")).concat();
        let placeholders = ", ?".repeat(texts.len());
        let row = sql(format!("INSERT INTO audit (number, at{names}) VALUES (?, ?{placeholders})"));
        let row = row.bind(self.number).bind(self.at);
        let row = texts.into_iter().fold(row, |row, (_, value)| row.bind(value));
        [row, sql("UPDATE audit_head SET hash = ? WHERE id = 1").bind(&self.hash)]
    }

    pub fn at(&self) -> Duration {
        from_millis(self.at)
    }

    /// The hash over the previous hash and the entry's canonical form, a JSON list of its values.
    pub(super) fn computed_hash(&self) -> String {
        let texts = self.texts();
        let covered = texts.iter().take(texts.len() - 2).map(|(_, value)| json!(value));
        let form = [json!(self.number), json!(self.at)].into_iter().chain(covered);
        let form = form.collect::<Value>().to_string();
        let digest =
            Sha256::new().chain_update(&self.previous).chain_update("\n").chain_update(form).finalize();
        HEXLOWER.encode(&digest)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn as_time<S: Serializer>(at: &i64, to: S) -> Result<S::Ok, S::Error> {
    let at = jiff::Timestamp::from_second(at.div_euclid(1000));
    to.serialize_str(&at.map_or_else(|_| "?".to_owned(), |at| at.to_string()))
}

fn as_json<S: Serializer>(details: &str, to: S) -> Result<S::Ok, S::Error> {
    serde_json::from_str::<Value>(details).unwrap_or_default().serialize(to)
}

impl PendingAct {
    pub(super) fn new(act: Act) -> Arc<Self> {
        Arc::new(Self { act, number: AtomicI64::new(UNWRITTEN) })
    }

    /// The number of its entry. `None` if it is not written.
    pub(super) fn number(&self) -> Option<i64> {
        Some(self.number.load(Ordering::Relaxed)).filter(|number| *number != UNWRITTEN)
    }

    /// Runs a task that carries it out.
    pub(super) async fn scope<T>(self: &Arc<Self>, doing: impl Future<Output = T>) -> T {
        PENDING.scope(Arc::clone(self), doing).await
    }

    /// The act of the current task, if its entry is not written.
    pub(super) fn current() -> Option<Arc<Self>> {
        PENDING.try_with(Arc::clone).ok().filter(|pending| pending.number().is_none())
    }

    /// Who carries out the act of the current task. None if the task carries out no act.
    pub(super) fn actor() -> Option<Actor> {
        PENDING.try_with(|pending| pending.act.actor.clone()).ok()
    }

    /// Records that the transaction with its entry was committed.
    pub(super) fn written(&self, number: i64) {
        self.number.store(number, Ordering::Relaxed);
    }
}

impl Transaction<'_> {
    /// Appends an entry for an act. Returns its number.
    pub(super) async fn append_audit(&mut self, act: &Act) -> Result<i64, LedgerError> {
        self.run(sql(FIRST)).await?;
        let (number, previous) =
            self.row(sql(NEXT)).await?.ok_or_else(|| self.store.record("no newest entry of the audit"))?;
        for statement in AuditEntry::new(act, number, previous, self.store.now()).statements() {
            self.run(statement).await?;
        }
        Ok(number)
    }
}

/// The details of an act, with the address that it came from.
fn detailed(actor: &Actor, details: &Value) -> Value {
    let mut all = details.as_object().cloned().unwrap_or_default();
    if let Some(address) = &actor.address {
        all.insert("address".to_owned(), address.as_str().into());
    }
    all.into()
}

/// A text without characters that Postgres cannot store or a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().map(|one| if one.is_control() { '\u{fffd}' } else { one }).collect()
}
