//! Posts test alerts.

use futures_util::future::join_all;

use super::now;
use super::receivers_of;
use super::text::AlertText;
use crate::clock::Clock;
use crate::config::AlertSettings;

/// The result of a test alert.
#[derive(Debug)]
pub struct AlertTest {
    /// The receiver's name.
    pub receiver: String,
    /// The host of its address.
    pub host: String,
    /// Why it did not arrive.
    pub result: Result<(), String>,
}

/// Posts a test alert to each receiver, at once and without the ledger. `project` is the project's name.
///
/// # Errors
///
/// A webhook's address is invalid. The message does not contain the address.
pub async fn test_alerts(
    settings: Vec<AlertSettings>,
    clock: &Clock,
    project: &str,
) -> Result<Vec<AlertTest>, String> {
    let at = now(clock);
    let receivers = receivers_of(settings, clock)?;
    let tests = receivers.iter().map(async |receiver| {
        let AlertSettings { name, language, .. } = &receiver.settings;
        let body = serde_json::json!({
            "event": "test",
            "key": format!("test {at}"),
            "at": at,
            "project": project,
            "text": AlertText::named("test", [("receiver", name.clone())]).say(*language),
        });
        let result = receiver.post(&[&body.to_string()]).await;
        AlertTest { receiver: name.clone(), host: receiver.host().to_owned(), result }
    });
    // One that does not answer delays none of the others.
    Ok(join_all(tests).await)
}
