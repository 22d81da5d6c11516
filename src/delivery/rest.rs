//! Makes calls of the service's REST API that scripts name themselves, with an intent and an outcome in the ledger
//! around each that changes something.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::failpoint::CrashPoint;
use super::figures::QuotaKind;
use super::permits::answer_of;
use super::record::SendRecord;
use super::request::lock;
use super::retry::{Backoff, PATIENCE};
use super::{Delivery, SendCounters, trace};
use crate::client::{Authorisation, CallError, FailureClass, RestAnswer, RestCall, TimeLimit};
use crate::clock::Instant;
use crate::core::{FailureKind, Priority, Receipts, RequestFailure, RestQuota};
use crate::quota::{Permit, Quota};

/// How long a throttled call waits if the service does not say it: the service counts by the second.
const THROTTLED_WAIT: Duration = Duration::from_secs(1);

/// The quotas of such calls that are not those of the app, by their names.
pub(super) type OwnQuotas = HashMap<String, Quota>;

/// How a call is made.
#[derive(Debug, Clone)]
pub struct RestOptions {
    pub quota: RestQuota,
    /// The permission that grants the call. A quota of its own is that of all calls by this permission.
    pub grant: String,
    /// The time after which to give up, including the wait for a permit.
    pub timeout: Option<Duration>,
    /// The script that makes it, for display.
    pub origin: String,
    /// The id of the job run that makes it, if one does.
    pub job_run: Option<String>,
}

/// Why a call failed.
struct RestFailure {
    failure: RequestFailure,
    /// Whether an earlier try may have been made.
    made: bool,
}

impl Delivery {
    /// Makes a call. It is repeated if nothing was sent. If its outcome is unknown, it is repeated only where that does no
    /// harm ([`RestCall::is_repeatable`]).
    ///
    /// # Errors
    ///
    /// [`RequestFailure`]. A call with [`FailureKind::InDoubt`] may have been made.
    pub async fn rest(
        &self,
        call: &RestCall,
        options: &RestOptions,
        stop: &CancellationToken,
        tally: &SendCounters,
    ) -> Result<RestAnswer, RequestFailure> {
        if self.transport.is_some() {
            return Err(RequestFailure::denied("no service is connected, so the call was not made"));
        }
        let mut record = if call.method.only_reads() {
            SendRecord::unrecorded(self)
        } else {
            self.begin_rest(call, &options.origin, options.job_run.as_deref()).await?
        };
        let made = self.make(call, options, &mut record, stop, tally).await;
        let result = made.map_err(|RestFailure { mut failure, made }| {
            failure.message = call.named(&failure.message);
            if made && !call.method.only_reads() {
                failure.kind = FailureKind::InDoubt;
                failure.message.push_str("; an earlier try may have been made");
            }
            failure
        });
        let receipts: Result<Receipts, RequestFailure> = match &result {
            Ok(_) => Ok(Receipts::new()),
            Err(failure) => Err(failure.clone()),
        };
        record.end(&receipts).await;
        if result.as_ref().is_err_and(|failure| failure.kind == FailureKind::InDoubt) {
            tally.request_in_doubt();
        }
        result
    }

