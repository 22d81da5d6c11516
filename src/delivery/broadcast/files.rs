//! Renews the uploaded files of pending messages. The service deletes a file after days, and a plan may wait longer.

use std::time::Duration;

use crate::ledger::{AppId, LedgerError};

use super::super::upload::USED;
use super::BroadcastDriver;

/// A file is not renewed if a new upload would last less than this much longer.
const AS_NEW: Duration = Duration::from_hours(1);

impl BroadcastDriver<'_> {
    /// Uploads again the files that expire before all pending messages can be sent, and puts the new files into the
    /// plan. The inner error says why a file cannot be renewed; nothing may be sent then.
    pub(super) async fn renew_files(&self, app: AppId) -> Result<Result<(), String>, LedgerError> {
        let id = self.lease.broadcast;
        let clock = &self.delivery.clock;
        let mut files = self.ledger.files_to_send(app, id).await?;
        let needed = clock.unix_time() + self.time_left();
        for file in &mut files {
            let new = clock.unix_time() + USED;
            if file.expires_at > needed || file.expires_at + AS_NEW > new {
                continue;
            }
            self.renew().await?;
            let uploaded = match self.delivery.upload_again(self.ledger, app, file, self.stop).await {
                Ok(uploaded) => uploaded,
                Err(why) => return Ok(Err(why)),
            };
            let secret = uploaded.secret.as_deref();
            self.ledger.replace_file(self.lease, &file.url, &uploaded.url, secret).await?;
            tracing::info!("{} was uploaded again, because it expires at the service", file.path);
            file.expires_at = new;
        }
        self.files_until.set(files.iter().map(|file| file.expires_at).min());
        Ok(Ok(()))
    }

    /// Whether a file has expired since [`Self::renew_files`].
    pub(super) fn files_expired(&self) -> bool {
        self.files_until.get().is_some_and(|until| self.delivery.clock.unix_time() >= until)
    }

    /// The shortest time in which the pending recipients can be sent to, by the quota and the broadcast's own rate
    /// limit.
    fn time_left(&self) -> Duration {
        let quota = self.quota().status().per_second();
        let rate = self.spec.rate.map_or(quota, |cap| cap.min(quota));
        let pending = self.progress.snapshot().counts.pending;
        Duration::try_from_secs_f64(pending as f64 / rate).unwrap_or_default()
    }
}
