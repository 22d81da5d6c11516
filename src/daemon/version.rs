//! A script as it was loaded once: its bytes, those of the modules that it required, and the jobs that it declares.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::host::ModuleSnapshot;
use crate::protocol::LuaSource;
use crate::schedule::Job;

/// Letters of a hash that are enough for people.
const SHORT: usize = 12;

/// A script as it was loaded once. It never changes: a run that began with it ends with it.
#[derive(Debug, Clone)]
pub struct ScriptVersion {
    /// The script's file, absolute.
    pub path: PathBuf,
    /// The script; its name is the path as people see it (`scripts/digest.lua`).
    pub script: LuaSource,
    /// The modules that it required.
    pub modules: Arc<ModuleSnapshot>,
    /// SHA-256, in hexadecimal, of the script and the modules.
    pub hash: String,
    /// What it declares, in its order.
    pub jobs: Vec<Rc<Job>>,
    /// When it was loaded, since 1970-01-01T00:00:00Z.
    pub loaded_at: Duration,
}

impl ScriptVersion {
    /// The path as people see it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.script.name
    }

    /// The beginning of the hash, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        short(&self.hash)
    }
}

/// The beginning of a hash, for people.
#[must_use]
pub fn short(hash: &str) -> &str {
    hash.get(..SHORT).unwrap_or(hash)
}

/// The hash of a script and the modules that it required: each text with its name, both with their lengths.
#[must_use]
pub(super) fn hash(script: &LuaSource, modules: &ModuleSnapshot) -> String {
    let mut hasher = Sha256::new();
    let mut put = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_be_bytes());
        hasher.update(bytes);
    };
    put(script.name.as_bytes());
    put(&script.text);
    for (name, module) in modules {
        put(name.as_bytes());
        put(module.name.as_bytes());
        put(&module.text);
    }
    data_encoding::HEXLOWER.encode(&hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_tells_texts_and_names_apart() {
        let source = |name: &str, text: &str| LuaSource::new(name.into(), text.into());
        let modules = |list: &[(&str, &str)]| {
            list.iter()
                .map(|(name, text)| ((*name).to_owned(), source(name, text)))
                .collect::<ModuleSnapshot>()
        };
        let hashes = [
            hash(&source("a", "b"), &modules(&[])),
            hash(&source("ab", ""), &modules(&[])),
            hash(&source("a", "b"), &modules(&[("c", "d")])),
            hash(&source("a", "b"), &modules(&[("cd", "")])),
            hash(&source("a", "b"), &modules(&[("c", ""), ("d", "")])),
        ];
        let different: std::collections::BTreeSet<&String> = hashes.iter().collect();
        assert_eq!(different.len(), hashes.len());
        assert_eq!(hashes[0], hash(&source("a", "b"), &ModuleSnapshot::new()));
        assert_eq!(short(&hashes[0]).len(), SHORT);
    }
}