    async fn make(
        &self,
        call: &RestCall,
        options: &RestOptions,
        record: &mut SendRecord<'_>,
        stop: &CancellationToken,
        tally: &SendCounters,
    ) -> Result<RestAnswer, RestFailure> {
        let deadline = options.timeout.map(|timeout| self.clock.now() + timeout);
        let give_up = self.clock.now() + PATIENCE;
        let mut backoff = Backoff::of(&self.clock);
        let mut is_renewed = false;
        // Whether a try may have been made, so that the intent stays.
        let mut made = false;
        let mut last = None;
        loop {
            let failed = |failure| RestFailure { failure, made };
            let limit = || self.time_left(deadline.zip(options.timeout), last.as_ref()).map_err(failed);
            let permit = self.rest_permit(options, deadline, stop).await;
            let permit =
                permit.map_err(|error| failed(self.overdue_after(last.as_ref(), deadline, error)))?;
            // The wait for a token comes before the intent, so an interruption during the wait leaves nothing in doubt.
            let token = self.rest_token(call, limit()?, stop).await.map_err(failed)?;
            let failure = match token {
                Ok(token) => {
                    if made {
                        record.again();
                    } else {
                        record.intend().await.map_err(failed)?;
                    }
                    // A ledger that was slow may have taken the rest of the time.
                    let limit = match limit() {
                        Ok(limit) => limit,
                        Err(overdue) if made => return Err(overdue),
                        Err(overdue) => {
                            record.withdraw(false, &overdue.failure.message).await.map_err(failed)?;
                            return Err(overdue);
                        }
                    };
                    let outcome = self.rest_once(&token, limit, call, permit).await;
                    self.fail_point.pass(CrashPoint::AfterRequest);
                    let failure = match outcome {
                        Ok(answer) => return Ok(answer),
                        Err(failure) => failure,
                    };
                    if failure.refuses_token() {
                        if !made {
                            record.withdraw(true, &failure.to_string()).await.map_err(failed)?;
                        }
                        if !is_renewed && self.client.renew_for_rest(&token) {
                            is_renewed = true;
                            last = Some(failure);
                            continue;
                        }
                    }
                    failure
                }
                Err(failure) => {
                    // Other calls can use the permit meanwhile.
                    drop(permit);
                    failure
                }
            };
            made |= failure.class == FailureClass::Repeat;
            let failed = |failure| RestFailure { failure, made };
            let is_throttled = failure.class == FailureClass::Throttled;
            let wait = match failure.class {
                FailureClass::Throttled if self.clock.now() < give_up => {
                    tally.throttled();
                    Some(failure.retry_after.unwrap_or(THROTTLED_WAIT))
                }
                FailureClass::NothingSent | FailureClass::Repeat => backoff.next(failure.retry_after),
                _ => None,
            };
            let Some(wait) = wait else { return Err(failed(RequestFailure::from_failure(failure))) };
            if !made {
                record.withdraw(!is_throttled, &failure.to_string()).await.map_err(failed)?;
            }
            let paused = self.pause(wait, deadline, stop).await;
            paused.map_err(|error| failed(self.overdue_after(Some(&failure), deadline, error)))?;
            last = Some(failure);
        }
    }

    async fn rest_token(
        &self,
        call: &RestCall,
        limit: Option<TimeLimit>,
        stop: &CancellationToken,
    ) -> Result<Result<Authorisation, CallError>, RequestFailure> {
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(RequestFailure::cancelled("the call")),
            token = self.client.rest_authorisation(call, limit) => Ok(token),
        }
    }

    /// Makes one try with its permit.
    async fn rest_once(
        &self,
        token: &Authorisation,
        limit: Option<TimeLimit>,
        call: &RestCall,
        permit: Permit,
    ) -> Result<RestAnswer, CallError> {
        let permit = Arc::new(Mutex::new(permit));
        let writing = Arc::clone(&permit);
        let began = self.clock.now();
        let span = trace::request(&self.name, QuotaKind::Request, 0);
        let answer = self.client.rest_with(token, limit, call, move || lock(&writing).written());
        let outcome = answer.instrument(span.clone()).await;
        let failure = outcome.as_ref().err();
        trace::answered(&span, failure);
        let answer = answer_of(failure);
        lock(&permit).settle(answer);
        self.figures.request(QuotaKind::Request, failure, self.clock.now() - began);
        outcome
    }

    /// Waits for a permit of the call's quota.
    async fn rest_permit(
        &self,
        options: &RestOptions,
        deadline: Option<Instant>,
        stop: &CancellationToken,
    ) -> Result<Permit, RequestFailure> {
        let RestQuota::PerSecond(rate) = options.quota else {
            return self.permit(&self.quotas.reads, 1, Priority::Normal, deadline, stop).await;
        };
        let rate = NonZeroU32::new(rate).unwrap_or(NonZeroU32::MIN);
        let share = self.settings.borrow().share;
        let quota = {
            let mut quotas = self.own_quotas.borrow_mut();
            let quota = quotas
                .entry(options.grant.clone())
                .or_insert_with(|| self.quotas.own(rate, share, self.clock.clone()));
            quota.set_rate(rate, share);
            quota.clone()
        };
        self.share_as(&options.grant, &quota).await?;
        self.acquire(&quota, 1, Priority::Normal, deadline, stop).await
    }
}
