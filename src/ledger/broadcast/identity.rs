//! Which rows of `recipients` are one recipient.

use crate::core::Call;

/// Returns the columns that identify a recipient of this call, as a list for SQL. `of` is the prefix of the columns,
/// such as `r.`. The service takes ids of users in any case.
pub(super) fn identity(call: Call, of: &str) -> String {
    match call {
        Call::User => format!("lower({of}group_id), {of}users"),
        Call::Targeted => format!("{of}group_id, lower({of}users)"),
        Call::Group | Call::Room | Call::Announce | Call::Edit => format!("{of}group_id, {of}users"),
    }
}
