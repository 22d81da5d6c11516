//! Records, as content hashes, what a run has read of the project so far. A broadcast stores them as the inputs of
//! its plan.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _, Seek as _};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::core::sha256_hex;
use crate::ledger::{InputKind, PlanInput};
use crate::protocol::LuaSource;

/// The prefix of the names of modules in the embedded standard library.
const STDLIB: &str = "stdlib/";

/// Bytes hashed at once.
const CHUNK: usize = 64 * 1024;

/// The inputs of a run: the script, its arguments, and the modules and files that it has read.
#[derive(Debug, Default)]
pub struct RunInputs {
    read: RefCell<BTreeMap<(InputKind, String), String>>,
    args: RefCell<Vec<String>>,
    /// Files that the script itself has changed. Later reads of them are not inputs.
    written: RefCell<BTreeSet<String>>,
}

impl RunInputs {
    pub(super) fn script(&self, script: &LuaSource, args: &[String]) {
        self.note(InputKind::Script, "", &script.text);
        self.note(InputKind::Arguments, "", &arguments(args));
        self.args.replace(args.to_vec());
    }

    pub(super) fn module(&self, name: &str, source: &LuaSource) {
        if !source.name.starts_with(STDLIB) {
            self.note(InputKind::Module, name, &source.text);
        }
    }

    pub(super) fn file(&self, path: &str, content: &[u8]) {
        if !self.written.borrow().contains(path) {
            self.note(InputKind::File, path, content);
        }
    }

    pub(super) fn written(&self, path: &str) {
        self.read.borrow_mut().remove(&(InputKind::File, path.to_owned()));
        self.written.borrow_mut().insert(path.to_owned());
    }

    fn note(&self, kind: InputKind, name: &str, content: &[u8]) {
        self.read.borrow_mut().insert((kind, name.to_owned()), sha256_hex(content));
    }

    pub(super) fn args(&self) -> Vec<String> {
        self.args.borrow().clone()
    }

    pub(super) fn all(&self) -> Vec<PlanInput> {
        let read = self.read.borrow();
        read.iter()
            .map(|((kind, name), hash)| PlanInput { kind: *kind, name: name.clone(), hash: hash.clone() })
            .collect()
    }

    /// Returns the hash of one input, if the run has read it.
    pub(super) fn get(&self, kind: InputKind, name: &str) -> Option<String> {
        self.read.borrow().get(&(kind, name.to_owned())).cloned()
    }

    pub(super) fn is_written(&self, path: &str) -> bool {
        self.written.borrow().contains(path)
    }
}

/// Hashes a whole open file with SHA-256, and leaves it at its beginning.
pub(super) async fn of_file(file: File) -> io::Result<(File, String)> {
    let hashed = tokio::task::spawn_blocking(move || {
        let mut file = file;
        file.rewind()?;
        let mut hasher = Sha256::new();
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = file.read(&mut chunk)?;
            if count == 0 {
                break;
            }
            hasher.update(chunk.get(..count).unwrap_or_default());
        }
        file.rewind()?;
        Ok((file, HEXLOWER.encode(&hasher.finalize())))
    });
    hashed.await?
}

fn arguments(args: &[String]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for arg in args {
        bytes.extend_from_slice(arg.as_bytes());
        bytes.push(0);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_script_writes_itself_is_no_input() {
        let inputs = RunInputs::default();
        inputs.file("a.txt", b"1");
        inputs.file("state.json", b"1");
        inputs.written("state.json");
        inputs.file("state.json", b"2");
        inputs.module("campaign", &LuaSource::new("stdlib/campaign.lua".to_owned(), b"x".to_vec()));
        let all: Vec<String> = inputs.all().into_iter().map(|input| input.name).collect();
        assert_eq!(all, ["a.txt"]);
        assert!(arguments(&["ab".to_owned()]) != arguments(&["a".to_owned(), "b".to_owned()]));
    }
}
