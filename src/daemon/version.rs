//! A loaded version of a script: its bytes, those of its modules, and the jobs it declares.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::protocol::LuaSource;
use crate::run::ModuleSnapshot;
use crate::schedule::Job;

/// The number of characters of a shortened hash.
const SHORT: usize = 12;

/// A loaded version of a script. It is immutable: a run uses the same version from beginning to end.
#[derive(Debug, Clone)]
pub struct ScriptVersion {
    /// The absolute path of the script's file.
    pub path: PathBuf,
    /// The script's source. Its name is the path relative to the project (`scripts/digest.lua`).
    pub script: LuaSource,
    /// The modules that the script requires.
    pub modules: Arc<ModuleSnapshot>,
    /// The SHA-256 of the script and its modules, in hexadecimal.
    pub hash: String,
    /// The declared jobs, in order.
    pub jobs: Vec<Rc<Job>>,
    /// When the version was loaded, since 1970-01-01T00:00:00Z.
    pub loaded_at: Duration,
}

impl ScriptVersion {
    /// The script's path relative to the project.
    pub fn name(&self) -> &str {
        &self.script.name
    }

    /// The beginning of the hash, for display.
    pub fn short(&self) -> &str {
        short(&self.hash)
    }
}

/// Shortens a hash for display.
pub fn short(hash: &str) -> &str {
    hash.get(..SHORT).unwrap_or(hash)
}

/// Hashes a script and its modules: each text with its name, both with their lengths.
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
