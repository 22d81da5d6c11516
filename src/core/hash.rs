//! The hash by which files, scripts, tokens and arguments are compared.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// Returns the SHA-256 in hexadecimal.
pub fn sha256_hex(content: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(&Sha256::digest(content))
}
