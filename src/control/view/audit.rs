//! The audit as CSV.

use super::export::disarmed;
use crate::core::utc;
use crate::ledger::AuditEntry;

/// Entries of the audit as CSV, with a header if it `begins`. No spreadsheet reads a cell as a formula.
pub fn audit_csv(entries: &[AuditEntry], begins: bool) -> String {
    let mut csv = csv::Writer::from_writer(Vec::new());
    // Writing to memory cannot fail.
    if begins {
        let names = AuditEntry::default().texts().map(|(name, _)| name);
        let _ = csv.write_record(["number", "at"].into_iter().chain(names));
    }
    for entry in entries {
        let (number, at) = (entry.number.to_string(), utc(entry.at()));
        let texts = entry.texts().map(|(_, text)| disarmed(text));
        let _ = csv.write_record([number.as_str(), &at].into_iter().chain(texts.iter().map(AsRef::as_ref)));
    }
    String::from_utf8(csv.into_inner().unwrap_or_default()).unwrap_or_default()
}
