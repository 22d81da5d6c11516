//! The requests that hooks have taken: each is on the disk before it is answered, and there until its run is over.

use std::time::Duration;

use super::roster::{is_taken, wish};
use super::sql::sql;
use super::store::{from_millis, millis};
use super::{JobWish, Ledger, LedgerError};

/// Requests whose runs are not over, of a hook and of all together, that are taken at the most.
const MOST: i64 = 1000;
const MOST_OF_ALL: i64 = 5000;

/// Bytes of such requests, of all hooks together.
const MOST_BYTES: i64 = 128 * 1024 * 1024;

/// A request that a hook is asked to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewHookRequest {
    /// The hook.
    pub job: String,
    /// The delivery's id, unique for the hook; without one the request is a new one.
    pub delivery: Option<String>,
    /// Everything but the body, as text.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is taken: its run goes by this instant.
    New(Duration),
    /// A delivery of that id was taken before: this is its run.
    Again(Duration),
    /// It is not taken: too many wait.
    Full,
}

impl Ledger {
    /// Takes a request for a hook, and wishes for its run. The instant that it goes by no other run of the job has.
    ///
    /// # Errors
    ///
    /// Faults of the store; then it is not taken.
    pub async fn take_hook_request(&self, new: &NewHookRequest) -> Result<Taken, LedgerError> {
        let mut write = self.store().write().await?;
        let result = async {
            if let Some(delivery) = &new.delivery {
                let question =
                    sql("SELECT scheduled_at FROM hook_deliveries WHERE job = ? AND delivery = ?");
                let before: Option<(i64,)> = write.row(question.bind(&new.job).bind(delivery)).await?;
                if let Some((instant,)) = before {
                    return Ok(Taken::Again(from_millis(instant)));
                }
            }
            let question = sql(
                "SELECT count(*), coalesce(sum(length(head) + length(body)), 0), count(*) FILTER (WHERE job = ?)
                    FROM hook_requests",
            );
            let waiting: Option<(i64, i64, i64)> = write.row(question.bind(&new.job)).await?;
            let (all, bytes, own) = waiting.unwrap_or_default();
            if own >= MOST || all >= MOST_OF_ALL || bytes >= MOST_BYTES {
                return Ok(Taken::Full);
            }
            let mut instant = write.store.now();
            while is_taken(&mut write, &new.job, instant).await? {
                instant += 1;
            }
            let statement =
                sql("INSERT INTO hook_requests (job, scheduled_at, head, body) VALUES (?, ?, ?, ?)");
            let statement = statement.bind(&new.job).bind(instant).bind(&new.head).bind(&new.body[..]);
            write.run(statement).await?;
            if let Some(delivery) = &new.delivery {
                let statement =
                    sql("INSERT INTO hook_deliveries (job, delivery, scheduled_at) VALUES (?, ?, ?)");
                write.run(statement.bind(&new.job).bind(delivery).bind(instant)).await?;
            }
            wish(&mut write, &new.job, JobWish::Run, Some(instant)).await?;
            Ok(Taken::New(from_millis(instant)))
        }
        .await;
        write.end(result).await
    }

    /// The request of a run that is not over, its head and its body; none where a person wished for the run.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn hook_request(
        &self,
        job: &str,
        scheduled_at: Duration,
    ) -> Result<Option<(String, Vec<u8>)>, LedgerError> {
        let question = sql("SELECT head, body FROM hook_requests WHERE job = ? AND scheduled_at = ?");
        let mut read = self.store().read_now().await?;
        let found = read.row(question.bind(job).bind(millis(scheduled_at))).await?;
        read.done();
        Ok(found)
    }

    /// Gives up a request whose run has not begun.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn drop_hook_request(&self, job: &str, scheduled_at: Duration) -> Result<(), LedgerError> {
        let statement = sql("DELETE FROM hook_requests WHERE job = ? AND scheduled_at = ?");
        self.change(statement.bind(job).bind(millis(scheduled_at))).await.map(drop)
    }

    /// Forgets the ids of deliveries that were taken before `instant`: the same id would run anew. Gives how many.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn prune_deliveries(&self, instant: Duration) -> Result<u64, LedgerError> {
        let statement = sql("DELETE FROM hook_deliveries WHERE scheduled_at < ?");
        self.change(statement.bind(millis(instant))).await
    }
}
