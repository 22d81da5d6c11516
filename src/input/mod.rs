//! Reading what comes in: tables as text (CSV), workbooks (XLSX) and JSON, for audiences and for scripts alike.
//!
//! A text's encoding and a table's separator are recognised, and said. What could be read in two ways is refused with
//! the line, the column, the value and the remedy, for a message to the wrong group is worse than none.
//!
//! May import: `message`.

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
pub use ids::{group_id, split_users, user};
pub use json::decode as decode_json;
pub use line::RecipientLine;
pub use options::AudienceOptions;
pub use table::{TableEvent, TableReader};
pub use text::TextReader;

/// The most bytes of one record: far more than any has, far less than would hurt.
const LONGEST: usize = 1 << 20;
