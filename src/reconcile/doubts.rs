//! The messages in doubt, in the form in which `records` matches them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use sha2::{Digest, Sha256};

use crate::core::unix_time;
use crate::ledger::{
    BroadcastDoubts, BroadcastId, Doubts, RecipientState, SendDoubt, ServiceRecord, StoredSpec,
};
use crate::message::{Draft, Message, check_stored};
use crate::records::{Doubt, Fingerprint, MatchKey, RecordSighting};

use super::ms;

/// A message in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DoubtId {
    /// A recipient of a broadcast, by its sequence number.
    Recipient(BroadcastId, i64),
    /// A single send, and the position of the group among its groups.
    Send(i64, usize),
}

/// The text with which the mark of each message of a broadcast begins: 8 characters that differ between broadcasts, also
/// between those of other ledgers.
pub fn mark_nonce(app_key: &str, name: &str, run: &str, now: Duration) -> String {
    let mut hash = Sha256::new();
    for part in [app_key, name, run, &now.as_nanos().to_string()] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut text = BASE32_NOPAD.encode(&hash.finalize()).to_ascii_lowercase();
    text.truncate(8);
    text
}

/// Returns the mark of a recipient's try, at most 24 bytes; None if the broadcast has no marks. `attempts` are the tries
/// before this one.
pub fn mark(spec: &StoredSpec, seq: i64, attempts: u32) -> Option<String> {
    let nonce = spec.mark.as_ref()?;
    Some(format!("{nonce}.{seq}.{}", attempts.saturating_add(1)))
}

/// Returns the fingerprints of a message as the ledger stores them with a single send.
pub fn fingerprints(message: &Message) -> String {
    let keys = message.to().iter().map(|group| stored(&MatchKey::of_message(message.draft(), group)));
    // A list of texts can always be written.
    serde_json::to_string(&keys.collect::<Vec<_>>()).unwrap_or_default()
}

fn stored(key: &MatchKey) -> String {
    let mut text = hex(key.fingerprint);
    if let Some(mark) = &key.mark {
        text = format!("{text}:{mark}");
    }
    text
}

fn of_stored(text: &str) -> Option<MatchKey> {
    let (fingerprint, mark) = text.split_once(':').map_or((text, None), |(hex, mark)| (hex, Some(mark)));
    Some(MatchKey { fingerprint: of_hex(fingerprint)?, mark: mark.map(str::to_owned) })
}

/// Returns a fingerprint as the ledger stores it.
pub(super) fn hex(fingerprint: Fingerprint) -> String {
    HEXLOWER.encode(&fingerprint.to_bytes())
}

fn of_hex(text: &str) -> Option<Fingerprint> {
    let bytes = HEXLOWER.decode(text.as_bytes()).ok()?;
    Some(Fingerprint::from_bytes(bytes.try_into().ok()?))
}

/// All doubts of an app.
#[derive(Debug, Default)]
pub(super) struct DoubtSet {
    pub(super) doubts: Vec<Doubt<DoubtId>>,
    /// Those that are in doubt; the others are under way.
    pub(super) in_doubt: BTreeSet<DoubtId>,
}

impl DoubtSet {
    /// `window` is how long after its intent a message can be accepted. What cannot be matched, because its message cannot
    /// be read or its groups are not known, is left out: it stays in doubt.
    pub(super) fn new(found: &Doubts, window: Duration) -> Self {
        let mut set = Self::default();
        for broadcast in &found.broadcasts {
            set.add_broadcast(broadcast, window);
        }
        for send in &found.sends {
            set.add_send(send, window);
        }
        set
    }

    fn add_broadcast(&mut self, broadcast: &BroadcastDoubts, window: Duration) {
        let drafts: BTreeMap<i64, Draft> = broadcast
            .messages
            .iter()
            .filter_map(|(number, json)| {
                let json = serde_json::from_str(json).ok()?;
                Some((*number, check_stored(broadcast.spec.call, json, usize::MAX).ok()?))
            })
            .collect();
        for one in &broadcast.recipients {
            let Some(draft) = drafts.get(&one.message) else { continue };
            let mut key = MatchKey::of_message(draft, &one.group_id);
            let is_doubt = one.state == RecipientState::InDoubt;
            // The try of a recipient in doubt is already counted.
            let before = if is_doubt { one.attempts.saturating_sub(1) } else { one.attempts };
            if let Some(mark) = mark(&broadcast.spec, one.seq, before) {
                key.mark = Some(mark);
            }
            let id = DoubtId::Recipient(broadcast.id, one.seq);
            self.add(id, is_doubt, one.intent_at, window, key, one.group_id.clone());
        }
    }

