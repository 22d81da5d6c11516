//! Decides when a changed file is complete, so that half-written files are not loaded.
//!
//! About a third of all prefixes of a script compile and already contain its sending loop. A file is therefore
//! accepted when its writer closed it or renamed it into place and two readings [`SETTLE`] apart saw the same
//! bytes. Without a close event, a longer quiet time is required, and a file that is known to be open needs the
//! longest. This module reads no clock and no file.

use std::time::Duration;

use crate::clock::Instant;

/// The time between two equal readings of a file that was closed or renamed.
pub(super) const SETTLE: Duration = Duration::from_millis(200);

/// The time between them without a close event, and for an empty file, because many writers truncate a file first.
pub(super) const QUIET: Duration = Duration::from_secs(2);

/// The time between them while a writer has the file open.
pub(super) const OPEN: Duration = Duration::from_secs(30);

/// The SHA-256 of a file's text.
pub(super) type TextDigest = [u8; 32];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FileReading {
    /// The file does not exist.
    Missing,
    /// The file's digest, and whether the file has any text.
    Text(TextDigest, bool),
    /// The file cannot be read; the reason.
    Unreadable(String),
}

/// A file system event about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileEvent {
    /// A writer opened the file and has not closed it.
    Writing,
    /// The file was closed after writing, renamed, linked or removed.
    Done,
    /// The file may have changed.
    Hint,
}

/// The accepted state of one file, and the state that may replace it.
#[derive(Debug, Default)]
pub(super) struct FileDebounce {
    believed: Option<FileReading>,
    next: Option<PendingReading>,
}

#[derive(Debug)]
struct PendingReading {
    seen: FileReading,
    since: Instant,
    wait: DebounceRule,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DebounceRule {
    Done,
    Untold,
    Open,
}

impl FileDebounce {
    /// The accepted state. `None` before the first one.
    pub(super) const fn believed(&self) -> Option<&FileReading> {
        self.believed.as_ref()
    }

    /// Whether a new state is waiting to be accepted.
    pub(super) const fn is_pending(&self) -> bool {
        self.next.is_some()
    }

    /// When to read the file again.
    pub(super) fn due(&self) -> Option<Instant> {
        let next = self.next.as_ref()?;
        let wait = match (next.wait, &next.seen) {
            (DebounceRule::Open, _) => OPEN,
            (DebounceRule::Untold, _) | (DebounceRule::Done, FileReading::Text(_, false)) => QUIET,
            (DebounceRule::Done, _) => SETTLE,
        };
        Some(next.since + wait)
    }

    /// Takes a new reading and the event since the last one. Returns whether the accepted state changed.
    pub(super) fn look(&mut self, now: Instant, seen: FileReading, sign: Option<FileEvent>) -> bool {
        let rule = match sign {
            Some(FileEvent::Writing) => Some(DebounceRule::Open),
            Some(FileEvent::Done) => Some(DebounceRule::Done),
            Some(FileEvent::Hint) | None => None,
        };
        // A file that was just opened for writing has the same bytes as before.
        let open = rule == Some(DebounceRule::Open)
            || (rule.is_none() && self.next.as_ref().is_some_and(|next| next.wait == DebounceRule::Open));
        let same = self.believed.as_ref() == Some(&seen) && !open;
        match (&mut self.next, rule) {
            // The save changed nothing, or was undone.
            (next, _) if same => *next = None,
            (Some(next), None) if next.seen == seen => {}
            // The bytes changed without an event. An open file stays open.
            (Some(next), None) => {
                let wait =
                    if next.wait == DebounceRule::Open { DebounceRule::Open } else { DebounceRule::Untold };
                *next = PendingReading { seen, since: now, wait };
            }
            (next, rule) => {
                *next = Some(PendingReading { seen, since: now, wait: rule.unwrap_or(DebounceRule::Untold) });
            }
        }
        if self.due().is_some_and(|due| due <= now)
            && let Some(next) = self.next.take()
        {
            let other = self.believed.as_ref() != Some(&next.seen);
            self.believed = Some(next.seen);
            return other;
        }
        false
    }

