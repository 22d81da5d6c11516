//! Random edits of valid files.
