//! The Lua files that are part of the binary: editor stubs, and the standard library.

use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "stdlib/"]
struct Embedded;

/// A Lua file that says what a script can call.
#[derive(Debug, Clone)]
pub(super) struct Stub {
    /// The file's name without folders: `im.lua`.
    pub(super) file: String,
    /// Its text.
    pub(super) text: String,
}

/// All of them: those of modules in Rust, which only declare, and the modules in Lua, which are documented in place.
pub(super) fn all() -> Vec<Stub> {
    Embedded::iter()
        .filter_map(|path| {
            let file = path.rsplit('/').next().unwrap_or(&path).to_owned();
            let text = String::from_utf8(Embedded::get(&path)?.data.into_owned()).ok()?;
            Some(Stub { file, text })
        })
        .collect()
}
