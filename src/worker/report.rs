//! Describes an error: its place in the script, its traceback, and its cleaned text.

use mlua::{Lua, MultiValue, Table, Value};

use crate::core::is_format_character;
use crate::protocol::ScriptError;

/// The name of the prelude's chunk in a stack. Its lines are never shown.
pub(super) const PRELUDE_NAME: &str = "=mooncast";

/// The most bytes of an error's text.
const MAX_TEXT: usize = 8 * 1024;

/// The most frames of a traceback.
const MAX_FRAMES: usize = 30;

/// Lua's message when an allocation is refused.
const OUT_OF_MEMORY: &str = "not enough memory";

/// The prefix of the chunks of the embedded standard library. Errors point at the script that called them instead.
pub(super) const STDLIB: &str = "stdlib/";

/// Returns the innermost line of the running script, such as `scripts/hello.lua:3`.
pub(super) fn whereabouts(lua: &Lua) -> Option<String> {
    let mut in_stdlib = None;
    for level in 1.. {
        let position = lua.inspect_stack(level, |debug| {
            let source = debug.source().source?.into_owned();
            Some((source, debug.current_line()?))
        });
        match position {
            None => break,
            Some(None) => {}
            Some(Some((source, _))) if source == PRELUDE_NAME => {}
            Some(Some((source, line))) => {
                let position = format!("{}:{line}", chunk_shown(&source));
                if !source[1..].starts_with(STDLIB) {
                    return Some(position);
                }
                in_stdlib.get_or_insert(position);
            }
        }
    }
    in_stdlib
}

/// Returns the line of the script at which a hook was called; `None` in our own Lua code.
pub(super) fn position(debug: &mlua::debug::Debug<'_>) -> Option<String> {
    let source = debug.source().source?;
    (source != PRELUDE_NAME).then_some(())?;
    Some(format!("{}:{}", chunk_shown(&source), debug.current_line()?))
}

/// The message handler of every task: it records the error value, and the stack at the time of the error.
pub(super) fn describe(lua: &Lua, error: Value) -> mlua::Result<Table> {
    let frames = lua.create_table()?;
    for level in 1.. {
        let frame = lua.inspect_stack(level, |debug| {
            let source = debug.source().source?.into_owned();
            if source == PRELUDE_NAME || source.starts_with("=[C]") {
                return None;
            }
            let line = debug.current_line()?;
            let names = debug.names();
            let what = match (names.name, debug.source().what) {
                (_, "main") => "in the main chunk".to_owned(),
                (Some(name), _) => format!("in function '{name}'"),
                (None, _) => "in a function".to_owned(),
            };
            Some(format!("{}:{line}: {what}", chunk_shown(&source)))
        });
        match frame {
            Some(None) => {}
            Some(Some(frame)) if frames.raw_len() < MAX_FRAMES => frames.raw_push(frame)?,
            None | Some(Some(_)) => break,
        }
    }
    let report = lua.create_table_with_capacity(0, 2)?;
    report.raw_set("value", error)?;
    report.raw_set("frames", frames)?;
    Ok(report)
}

/// Converts the result of a failed task into an error for the host. The result is a report of [`describe`], or the
/// bare error if Lua lacked the memory or the stack to call that.
pub(super) fn script_error(lua: &Lua, left: Value, limit: u64) -> ScriptError {
    let (value, traceback) = match &left {
        Value::Table(report) => (
            report.raw_get("value").unwrap_or(Value::Nil),
            report.raw_get::<Vec<String>>("frames").unwrap_or_default(),
        ),
        _ => (left, Vec::new()),
    };
    let traceback = traceback.iter().map(|frame| clean(frame)).collect();
    let mut message = clean(&text(lua, &value));
    if message.contains(OUT_OF_MEMORY) {
        message.extend([format!(" (the limit is {} MiB: `[scripts] memory`)", limit / (1024 * 1024))]);
    }
    ScriptError { message, traceback, kind: kind(&value) }
}

/// Returns the kind, if the value is an error value.
fn kind(value: &Value) -> Option<String> {
    let Value::Table(table) = value else { return None };
    table.raw_get("kind").ok()
}

fn text(lua: &Lua, value: &Value) -> String {
    match value {
        Value::String(text) => bounded(&text.as_bytes()),
        Value::Error(error) => super::fault::plain(error),
        // This calls `__tostring` if the value has one. It is the script's own code, and may fail too.
        Value::Table(_) | Value::UserData(_) => {
            match lua
                .globals()
                .raw_get::<mlua::Function>("tostring")
                .and_then(|f| f.call::<MultiValue>(value))
            {
                Ok(values) => match values.front() {
                    Some(Value::String(text)) => named(value, &bounded(&text.as_bytes())),
                    _ => format!("(error value is a {} without a text)", value.type_name()),
                },
                Err(_) => format!("(error value is a {} whose __tostring fails)", value.type_name()),
            }
        }
        other => {
            format!("(error value is a {}: {})", other.type_name(), other.to_string().unwrap_or_default())
        }
    }
}

/// Adds the table's own `message` to a text such as `table: 0x…`, which alone is of no use.
fn named(value: &Value, text: &str) -> String {
    let Value::Table(table) = value else { return text.to_owned() };
    if table.metatable().is_some() {
        return text.to_owned();
    }
    match table.raw_get::<Option<String>>("message") {
        Ok(Some(message)) => format!("(error value is a table) {message}"),
        _ => "(error value is a table; give `error` a string, or a table with __tostring)".to_owned(),
    }
}

fn bounded(bytes: &[u8]) -> String {
    let cut = bytes.len().min(MAX_TEXT);
    String::from_utf8_lossy(&bytes[..cut]).into_owned()
}

/// Escapes control and format characters, which a terminal would interpret, except line feeds and tabs. Cuts the text
/// after about [`MAX_TEXT`] bytes.
pub(super) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len().min(MAX_TEXT));
    for letter in text.chars() {
        if clean.len() >= MAX_TEXT {
            clean.push('…');
            break;
        }
        match letter {
            '\n' | '\t' => clean.push(letter),
            letter if letter.is_control() || is_format_character(letter) => {
                clean.extend(letter.escape_default());
            }
            letter => clean.push(letter),
        }
    }
    clean
}

/// Formats the source of a chunk for display: `@scripts/a.lua` is a file, anything else a piece of text.
fn chunk_shown(source: &str) -> String {
    match source.as_bytes().first() {
        Some(b'@' | b'=') => source[1..].to_owned(),
        _ => chunk_name(source),
    }
}

/// Names a chunk that has only its text: by its first line, shortened.
pub(super) fn chunk_name(text: &str) -> String {
    let first: String = text.lines().next().unwrap_or_default().chars().take(40).collect();
    if first.len() < text.len() { format!("[{first}…]") } else { format!("[{first}]") }
}
