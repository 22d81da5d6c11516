//! The forms in which columns are stored, and the types that they are read as.

use std::time::Duration;

use serde::de::DeserializeOwned;
use sqlx::error::BoxDynError;
use sqlx::{ColumnIndex, Database, Decode, FromRow, Row, Type};

use super::{CommandLineStart, RecipientCounts, RunRequest};

/// An instant or a duration, in milliseconds.
#[derive(sqlx::Type)]
#[sqlx(transparent)]
pub(super) struct Millis(i64);

/// The same, or NULL.
#[derive(sqlx::Type)]
#[sqlx(transparent)]
pub(super) struct OptionalMillis(Option<i64>);

impl From<Millis> for Duration {
    fn from(Millis(millis): Millis) -> Self {
        from_millis(millis)
    }
}

impl From<OptionalMillis> for Option<Duration> {
    fn from(OptionalMillis(millis): OptionalMillis) -> Self {
        millis.map(from_millis)
    }
}

/// A value as JSON. NULL and an empty text stand for its default.
pub(super) struct JsonText<T>(T);

impl<T, DB: Database> Type<DB> for JsonText<T>
where
    Option<String>: Type<DB>,
{
    fn type_info() -> DB::TypeInfo {
        <Option<String> as Type<DB>>::type_info()
    }

    fn compatible(info: &DB::TypeInfo) -> bool {
        <Option<String> as Type<DB>>::compatible(info)
    }
}

impl<'r, T: DeserializeOwned + Default, DB: Database> Decode<'r, DB> for JsonText<T>
where
    Option<String>: Decode<'r, DB>,
{
    fn decode(value: DB::ValueRef<'r>) -> Result<Self, BoxDynError> {
        let text = <Option<String> as Decode<DB>>::decode(value)?.filter(|text| !text.is_empty());
        Ok(Self(text.map(|text| serde_json::from_str(&text)).transpose()?.unwrap_or_default()))
    }
}

macro_rules! from_json {
    ($($of:ty),+) => { $(
        impl From<JsonText<$of>> for $of {
            fn from(JsonText(value): JsonText<$of>) -> Self {
                value
            }
        }
    )+ };
}

from_json!(
    Vec<String>,
    Option<Vec<String>>,
    Option<RunRequest>,
    Option<CommandLineStart>,
    Vec<(String, String)>
);

/// Reads the number of recipients in each state from columns whose names begin with `prefix`.
pub(super) fn recipient_counts<'r, R: Row>(row: &'r R, prefix: &str) -> sqlx::Result<RecipientCounts>
where
    for<'name> &'name str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    let many = |state: &str| row.try_get::<i64, _>(&*format!("{prefix}{state}")).map(count);
    Ok(RecipientCounts {
        pending: many("pending")?,
        sending: many("sending")?,
        sent: many("sent")?,
        rejected: many("rejected")?,
        in_doubt: many("in_doubt")?,
        skipped: many("skipped")?,
        cancelled: many("cancelled")?,
    })
}

impl<'r, R: Row> FromRow<'r, R> for RecipientCounts
where
    for<'name> &'name str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> sqlx::Result<Self> {
        recipient_counts(row, "n_")
    }
}

/// Converts a duration or an instant to the milliseconds that the ledger stores.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Converts stored milliseconds to a duration or an instant.
pub(super) fn from_millis(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}

/// Converts a count or a number to its stored form.
pub(super) fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Converts a small stored count.
pub(super) fn small(stored: i64) -> u32 {
    u32::try_from(stored).unwrap_or(if stored < 0 { 0 } else { u32::MAX })
}

/// Converts a stored count.
pub(super) fn count(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or_default()
}
