//! The output of job runs: the first and the last lines of each, in parts.
//!
//! A part has whole lines that follow each other. The numbers of lines and bytes of two parts show what was left out
//! between them.

use std::time::Duration;

use super::commit_request::CommitRequest;
use super::output_write::OutputWrite;
use super::sql::sql;
use super::store::{Transaction, count, from_millis, millis, stored};
use super::{Ledger, LedgerError, OutputLine, OutputStream};

/// The place and the size of a stored part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct OutputPart {
    #[sqlx(try_from = "i64")]
    pub first_line: u64,
    #[sqlx(try_from = "i64")]
    pub lines: u64,
    #[sqlx(try_from = "i64")]
    pub at_byte: u64,
    #[sqlx(try_from = "i64")]
    pub bytes: u64,
    /// The size of its stored form.
    #[sqlx(try_from = "i64")]
    pub size: u64,
}

/// The kept output of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunOutput {
    pub lines: Vec<OutputLine>,
    /// The number of the run's last line.
    pub last_line: u64,
    /// The bytes that were left out, and before which line. `None` if nothing was left out.
    pub left_out: Option<LeftOut>,
}

/// The part of a run's output that was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftOut {
    /// The number of the first kept line after it.
    pub before_line: u64,
    pub lines: u64,
    pub bytes: u64,
}

#[derive(sqlx::FromRow)]
struct OutputRow {
    #[sqlx(flatten)]
    part: OutputPart,
    content: Option<String>,
}

const PLACE: &str = "first_line, lines, at_byte, bytes, size";

impl Ledger {
    /// Writes output of a run, in the next group commit. Repeating it after an error changes nothing.
    pub async fn write_output(&self, output: OutputWrite) -> Result<(), LedgerError> {
        self.0.queue.ask(CommitRequest::Output(output)).await.map(drop)
    }

    /// Returns the kept output of a run: the lines after the one with the number `after`.
    pub async fn run_output(
        &self,
        job: &str,
        scheduled_at: Duration,
        after: u64,
    ) -> Result<RunOutput, LedgerError> {
        let question = sql(format!(
            "SELECT {PLACE}, CASE WHEN first_line + lines > ?3 THEN content END AS content FROM run_output
                WHERE job = ?1 AND scheduled_at = ?2 ORDER BY first_line"
        ));
        let question = question.bind(job).bind(millis(scheduled_at)).bind(stored(after.saturating_add(1)));
        let rows: Vec<OutputRow> = self.store().rows_now(question).await?;
        let mut output = RunOutput { last_line: after, ..RunOutput::default() };
        let (mut line, mut byte) = (1, 0);
        for OutputRow { part, content } in rows {
            if part.first_line > line && part.first_line > after {
                let earlier = output.left_out.map_or((0, 0), |left| (left.lines, left.bytes));
                output.left_out = Some(LeftOut {
                    before_line: part.first_line,
                    lines: earlier.0 + part.first_line - line,
                    bytes: earlier.1 + part.at_byte.saturating_sub(byte),
                });
            }
            (line, byte) = (part.first_line + part.lines, part.at_byte + part.bytes);
            let Some(content) = content else { continue };
            let stored: Vec<(i64, OutputStream, String)> =
                serde_json::from_str(&content).map_err(|error| self.store().record(error))?;
            let numbered = (part.first_line..).zip(stored).filter(|(number, _)| *number > after);
            output.lines.extend(numbered.map(|(number, (at, stream, text))| OutputLine {
                number,
                at: from_millis(at),
                stream,
                text,
            }));
            output.last_line = line - 1;
        }
        Ok(output)
    }

    /// Returns the places of the stored parts of a run's output, in order.
    pub async fn output_parts(
        &self,
        job: &str,
        scheduled_at: Duration,
    ) -> Result<Vec<OutputPart>, LedgerError> {
        let question = sql(format!(
            "SELECT {PLACE} FROM run_output WHERE job = ? AND scheduled_at = ? ORDER BY first_line"
        ));
        self.store().rows_now(question.bind(job).bind(millis(scheduled_at))).await
    }

    /// Returns the stored bytes of the output of all runs.
    pub async fn output_size(&self) -> Result<u64, LedgerError> {
        let row: Option<(i64,)> = self
            .store()
            .row_now(sql("SELECT CAST(coalesce(sum(size), 0) AS BIGINT) FROM run_output"))
            .await?;
        Ok(row.map_or(0, |(size,)| count(size)))
    }

    /// Deletes output that was written before an instant, and then the oldest output until at most `most` bytes are
    /// left. Returns the number of deleted parts.
    pub async fn prune_output(&self, before: Duration, most: u64) -> Result<u64, LedgerError> {
        let old = sql("DELETE FROM run_output WHERE written_at < ?").bind(millis(before));
        let mut deleted = self.store().change(old).await?;
        if self.output_size().await? > most {
            // The newest time of which no output fits any more.
            let question = sql("SELECT written_at FROM (
                    SELECT written_at, sum(size) OVER (ORDER BY written_at DESC) AS total FROM run_output) AS sums
                WHERE total > ? ORDER BY written_at DESC LIMIT 1");
            let last: Option<(i64,)> = self.store().row_now(question.bind(stored(most))).await?;
            if let Some((last,)) = last {
                let oldest = sql("DELETE FROM run_output WHERE written_at <= ?").bind(last);
                deleted += self.store().change(oldest).await?;
            }
        }
        Ok(deleted)
    }
}

/// Writes parts, and deletes those that are no longer among the first or the last.
pub(super) async fn write(write: &mut Transaction<'_>, output: &OutputWrite) -> Result<(), LedgerError> {
    let at = millis(output.scheduled_at);
    for part in &output.parts {
        let content = format!("[{}]", part.content);
        let statement =
            sql("INSERT INTO run_output (job, scheduled_at, first_line, lines, at_byte, bytes, size, written_at, content)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING");
        let statement = statement.bind(&output.job).bind(at).bind(stored(part.first_line));
        let statement =
            statement.bind(stored(part.lines)).bind(stored(part.at_byte)).bind(stored(part.bytes));
        let statement = statement.bind(stored(content.len() as u64)).bind(write.store.now()).bind(content);
        write.run(statement).await?;
    }
    if let Some((after, before)) = output.left_out {
        let statement = sql(
            "DELETE FROM run_output WHERE job = ? AND scheduled_at = ? AND first_line > ? AND first_line < ?",
        );
        write.run(statement.bind(&output.job).bind(at).bind(stored(after)).bind(stored(before))).await?;
    }
    Ok(())
}
