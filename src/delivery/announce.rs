//! Announcements: their limits, which are counted in the ledger.

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::client::CallError;
use crate::clock::Instant;
use crate::core::{FailureKind, RequestFailure, SendOptions, UserScope};
use crate::ledger::{AnnouncementQuota, AnnouncementTurn, AnnouncementUse};
use crate::message::Message;

use super::Delivery;
use super::lazy_ledger::{OpenLedger, retry_until_written};
use super::record::{SendRecord, unrecorded};

impl Delivery {
    /// Waits until the limits allow an announcement, if its options say so. Returns at once for any other message.
    ///
    /// # Errors
    ///
    /// [`FailureKind::Throttled`] if the limits do not allow it now and it does not wait.
    pub(super) async fn await_announcement(
        &self,
        message: &Message,
        record: &SendRecord<'_>,
        options: &SendOptions,
        deadline: Option<Instant>,
        stop: &CancellationToken,
    ) -> Result<(), RequestFailure> {
        let Some(scope) = message.scope() else { return Ok(()) };
        loop {
            let (open, quota) = self.announcements_of(record, scope)?;
            let counted = open.ledger.announcements(quota).await.map_err(|error| unrecorded(&error))?;
            let now = self.clock.unix_time();
            if counted.is_free(now) {
                return Ok(());
            }
            if !options.wait {
                return Err(used_up(scope, &counted));
            }
            tracing::info!(
                app = self.name,
                "an announcement to {} waits: {}",
                scope.users(),
                standing(&counted)
            );
            self.pause(counted.next_at.saturating_sub(now), deadline, stop).await?;
        }
    }

    /// Takes the turn of an announcement. Returns whether the message may be sent now: any other message may.
    pub(super) async fn take_announcement(
        &self,
        message: &Message,
        record: &mut SendRecord<'_>,
    ) -> Result<bool, RequestFailure> {
        let Some(scope) = message.scope() else { return Ok(true) };
        let (open, quota) = self.announcements_of(record, scope)?;
        let taken = open.ledger.take_announcement(quota).await.map_err(|error| unrecorded(&error))?;
        record.turn = taken.ok();
        if let (Some(turn), Some(transport)) = (&record.turn, &self.transport) {
            transport.announces(&self.name, scope, &turn.counted);
        }
        Ok(record.turn.is_some())
    }

    /// Records that an announcement was sent or may have been, or that it was not. Without that record it counts as sent.
    pub(super) async fn end_announcement(&self, open: &OpenLedger, turn: AnnouncementTurn, sent: bool) {
        let end = || open.ledger.end_announcement(turn, sent);
        if let Err(error) = retry_until_written(&self.clock, end).await {
            tracing::warn!(
                "could not write the end of an announcement to the ledger, so it counts as used: {error}"
            );
        }
    }

    fn announcements_of<'a>(
        &self,
        record: &SendRecord<'a>,
        scope: UserScope,
    ) -> Result<(&'a OpenLedger, AnnouncementQuota), RequestFailure> {
        let Some((open, app)) = record.ledger() else {
            let why = "an announcement needs a ledger, and there is none; nothing was sent";
            return Err(RequestFailure::new(FailureKind::Invalid, why));
        };
        let settings = self.settings.borrow();
        let per_day = match scope {
            UserScope::All => settings.announce_all_per_day,
            UserScope::Online => settings.announce_online_per_day,
        };
        Ok((open, AnnouncementQuota { app, scope, per_day }))
    }
}

/// `used 1 of 3 today (UTC), next possible at 2026-05-01T08:30:00Z`
fn standing(counted: &AnnouncementUse) -> String {
    let AnnouncementUse { used, per_day, next_at } = counted;
    // The next whole second, so that nothing is possible before the time that is shown.
    let seconds = next_at.as_secs() + u64::from(next_at.subsec_nanos() > 0);
    let at = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    let at = at.map_or_else(|| "?".to_owned(), |at| at.to_string());
    format!("used {used} of {per_day} today (UTC), next possible at {at}")
}

fn used_up(scope: UserScope, counted: &AnnouncementUse) -> RequestFailure {
    let why = format!(
        "announcements to {}: {}; nothing was sent. Call it again then, or give the option `wait = true` to wait for it",
        scope.users(),
        standing(counted)
    );
    RequestFailure::new(FailureKind::Throttled, why)
}

/// The failure of an announcement that the service refused because of its limits.
pub(super) fn refused(failure: CallError) -> RequestFailure {
    let why = format!(
        "{failure}; another program has announced with this app too, because this project's own count allowed it. Try again later"
    );
    RequestFailure {
        status: failure.status,
        code: failure.error,
        ..RequestFailure::new(FailureKind::Throttled, why)
    }
}