    fn add_send(&mut self, send: &SendDoubt, window: Duration) {
        let groups = groups(&send.recipients);
        if groups.len() != send.fingerprints.len() {
            return;
        }
        for (index, (group, text)) in groups.into_iter().zip(&send.fingerprints).enumerate() {
            if send.receipts.iter().any(|(known, _)| *known == group) {
                continue;
            }
            let Some(key) = of_stored(text) else { continue };
            let is_doubt = send.state == RecipientState::InDoubt;
            self.add(DoubtId::Send(send.id, index), is_doubt, send.intent_at, window, key, group);
        }
    }

    fn add(
        &mut self,
        id: DoubtId,
        is_doubt: bool,
        intent: Duration,
        window: Duration,
        key: MatchKey,
        sent_to: String,
    ) {
        if is_doubt {
            self.in_doubt.insert(id);
        }
        self.doubts.push(Doubt { id, key, from_ms: ms(intent), until_ms: ms(intent + window), sent_to });
    }

    /// The fingerprints of all doubts, as the ledger stores them.
    pub(super) fn fingerprints(&self) -> Vec<String> {
        let all: BTreeSet<String> = self.doubts.iter().map(|doubt| hex(doubt.key.fingerprint)).collect();
        all.into_iter().collect()
    }

    /// The marks of all doubts.
    pub(super) fn marks(&self) -> Vec<String> {
        let all: BTreeSet<String> = self.doubts.iter().filter_map(|doubt| doubt.key.mark.clone()).collect();
        all.into_iter().collect()
    }

    /// The records in the form in which they are matched. A record does not name its group: it is that of the doubt with
    /// its fingerprint or its mark.
    pub(super) fn sightings(
        &self,
        records: &[ServiceRecord],
        used: &BTreeSet<String>,
    ) -> Vec<RecordSighting> {
        let groups: BTreeMap<String, &str> = self
            .doubts
            .iter()
            .flat_map(|doubt| {
                let mark = doubt.key.mark.as_ref().map(|mark| format!(":{mark}"));
                let keys = std::iter::once(hex(doubt.key.fingerprint)).chain(mark);
                keys.map(|key| (key, doubt.sent_to.as_str()))
            })
            .collect();
        let sighting = |record: &ServiceRecord| {
            let mark = record.mark.as_ref().map(|mark| format!(":{mark}"));
            let group = groups.get(&record.fingerprint).or_else(|| groups.get(&mark?))?;
            Some(RecordSighting {
                message_id: record.message_id.clone(),
                group: (*group).to_owned(),
                key: MatchKey { fingerprint: of_hex(&record.fingerprint)?, mark: record.mark.clone() },
                at_ms: ms(record.at),
                used: used.contains(&record.message_id),
            })
        };
        records.iter().filter_map(sighting).collect()
    }

    /// The time over which the windows of all doubts reach.
    pub(super) fn span(&self) -> Option<(Duration, Duration)> {
        let from = self.doubts.iter().map(|doubt| doubt.from_ms).min()?;
        let until = self.doubts.iter().map(|doubt| doubt.until_ms).max()?;
        Some((unix_time(from), unix_time(until)))
    }
}

/// Reads the groups of a single send as the ledger stores them: a list, or an object with `to`.
pub(super) fn groups(recipients: &str) -> Vec<String> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Stored {
        Groups(Vec<String>),
        Targeted { to: Vec<String> },
    }
    match serde_json::from_str(recipients) {
        Ok(Stored::Groups(to) | Stored::Targeted { to }) => to,
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Call;

    #[test]
    fn a_mark_is_at_most_24_bytes_and_the_same_each_time() {
        let nonce = mark_nonce("https://service/org/app", "news", "1", Duration::from_secs(7));
        assert_eq!(nonce.len(), 8);
        assert_ne!(nonce, mark_nonce("https://service/org/app", "news", "2", Duration::from_secs(7)));
        let spec = StoredSpec { mark: Some(nonce.clone()), ..StoredSpec::new(Call::Group) };
        assert_eq!(mark(&spec, 12, 0), Some(format!("{nonce}.12.1")));
        assert_eq!(mark(&spec, 1_000_000_000, 998).map(|mark| mark.len()), Some(23));
        assert_eq!(mark(&StoredSpec::new(Call::Group), 1, 0), None);
    }

    #[test]
    fn a_stored_key_is_read_back() {
        for mark in [None, Some("a:b".to_owned())] {
            let key = MatchKey { fingerprint: Fingerprint::from_bytes([7; 16]), mark };
            assert_eq!(of_stored(&stored(&key)), Some(key));
        }
        assert_eq!(of_stored("07"), None);
        assert_eq!(groups(r#"["1","2"]"#), ["1", "2"]);
        assert_eq!(groups(r#"{"to":["1"],"users":["u"]}"#), ["1"]);
    }
}
