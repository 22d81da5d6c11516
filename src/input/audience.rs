//! Reads the recipients of a file page by page: a table by its header, JSON as a list, JSONL as one value per line.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use serde_json::{Map, Value};

use crate::core::Call;
use crate::message::quoted;

use super::cell::SheetCell;
use super::fault::{InputError, column};
use super::header;
use super::ids::{recipient_id, split_users};
use super::items::ItemReader;
use super::line::{self, RecipientLine};
use super::object;
use super::options::AudienceOptions;
use super::sheet::SheetReader;
use super::table::{TableEvent, TableReader};
use super::text::TextReader;

/// Estimates the bytes of a value.
fn size(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(size).sum(),
            Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + size(value)).sum(),
            _ => 0,
        }
}

/// The format of a file, by its file name extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AudienceFormat {
    Table,
    Sheet,
    Lines,
    List,
}

/// An open file of recipients.
pub struct Audience {
    body: AudienceReader,
    id_column: String,
    /// The usual number of digits of the first page's ids, if any id is a long number.
    digits: Option<usize>,
    /// Whether the script names the column of ids.
    is_chosen: bool,
    /// The call that sends to the recipients, for what their ids are.
    call: Call,
    /// Field names that were already checked and accepted.
    fields: HashSet<String>,
    /// Whether the first page was read.
    begun: bool,
    over: bool,
}

/// A page ends when its recipients exceed this number of bytes.
const PAGE_BYTES: usize = 1 << 20;

enum AudienceReader {
    Table(TableReader<File>),
    Sheet(Box<SheetReader>),
    Items(ItemReader<TextReader<File>>, u64),
}

impl Audience {
    /// Refuses a file name without a known extension, and options that the file's format does not have.
    pub fn check_name(path: &str, options: &AudienceOptions) -> Result<(), (&'static str, String)> {
        let form = form(path).map_err(|what| ("to", what))?;
        let given = [
            ("separator", options.separator.is_some() && form != AudienceFormat::Table),
            ("encoding", options.encoding.is_some() && form == AudienceFormat::Sheet),
            ("sheet", options.sheet.is_some() && form != AudienceFormat::Sheet),
        ];
        match given.iter().find(|(_, wrong)| *wrong) {
            Some((name, _)) => Err((*name, format!("`{name}` does not apply to `{path}`; leave it out"))),
            None => Ok(()),
        }
    }

    /// Opens a file. Its name's extension gives the format.
    pub fn open(path: &str, file: File, options: &AudienceOptions) -> Result<Self, InputError> {
        let call = options.call();
        let id_column = options.id_column.as_deref().map_or(call.id_field(), str::trim).to_owned();
        let body = match form(path).map_err(InputError::whole)? {
            AudienceFormat::Table => {
                AudienceReader::Table(TableReader::open(file, options, true, Some(&id_column))?)
            }
            AudienceFormat::Sheet => {
                AudienceReader::Sheet(Box::new(SheetReader::open(file, options, &id_column)?))
            }
            AudienceFormat::Lines => {
                AudienceReader::Items(ItemReader::lines(TextReader::open(file, options)?), 0)
            }
            AudienceFormat::List => {
                AudienceReader::Items(ItemReader::list(TextReader::open(file, options)?), 0)
            }
        };
        let is_chosen = options.id_column.is_some();
        match &body {
            AudienceReader::Table(table) if !is_chosen => {
                header::check_alike(
                    table.header().unwrap_or_default(),
                    table.id().unwrap_or_default(),
                    table.begins(),
                )?;
            }
            AudienceReader::Sheet(sheet) if !is_chosen => {
                header::check_alike(&sheet.header, sheet.id, sheet.begins)?;
            }
            _ => {}
        }
        Ok(Self {
            body,
            id_column,
            is_chosen,
            call,
            fields: HashSet::new(),
            digits: None,
            begun: false,
            over: false,
        })
    }

    /// Returns the next recipients, at most `most`. There are fewer at the end of the file, or if they are long.
    pub fn page(&mut self, most: usize) -> Result<Vec<RecipientLine>, InputError> {
        let mut page = Vec::with_capacity(most);
        let mut bytes = 0;
        while page.len() < most && bytes < PAGE_BYTES && !self.over {
            match self.advance()? {
                Some(line) => {
                    bytes += line.value.as_ref().map_or(0, size);
                    page.push(line);
                }
                None => self.over = true,
            }
        }
        // The service makes the ids of groups and rooms. Operators choose those of users, which may differ in form.
        if !std::mem::replace(&mut self.begun, true) && self.call != Call::User {
            line::check_rounded(&page)?;
            self.digits = line::digits(&page);
            if self.digits.is_none() && !self.is_chosen {
                line::check_columns(&page, &self.id_column)?;
            }
        }
        if let Some(digits) = self.digits {
            for line in &mut page {
                if let Err(what) = line.id().map_or(Ok(()), |id| line::check_number(id, digits)) {
                    line.value = Err(InputError::line(line.number, what));
                }
            }
        }
        Ok(page)
    }

    /// Whether the last recipient was returned.
    pub fn is_over(&self) -> bool {
        self.over
    }

