//! Builds the program again when a migration was added; `sqlx::migrate!` embeds these folders.

fn main() {
    for driver in ["sqlite", "postgres"] {
        println!("cargo::rerun-if-changed=src/ledger/{driver}/migrations");
    }
}
