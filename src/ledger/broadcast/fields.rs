//! The audience's own columns of recipients, for exports. They are stored in batches, separate from the rows that
//! change while a broadcast is sent.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde_json::Value;

use crate::core::Call;
use crate::ledger::sql::sql;
use crate::ledger::store::Transaction;
use crate::ledger::{Ledger, LedgerError, RecipientState};

use super::{BroadcastId, ExportedRecipient, NewRecipient};

/// The most recipients of one row.
const BATCH: usize = 1000;

/// The most bytes of a row after decompression. A batch of the largest recipients takes fewer.
const LARGEST: u64 = 64 << 20;

/// How many recipients are read at once.
const PAGE: u32 = 1000;

/// Stores the columns of recipients that were just appended, beginning with this sequence number.
pub(super) async fn keep(
    write: &mut Transaction<'_>,
    id: BroadcastId,
    first: i64,
    recipients: &[NewRecipient],
) -> Result<(), LedgerError> {
    if !write.store.driver.is_exported() {
        return Ok(());
    }
    let mut first = first;
    for batch in recipients.chunks(BATCH) {
        let last = first + i64::try_from(batch.len()).unwrap_or(i64::MAX) - 1;
        if batch.iter().any(|recipient| !recipient.fields.is_empty()) {
            let names = names_of(batch);
            let content = pack(&names, batch).map_err(|error| write.store.record(error))?;
            let names = serde_json::to_string(&names).map_err(|error| write.store.record(error))?;
            let statement = sql(
                "INSERT INTO recipient_fields (broadcast, first, last, names, content) VALUES (?, ?, ?, ?, ?)",
            );
            let statement = statement.bind(id.0).bind(first).bind(last).bind(names);
            write.run(statement.bind(content.as_slice())).await?;
        }
        first = last + 1;
    }
    Ok(())
}

