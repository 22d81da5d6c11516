//! `os.time` and `os.date`: as in Lua, but with the host's time and always in UTC.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use mlua::{Lua, Table, Value};

use super::super::context::ScriptContext;
use super::super::fault::NativeError;
use super::ModuleKit;
use super::arguments::{integer, table, utf8};
use super::datetime::{ask_now, posix};

/// The part in Lua, which uses the host's time by default.
const LUA_PART: &str = r#"
local os, ask, time_of, date = ...
local floor = math.floor

function os.time(fields)
  if fields == nil then
    return floor(ask())
  end
  return time_of(fields)
end

function os.date(format, time)
  if time == nil then
    time = floor(ask())
  end
  return date(format == nil and "%c" or format, time)
end

return os
"#;

/// Adds the functions to the part of `os` that the sandbox keeps.
pub(super) fn build(kit: &ModuleKit) -> mlua::Result<Table> {
    let os: Table = kit.lua().globals().raw_get("os")?;
    kit.lua_part(LUA_PART, (os, kit.waiting(ask_now)?, kit.plain(time_of)?, kit.plain(date)?))
}

/// Returns the seconds since 1970 for the fields of a table. Fields may be outside their ranges; the table is
/// normalized.
fn time_of(lua: &Lua, _: &ScriptContext, (fields,): (Value,)) -> Result<i64, NativeError> {
    let fields = table("table", &fields)?;
    let field = |name: &str, default: Option<i64>| match (fields.raw_get::<Value>(name)?, default) {
        (Value::Nil, Some(default)) => Ok(default),
        (Value::Nil, None) => {
            Err(NativeError::invalid(name, format!("field '{name}' missing in date table")))
        }
        (value, _) => whole(lua, name, &value),
    };
    let date = [field("year", None)?, field("month", None)?, field("day", None)?];
    let time = [field("hour", Some(12))?, field("min", Some(0))?, field("sec", Some(0))?];
    let zoned = normal(date, time)
        .ok_or_else(|| NativeError::invalid("table", "the date is not between the years -9999 and 9999"))?;
    fill(&fields, &zoned)?;
    Ok(zoned.timestamp().as_second())
}

/// Reads a whole number, or a string that contains one.
fn whole(lua: &Lua, name: &str, value: &Value) -> Result<i64, NativeError> {
    match lua.coerce_integer(value.clone())? {
        Some(number) if value.is_string() => Ok(number),
        _ => integer(name, value),
    }
}

fn normal([year, month, day]: [i64; 3], [hour, minute, second]: [i64; 3]) -> Option<Zoned> {
    let months = year.checked_mul(12)?.checked_add(month.checked_sub(1)?)?;
    let year = i16::try_from(months.div_euclid(12)).ok()?;
    let month = i8::try_from(months.rem_euclid(12) + 1).ok()?;
    let first = Date::new(year, month, 1).ok()?.to_zoned(TimeZone::UTC).ok()?;
    let minutes =
        day.checked_sub(1)?.checked_mul(24)?.checked_add(hour)?.checked_mul(60)?.checked_add(minute)?;
    let seconds = minutes.checked_mul(60)?.checked_add(second)?;
    first.checked_add(SignedDuration::from_secs(seconds)).ok()
}

fn date(lua: &Lua, _: &ScriptContext, (format, time): (Value, Value)) -> Result<Value, NativeError> {
    // As Lua does: a number is converted to a string, and a string of digits to a number.
    let format = lua.coerce_string(format.clone())?.map_or(format, Value::String);
    let format = utf8("format", &format)?;
    let format = format.strip_prefix('!').unwrap_or(&format);
    let zoned = Timestamp::from_second(whole(lua, "time", &time)?)
        .map_err(|_| NativeError::invalid("time", "the time is not between the years -9999 and 9999"))?
        .to_zoned(TimeZone::UTC);
    if format.starts_with("*t") {
        let fields = lua.create_table_with_capacity(0, 9)?;
        fill(&fields, &zoned)?;
        return Ok(Value::Table(fields));
    }
    let format = conversions(format).map_err(|message| NativeError::invalid("format", message))?;
    let text = posix(&format, &zoned).map_err(|message| NativeError::invalid("format", message))?;
    Ok(Value::String(lua.create_string(text)?))
}

/// Converts a format of Lua's letters (those of C99). The modifiers `E` and `O` are removed: in the POSIX locale they
/// have no effect.
fn conversions(format: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(format.len());
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        plain.push(letter);
        if letter != '%' {
            continue;
        }
        let first = letters.next();
        let (wanted, known) = match first {
            Some('E') => (letters.next(), "cCxXyY"),
            Some('O') => (letters.next(), "deHImMSuUVwWy"),
            other => (other, "aAbBcCdDeFgGhHIjmMnprRStTuUVwWxXyYzZ%"),
        };
        let Some(conversion) = wanted.filter(|wanted| known.contains(*wanted)) else {
            let modifier = first.filter(|_| first != wanted);
            let said: String = modifier.into_iter().chain(wanted).collect();
            return Err(format!("the format has an invalid conversion specifier '%{said}'"));
        };
        plain.push(conversion);
    }
    Ok(plain)
}

/// Sets the fields of `os.date("*t")`.
fn fill(fields: &Table, zoned: &Zoned) -> mlua::Result<()> {
    fields.raw_set("year", zoned.year())?;
    fields.raw_set("month", zoned.month())?;
    fields.raw_set("day", zoned.day())?;
    fields.raw_set("hour", zoned.hour())?;
    fields.raw_set("min", zoned.minute())?;
    fields.raw_set("sec", zoned.second())?;
    fields.raw_set("wday", zoned.weekday().to_sunday_one_offset())?;
    fields.raw_set("yday", zoned.day_of_year())?;
    fields.raw_set("isdst", false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_over_their_ranges_move_the_others() {
        let iso = |date, time| normal(date, time).map(|zoned| zoned.timestamp().to_string());
        assert_eq!(iso([2026, 7, 16], [12, 0, 0]).unwrap(), "2026-07-16T12:00:00Z");
        assert_eq!(iso([2026, 14, 1], [0, 0, 0]).unwrap(), "2027-02-01T00:00:00Z");
        assert_eq!(iso([2026, 1, 0], [0, 0, 0]).unwrap(), "2025-12-31T00:00:00Z");
        assert_eq!(iso([2026, 0, 1], [-1, 90, -1]).unwrap(), "2025-12-01T00:29:59Z");
        assert_eq!(iso([2026, 2, 30], [0, 0, 0]).unwrap(), "2026-03-02T00:00:00Z");
        for year in [100_000, i64::MAX, i64::MIN] {
            assert_eq!(iso([year, 1, 1], [0, 0, 0]), None);
        }
        assert_eq!(iso([2026, 1, i64::MAX], [0, 0, 0]), None);
    }
}
