//! Compares the ids of a page: finds ids of another kind, and checks whether all were rounded.

use serde_json::Value;

use crate::core::Call;
use crate::message::quoted;

use super::fault::InputError;
use super::header::{GROUP_ID, USERS};

/// A recipient with its line, or the fault of that line.
#[derive(Debug)]
pub struct RecipientLine {
    /// The line number, as an editor counts.
    pub number: u64,
    /// An id, or an object with the id in the call's field ([`Call::id_field`]).
    pub value: Result<Value, InputError>,
    call: Call,
}

impl RecipientLine {
    pub(super) fn new(number: u64, value: Result<Value, InputError>, call: Call) -> Self {
        Self { number, value, call }
    }

    pub(super) fn id(&self) -> Option<&str> {
        match self.value.as_ref().ok()? {
            Value::String(id) => Some(id),
            Value::Object(fields) => fields.get(self.call.id_field())?.as_str(),
            _ => None,
        }
    }
}

/// The least digits of an id that counts as a long number. The service's ids are such numbers.
const LONG: usize = 10;

fn is_long_number(id: &str) -> bool {
    id.len() >= LONG && id.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns the usual number of digits of the long numbers among the ids. None if there are none.
pub(super) fn digits(page: &[RecipientLine]) -> Option<usize> {
    let mut lengths = [0_usize; 32];
    for id in page.iter().filter_map(RecipientLine::id).filter(|id| is_long_number(id)) {
        lengths[id.len().min(31)] += 1;
    }
    let long: usize = lengths.iter().sum();
    let most = lengths.iter().enumerate().max_by_key(|(_, many)| **many).map(|(length, _)| length);
    most.filter(|_| long > 0)
}

/// The digits of a number that a spreadsheet keeps. The others become zeros.
const KEPT: usize = 15;

/// Refuses a page whose ids are all longer than a spreadsheet keeps and end with zeros. By chance this happens in one
/// file of a thousand.
pub(super) fn check_rounded(page: &[RecipientLine]) -> Result<(), InputError> {
    let (mut zeros, mut first) = (0, None);
    for line in page {
        let Some(id) = line.id().filter(|id| is_long_number(id) && id.len() > KEPT) else { continue };
        if id.bytes().skip(KEPT).any(|byte| byte != b'0') {
            return Ok(());
        }
        zeros += id.len() - KEPT;
        first.get_or_insert((line.number, id));
    }
    match first {
        Some((line, id)) if zeros >= 3 => Err(InputError::line(
            line,
            format!(
                "the id {} and all others that are as long end with zeros after {KEPT} digits: a spreadsheet has replaced the last ones; format the column as text and save again",
                quoted(id)
            ),
        )),
        _ => Ok(()),
    }
}

/// Refuses a page whose ids are not long numbers while another column has only such numbers: the column names may be
/// swapped.
pub(super) fn check_columns(page: &[RecipientLine], id_column: &str) -> Result<(), InputError> {
    let rows = || page.iter().filter_map(|line| line.value.as_ref().ok()?.as_object());
    let Some(first) = rows().next() else { return Ok(()) };
    let is_long = |value: &Value| match value {
        Value::String(text) => is_long_number(text.trim()),
        Value::Number(number) => is_long_number(&number.to_string()),
        _ => false,
    };
    let others = first
        .keys()
        .filter(|name| ![USERS, GROUP_ID, Call::Room.id_field(), id_column].contains(&name.as_str()));
    match others.into_iter().find(|name| rows().all(|row| row.get(*name).is_some_and(is_long))) {
        Some(name) => Err(InputError::whole(format!(
            "the ids in `{id_column}` are not long numbers, and those in `{name}` are; are the names of the \
             two columns swapped? `id_column = \"NAME\"` says which one holds the ids"
        ))),
        None => Ok(()),
    }
}

/// Refuses an id that does not fit a page of long numbers. An id of another kind or length is probably a cell of
/// another column, or cut off.
pub(super) fn check_number(id: &str, digits: usize) -> Result<(), String> {
    if is_long_number(id) && id.len().abs_diff(digits) <= 3 {
        return Ok(());
    }
    Err(format!(
        "the id {} is unlike the others, most of which are numbers of {digits} digits; is it cut off, or from another column?",
        quoted(id)
    ))
}