/// The names of all columns, in the order of their first appearance.
fn names_of(recipients: &[NewRecipient]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for recipient in recipients {
        for (at, (name, _)) in recipient.fields.iter().enumerate() {
            // Usually all recipients have the same columns.
            if names.get(at).is_none_or(|known| known != name) && !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
    }
    names
}

fn pack(names: &[&str], recipients: &[NewRecipient]) -> std::io::Result<Vec<u8>> {
    let rows: Vec<Vec<&Value>> = recipients
        .iter()
        .map(|recipient| {
            let mut row = vec![&Value::Null; names.len()];
            for (at, (name, value)) in recipient.fields.iter().enumerate() {
                let same = names.get(at).is_some_and(|known| known == name);
                let at = if same { Some(at) } else { names.iter().position(|known| known == name) };
                if let Some(cell) = at.and_then(|at| row.get_mut(at)) {
                    *cell = value;
                }
            }
            row
        })
        .collect();
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    serde_json::to_writer(&mut encoder, &rows)?;
    encoder.flush()?;
    encoder.finish()
}

fn unpack(content: &[u8]) -> std::io::Result<Vec<Vec<Value>>> {
    let reader = DeflateDecoder::new(content).take(LARGEST);
    serde_json::from_reader(std::io::BufReader::new(reader)).map_err(std::io::Error::other)
}

/// One batch, as it was read.
#[derive(Debug)]
struct FieldBatch {
    first: i64,
    last: i64,
    names: Vec<String>,
    rows: Vec<Vec<Value>>,
}

/// All recipients of a broadcast with their columns, read page by page.
#[derive(Debug)]
pub struct ExportPages {
    ledger: Ledger,
    id: BroadcastId,
    states: Vec<RecipientState>,
    names: Vec<String>,
    call: Call,
    after: i64,
    batch: Option<FieldBatch>,
}

impl ExportPages {
    /// Returns the call whose recipients these are.
    pub fn recipients(&self) -> Call {
        self.call
    }

    /// Returns the names of the audience's own columns, in the order of their first appearance. Empty for a broadcast
    /// from before columns were stored.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns the next recipients in the plan's order; `None` after the last one.
    pub async fn next(&mut self) -> Result<Option<Vec<ExportedRecipient>>, LedgerError> {
        let mut page = self.ledger.recipients_in(self.id, &self.states, self.after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(None) };
        self.after = last.seq;
        if !self.names.is_empty() {
            for row in &mut page {
                self.fill(row).await?;
            }
        }
        Ok(Some(page))
    }

    async fn fill(&mut self, row: &mut ExportedRecipient) -> Result<(), LedgerError> {
        let seq = row.seq;
        if self.batch.as_ref().is_none_or(|batch| !(batch.first..=batch.last).contains(&seq)) {
            self.batch = self.ledger.batch_at(self.id, seq).await?.filter(|batch| batch.last >= seq);
        }
        let Some(batch) = &mut self.batch else { return Ok(()) };
        let at = usize::try_from(seq - batch.first).unwrap_or(usize::MAX);
        if let Some(values) = batch.rows.get_mut(at) {
            row.fields = batch.names.iter().cloned().zip(std::mem::take(values)).collect();
        }
        Ok(())
    }
}

impl Ledger {
    /// Returns all recipients of a broadcast with the audience's own columns: those in these states, or in any state
    /// if `states` is empty.
    pub async fn export_pages(
        &self,
        id: BroadcastId,
        states: &[RecipientState],
    ) -> Result<ExportPages, LedgerError> {
        // Steps from one list of names to the next different one: there are many rows, and usually a single list.
        let question =
            sql("SELECT names FROM recipient_fields WHERE broadcast = ? GROUP BY names ORDER BY min(first)");
        let lists: Vec<(String,)> = self.store().rows(question.bind(id.0)).await?;
        let mut names: Vec<String> = Vec::new();
        for (list,) in lists {
            let list: Vec<String> =
                serde_json::from_str(&list).map_err(|error| self.store().record(error))?;
            names.extend(list.into_iter().filter(|name| !names.contains(name)).collect::<Vec<_>>());
        }
        let call = self.show(id).await?.spec.recipients();
        let states = states.to_vec();
        Ok(ExportPages { ledger: self.clone(), id, states, names, call, after: 0, batch: None })
    }

    /// Returns the batch that contains a recipient, if it has columns.
    async fn batch_at(&self, id: BroadcastId, seq: i64) -> Result<Option<FieldBatch>, LedgerError> {
        let question = sql("SELECT first, last, names, content FROM recipient_fields
                WHERE broadcast = ? AND first <= ? ORDER BY first DESC LIMIT 1");
        let row: Option<(i64, i64, String, Vec<u8>)> =
            self.store().row(question.bind(id.0).bind(seq)).await?;
        let Some((first, last, names, content)) = row else { return Ok(None) };
        let names = serde_json::from_str(&names).map_err(|error| self.store().record(error))?;
        let rows = unpack(&content).map_err(|error| self.store().record(error))?;
        Ok(Some(FieldBatch { first, last, names, rows }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn recipient(fields: &[(&str, Value)]) -> NewRecipient {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        NewRecipient {
            zone: None,
            group_id: "g".to_owned(),
            users: Vec::new(),
            message: None,
            fields,
            target: None,
        }
    }

    #[test]
    fn columns_are_read_back_as_they_were_given() {
        let all = [
            recipient(&[("名称", json!("上海")), ("n", json!(18_446_744_073_709_551_615_u64))]),
            recipient(&[]),
            recipient(&[("n", json!(null)), ("late", json!({ "a": [1, "=1"] }))]),
        ];
        let names = names_of(&all);
        assert_eq!(names, ["名称", "n", "late"]);
        let rows = unpack(&pack(&names, &all).unwrap()).unwrap();
        assert_eq!(rows[0], [json!("上海"), json!(18_446_744_073_709_551_615_u64), Value::Null]);
        assert_eq!(rows[1], [Value::Null, Value::Null, Value::Null]);
        assert_eq!(rows[2], [Value::Null, Value::Null, json!({ "a": [1, "=1"] })]);
        assert!(unpack(b"noise").is_err());
    }
}
