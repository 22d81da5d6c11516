//! The Lua files embedded in the executable: editor stubs, and the standard library.

use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "stdlib/"]
struct EmbeddedStubs;

/// A Lua file that declares what a script can call.
#[derive(Debug, Clone)]
pub(crate) struct StubFile {
    /// The file's name without folders: `im.lua`.
    pub(crate) file: String,
    pub(crate) text: String,
}

/// Whether this is a module in Rust: there is a stub `meta/NAME.lua` that declares itself as the module's.
pub(super) fn is_of_module(name: &str) -> bool {
    let stub = EmbeddedStubs::get(&format!("meta/{name}.lua"));
    stub.is_some_and(|stub| stub.data.starts_with(format!("---@meta {name}\n").as_bytes()))
}

/// All stubs: the modules in Rust, which have declarations only, and the modules in Lua, which are documented in
/// place.
pub(crate) fn all() -> Vec<StubFile> {
    EmbeddedStubs::iter()
        .filter_map(|path| {
            let file = path.rsplit('/').next().unwrap_or(&path).to_owned();
            let text = String::from_utf8(EmbeddedStubs::get(&path)?.data.into_owned()).ok()?;
            Some(StubFile { file, text })
        })
        .collect()
}