    /// Accepts a reading at once. Used for the first reading.
    pub(super) fn believe(&mut self, seen: FileReading) {
        self.believed = Some(seen);
        self.next = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_start(Duration::from_millis(ms))
    }

    fn text(letter: u8) -> FileReading {
        FileReading::Text([letter; 32], true)
    }

    fn settled(letter: u8) -> FileDebounce {
        let mut file = FileDebounce::default();
        file.believe(text(letter));
        file
    }

    #[test]
    fn a_closed_save_is_believed_after_the_settle() {
        let mut file = settled(0);
        assert!(!file.look(at(0), text(1), Some(FileEvent::Writing)));
        assert!(!file.look(at(50), text(1), Some(FileEvent::Done)));
        assert_eq!(file.due(), Some(at(250)));
        assert!(!file.look(at(249), text(1), None));
        assert!(file.look(at(250), text(1), None));
        assert_eq!((file.believed(), file.due()), (Some(&text(1)), None));
    }

    #[test]
    fn every_further_save_begins_the_settle_anew() {
        let mut file = settled(0);
        for round in 0..50 {
            assert!(!file.look(at(20 * u64::from(round)), text(round + 1), Some(FileEvent::Done)));
        }
        assert!(!file.look(at(1179), text(50), None));
        assert!(file.look(at(1180), text(50), None));
    }

    #[test]
    fn an_open_file_is_not_believed_however_it_dawdles() {
        let mut file = settled(0);
        for letter in 1..100 {
            let now = u64::from(letter) * 5_000;
            assert!(!file.look(at(now), text(letter), Some(FileEvent::Writing)));
            assert!(!file.look(at(now + 2_500), text(letter), None), "{letter}");
            // Bytes that change without an event do not count as a close.
            assert!(!file.look(at(now + 2_600), text(letter + 100), None), "{letter}");
        }
        assert!(!file.look(at(500_000), text(9), Some(FileEvent::Done)));
        assert!(file.look(at(500_200), text(9), None));
    }

    #[test]
    fn an_open_file_that_nobody_ever_closes_is_believed_at_last() {
        let mut file = settled(0);
        assert!(!file.look(at(0), text(1), Some(FileEvent::Writing)));
        assert!(!file.look(at(29_999), text(1), Some(FileEvent::Hint)));
        assert!(file.look(at(30_000), text(1), None));
    }

    #[test]
    fn where_no_close_is_told_a_long_quiet_decides() {
        let mut file = settled(0);
        assert!(!file.look(at(0), text(1), None));
        assert!(!file.look(at(1_900), text(2), None));
        assert!(!file.look(at(3_899), text(2), Some(FileEvent::Hint)));
        assert!(file.look(at(3_900), text(2), None));
    }

    #[test]
    fn an_emptied_file_waits_for_what_is_written_next() {
        let mut file = settled(0);
        let empty = FileReading::Text([9; 32], false);
        assert!(!file.look(at(0), empty.clone(), Some(FileEvent::Done)));
        assert!(!file.look(at(1_999), empty.clone(), None));
        assert!(file.look(at(2_000), empty, None));
    }

    #[test]
    fn a_touch_and_an_undone_save_change_nothing() {
        let mut file = settled(0);
        assert!(!file.look(at(0), text(0), Some(FileEvent::Done)));
        assert!(!file.is_pending());
        assert!(!file.look(at(10), text(1), Some(FileEvent::Done)));
        assert!(!file.look(at(20), text(0), Some(FileEvent::Done)));
        assert!(!file.is_pending());
        // The file is open but not written yet, so its bytes may be the same.
        assert!(!file.look(at(30), text(0), Some(FileEvent::Writing)));
        assert!(!file.look(at(40), text(0), None));
        assert!(file.is_pending());
        assert!(!file.look(at(50), text(2), Some(FileEvent::Done)));
        assert!(file.look(at(250), text(2), None));
    }

    #[test]
    fn bytes_that_change_after_the_close_wait_for_the_quiet() {
        let mut file = settled(0);
        assert!(!file.look(at(0), text(1), Some(FileEvent::Done)));
        assert!(!file.look(at(200), text(2), None));
        assert!(!file.look(at(400), text(2), None));
        assert!(file.look(at(2_200), text(2), None));
    }
}
