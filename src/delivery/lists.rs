//! Lists the app's groups and their members, page by page.

use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::client::{CallError, FailureClass, Group, Member, PAGE_SIZE_MAX};
use crate::clock::Instant;
use crate::core::{Priority, RequestFailure};
use crate::quota::Quota;

use super::figures::QuotaKind;
use super::permits::answer_of;
use super::retry::{Backoff, PATIENCE};
use super::{Delivery, trace};

/// One page of items, and where the next page begins.
#[derive(Debug, Serialize)]
pub struct Page<T, N> {
    /// The items, in the service's order.
    pub items: Vec<T>,
    /// The argument for the next page; `None` after the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<N>,
}

impl Delivery {
    /// One page of the app's groups.
    pub async fn groups(
        &self,
        cursor: Option<&str>,
        stop: &CancellationToken,
    ) -> Result<Page<Group, String>, RequestFailure> {
        let page = self.ask(stop, || self.client.groups_page(cursor, PAGE_SIZE_MAX)).await?;
        Ok(Page { items: page.groups, next: page.cursor })
    }

    /// One page of a group's members. Pages count from 1.
    pub async fn members(
        &self,
        group_id: &str,
        page: u32,
        stop: &CancellationToken,
    ) -> Result<Page<Member, u32>, RequestFailure> {
        let answer = self.ask(stop, || self.client.members_page(group_id, page, PAGE_SIZE_MAX)).await?;
        Ok(Page { items: answer.members, next: (!answer.last).then_some(page + 1) })
    }

    /// Makes a request that is safe to repeat, each time with a permit of the read quota.
    pub(super) async fn ask<T, F>(
        &self,
        stop: &CancellationToken,
        question: impl Fn() -> F,
    ) -> Result<T, RequestFailure>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        self.repeat(&self.quotas.reads, QuotaKind::Read, Priority::Normal, stop, question).await
    }

    /// Makes a request that is safe to repeat, each time with a permit of the quota.
    pub(super) async fn repeat<T, F>(
        &self,
        quota: &Quota,
        kind: QuotaKind,
        priority: Priority,
        stop: &CancellationToken,
        question: impl Fn() -> F,
    ) -> Result<T, RequestFailure>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        let mut backoff = Backoff::of(&self.clock);
        let give_up = self.clock.now() + PATIENCE;
        loop {
            let mut permit = self.permit(quota, 1, priority, None, stop).await?;
            permit.written();
            let began = self.clock.now();
            let span = trace::request(&self.name, kind, 0);
            let result = question().instrument(span.clone()).await;
            trace::answered(&span, result.as_ref().err());
            permit.answered(answer_of(result.as_ref().err()));
            self.figures.request(kind, result.as_ref().err(), self.clock.now() - began);
            let failure = match result {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            self.before_another(failure, &mut backoff, give_up, stop).await?;
        }
    }

    /// Waits before a request is repeated, or returns the error if it must not be. A throttled answer counts neither as
    /// a try nor as a failure, because the quota itself slows down.
    pub(super) async fn before_another(
        &self,
        failure: CallError,
        backoff: &mut Backoff,
        give_up: Instant,
        stop: &CancellationToken,
    ) -> Result<(), RequestFailure> {
        match failure.class {
            FailureClass::Throttled if self.clock.now() < give_up => Ok(()),
            FailureClass::NothingSent | FailureClass::Repeat | FailureClass::InDoubt => {
                match backoff.next(failure.retry_after) {
                    Some(wait) => self.pause(wait, None, stop).await,
                    None => Err(RequestFailure::from_failure(failure)),
                }
            }
            FailureClass::Throttled | FailureClass::Permanent | FailureClass::Auth => {
                Err(RequestFailure::from_failure(failure))
            }
        }
    }
}
