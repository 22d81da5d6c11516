//! Explains why a worker ended without reporting a result.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// The numbers of `SIGXCPU` and `SIGABRT` on every supported Unix.
const SIGXCPU: i32 = 24;
const SIGABRT: i32 = 6;

/// Returns a sentence about a worker that ended before its script did. `memory` is the script's limit in bytes.
pub(super) fn describe(status: Option<ExitStatus>, last_words: &str, memory: u64) -> String {
    let signal = status.and_then(|status| status.signal());
    if last_words.contains("memory allocation") || (signal == Some(SIGABRT) && last_words.is_empty()) {
        return format!(
            "the script ran out of memory ({} MiB; `[scripts] memory`) and was stopped",
            memory / (1024 * 1024)
        );
    }
    let how = match signal {
        Some(SIGXCPU) => "used up its CPU time and was stopped".to_owned(),
        Some(signal) => format!("was ended by signal {signal}"),
        None => match status.and_then(|status| status.code()) {
            Some(code) => format!("ended with status {code}"),
            None => "ended".to_owned(),
        },
    };
    if last_words.is_empty() {
        format!("the script's process {how} before the script finished")
    } else {
        let words: String =
            last_words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect();
        format!("the script's process {how} before the script finished: {words}")
    }
}
