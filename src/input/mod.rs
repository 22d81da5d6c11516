//! Reads input files: tables as text (CSV), workbooks (XLSX) and JSON, for audiences and for scripts.
//!
//! A text's encoding and a table's separator are detected and reported. Ambiguous input is refused with the line, the
//! column, the value and the remedy, since a message to the wrong group is worse than none.

#[cfg(test)]
mod agreement;
mod archive;
mod audience;
mod cell;
mod csv;
mod detect;
mod fault;
mod header;
mod ids;
mod items;
mod json;
mod line;
mod object;
mod options;
mod position;
mod separator;
mod sheet;
mod swallowed;
mod table;
mod text;

pub use audience::Audience;
pub use fault::InputError;
pub use header::users_by_another_name;
pub use ids::{recipient_id, split_users, user};
pub use json::decode as decode_json;
pub use line::RecipientLine;
pub use options::AudienceOptions;
pub use table::{TableEvent, TableReader};

/// The most bytes of one record.
const LONGEST: usize = 1 << 20;
