//! `hash`: digests, encodings and ids.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use mlua::{Lua, LuaString, Table, Value};
use sha2::{Digest, Sha256};

use super::super::context::ScriptContext;
use super::super::fault::NativeError;
use super::ModuleKit;
use super::arguments::text;
use crate::core::sha256_hex;

/// Makes a version 4 UUID with `math.random`, so that a run with a fixed seed makes the same ones again. It must not
/// be used as a secret.
const UUID: &str = r#"
local random, format = math.random, string.format
return function()
  local high, low = random(0), random(0)
  return format("%08x-%04x-4%03x-%04x-%012x", high >> 32, high >> 16 & 0xffff, high & 0xfff,
    low >> 48 & 0x3fff | 0x8000, low & 0xffffffffffff)
end
"#;

pub(super) fn build(kit: &ModuleKit) -> mlua::Result<Table> {
    let hash = kit.lua().create_table()?;
    hash.raw_set("sha256", kit.plain(sha256)?)?;
    hash.raw_set("md5", kit.plain(md5)?)?;
    hash.raw_set("hmac_sha256", kit.plain(hmac_sha256)?)?;
    hash.raw_set("base64_encode", kit.plain(base64_encode)?)?;
    hash.raw_set("base64_decode", kit.plain(base64_decode)?)?;
    hash.raw_set("hex_encode", kit.plain(hex_encode)?)?;
    hash.raw_set("hex_decode", kit.plain(hex_decode)?)?;
    hash.raw_set("uuid", kit.lua_part::<mlua::Function>(UUID, ())?)?;
    Ok(hash)
}

fn sha256(_: &Lua, _: &ScriptContext, (value,): (Value,)) -> Result<String, NativeError> {
    Ok(sha256_hex(text("text", &value)?.as_bytes()))
}

fn md5(_: &Lua, _: &ScriptContext, (value,): (Value,)) -> Result<String, NativeError> {
    Ok(HEXLOWER.encode(&Md5::digest(text("text", &value)?.as_bytes())))
}

fn hmac_sha256(_: &Lua, _: &ScriptContext, (key, value): (Value, Value)) -> Result<String, NativeError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&text("key", &key)?.as_bytes())
        .map_err(|error| NativeError::invalid("key", error.to_string()))?;
    mac.update(&text("text", &value)?.as_bytes());
    Ok(HEXLOWER.encode(&mac.finalize().into_bytes()))
}

fn base64_encode(_: &Lua, _: &ScriptContext, (value,): (Value,)) -> Result<String, NativeError> {
    Ok(BASE64_STANDARD.encode(text("text", &value)?.as_bytes()))
}

/// Accepts both alphabets, with and without `=` at the end.
fn base64_decode(lua: &Lua, _: &ScriptContext, (value,): (Value,)) -> Result<LuaString, NativeError> {
    let bytes: Vec<u8> = text("text", &value)?
        .as_bytes()
        .iter()
        .filter(|letter| !letter.is_ascii_whitespace())
        .map(|letter| match letter {
            b'+' => b'-',
            b'/' => b'_',
            other => *other,
        })
        .collect();
    let end = bytes.iter().rposition(|letter| *letter != b'=').map_or(0, |last| last + 1);
    let decoded = BASE64_URL_SAFE_NO_PAD
        .decode(&bytes[..end])
        .map_err(|error| NativeError::invalid("text", format!("text: not base64: {error}")))?;
    Ok(lua.create_string(&decoded)?)
}

fn hex_encode(_: &Lua, _: &ScriptContext, (value,): (Value,)) -> Result<String, NativeError> {
    Ok(HEXLOWER.encode(&text("text", &value)?.as_bytes()))
}

fn hex_decode(lua: &Lua, _: &ScriptContext, (value,): (Value,)) -> Result<LuaString, NativeError> {
    let text = text("text", &value)?;
    let bytes = HEXLOWER_PERMISSIVE
        .decode(&text.as_bytes())
        .map_err(|_| NativeError::invalid("text", "text: not hex: expected pairs of 0-9 and a-f"))?;
    Ok(lua.create_string(&bytes)?)
}