    fn advance(&mut self) -> Result<Option<RecipientLine>, InputError> {
        match &mut self.body {
            AudienceReader::Table(table) => match table.advance()? {
                TableEvent::Good(number) => {
                    Ok(Some(RecipientLine::new(number, of_row(table, number, self.call), self.call)))
                }
                TableEvent::Bad(fault) => {
                    Ok(Some(RecipientLine::new(fault.line.unwrap_or(0), Err(fault), self.call)))
                }
                TableEvent::End => Ok(None),
            },
            AudienceReader::Sheet(sheet) => {
                let Some((number, cells)) = sheet.next()? else { return Ok(None) };
                Ok(Some(RecipientLine::new(number, of_sheet(sheet, number, &cells, self.call), self.call)))
            }
            AudienceReader::Items(items, rows) => {
                let Some(item) = items.advance()? else { return Ok(None) };
                *rows += 1;
                let (id_column, is_chosen, fields) = (&self.id_column, self.is_chosen, &mut self.fields);
                let call = self.call;
                let value = item.value.and_then(|value| {
                    object::check_fields(&value, item.line, id_column, is_chosen, call, fields)?;
                    object::read(value, item.line, id_column, call)
                });
                Ok(Some(RecipientLine::new(item.line, value, call)))
            }
        }
    }

    /// Returns the names of the columns. None for a file without a header.
    pub fn header(&self) -> Option<&[String]> {
        match &self.body {
            AudienceReader::Table(table) => table.header(),
            AudienceReader::Sheet(sheet) => Some(&sheet.header),
            AudienceReader::Items(..) => None,
        }
    }

    /// Returns the recognised format and how much was read: "GB18030, 3 rows, columns separated by comma".
    pub fn read_as(&self) -> String {
        let (encoding, (rows, blank), separator) = match &self.body {
            AudienceReader::Table(table) => {
                let (encoding, separator) = table.taken_for();
                (encoding, table.counts(), format!(", separated by {separator}"))
            }
            AudienceReader::Sheet(sheet) => {
                ("XLSX", (sheet.read, sheet.blank), format!(", sheet `{}`", sheet.name))
            }
            AudienceReader::Items(items, rows) => {
                (items.source.encoding(), (*rows, items.blank), String::new())
            }
        };
        let blank = match blank {
            0 => String::new(),
            1 => ", 1 empty row skipped".to_owned(),
            many => format!(", {many} empty rows skipped"),
        };
        format!("{encoding}, {rows} row{}{separator}{blank}", if rows == 1 { "" } else { "s" })
    }

    /// Returns the number of rows without any text, which are skipped.
    pub fn blank_rows(&self) -> u64 {
        match &self.body {
            AudienceReader::Table(table) => table.counts().1,
            AudienceReader::Sheet(sheet) => sheet.blank,
            AudienceReader::Items(items, _) => items.blank,
        }
    }
}

fn form(path: &str) -> Result<AudienceFormat, String> {
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str());
    match extension.unwrap_or_default().to_ascii_lowercase().as_str() {
        "csv" | "tsv" => Ok(AudienceFormat::Table),
        "xlsx" | "xlsm" => Ok(AudienceFormat::Sheet),
        "xls" | "xlsb" | "ods" => Err(format!("`{path}` is a workbook in another format; save it as .xlsx")),
        "jsonl" | "ndjson" => Ok(AudienceFormat::Lines),
        "json" => Ok(AudienceFormat::List),
        _ => Err(format!("`{path}`: recipients come from a .csv, .xlsx, .json or .jsonl file")),
    }
}

fn of_row(table: &TableReader<File>, line: u64, call: Call) -> Result<Value, InputError> {
    let names = table.header().unwrap_or_default();
    let cells = table.cells().map(|cell| Ok(cell.into()));
    of_cells(names, table.id().unwrap_or_default(), line, call, cells)
}

fn of_sheet(sheet: &SheetReader, line: u64, cells: &[SheetCell], send: Call) -> Result<Value, InputError> {
    if let Some(beyond) = cells.iter().skip(sheet.header.len()).position(|cell| !cell.is_blank()) {
        let position = column(sheet.header.len() + beyond, None);
        return Err(InputError::at(
            line,
            position,
            "the cell stands in a column that the header does not name",
        ));
    }
    let texts = (0..sheet.header.len()).map(|index| {
        let cell = cells.get(index).unwrap_or(&SheetCell::Empty);
        let is_id = index == sheet.id || sheet.header[index] == "users";
        (if is_id { cell.id() } else { cell.text() }).map(Cow::from)
    });
    of_cells(&sheet.header, sheet.id, line, send, texts)
}

/// Returns the recipient in the cells of a row.
fn of_cells<'cell>(
    names: &[String],
    id: usize,
    line: u64,
    send: Call,
    cells: impl Iterator<Item = Result<Cow<'cell, str>, String>>,
) -> Result<Value, InputError> {
    let mut fields = Map::new();
    for (index, (name, cell)) in names.iter().zip(cells).enumerate() {
        let wrong = |what: String| InputError::at(line, column(index, Some(name)), what);
        let cell = cell.map_err(wrong)?;
        if id == index {
            if cell.trim() == name {
                let what = "the header is repeated here; if two tables were joined, remove the second header";
                return Err(wrong(what.to_owned()));
            }
            fields.insert(name.clone(), Value::from(recipient_id(&cell, send).map_err(wrong)?));
            continue;
        }
        let has_members = send.recipient() == Call::Group.recipient();
        if has_members
            && name == "users"
            && split_users(&cell).map_err(wrong)?.is_empty()
            && !cell.trim().is_empty()
        {
            return Err(wrong(format!(
                "{} names no user; name the members who get the message",
                quoted(&cell)
            )));
        }
        if !name.is_empty() {
            fields.insert(name.clone(), Value::from(cell));
        }
    }
    // The chosen column has the ids, even if another one is called `group_id`.
    let of_ids = names.get(id).filter(|name| *name != send.id_field());
    if let Some(id) = of_ids.and_then(|name| fields.get(name)).cloned() {
        fields.insert(send.id_field().to_owned(), id);
    }
    Ok(Value::Object(fields))
}
