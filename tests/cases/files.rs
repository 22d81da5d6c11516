//! What a script can read and write.
