//! Lists the app's groups and their members, page by page.

use serde::Serialize;
use tracing::Instrument as _;

use crate::client::{CallError, FailureClass, GroupRole, PAGE_SIZE_MAX};
use crate::clock::Instant;
use crate::core::{Priority, RequestFailure};

use super::figures::QuotaKind;
use super::retry::{Backoff, PATIENCE};
use super::send::answer_of;
use super::{Delivery, StopSignal, trace};

/// One page of items, and where the next page begins.
#[derive(Debug, Serialize)]
pub struct Page<T, N> {
    /// The items, in the service's order.
    pub items: Vec<T>,
    /// The argument for the next page; `None` after the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<N>,
}

/// A group as scripts see it.
#[derive(Debug, Serialize)]
pub struct GroupInfo {
    pub group_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The user id of the group's owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The number of members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affiliations: Option<u64>,
    /// The service's name for the kind of group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// The last change, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<u64>,
}

/// A member as scripts see it.
#[derive(Debug, Serialize)]
pub struct MemberInfo {
    pub user_id: String,
    /// `owner`, `admin` or `member`.
    pub role: &'static str,
}

impl Delivery {
    /// One page of the app's groups.
    ///
    /// # Errors
    ///
    /// [`RequestFailure`], after the retries that can help.
    pub async fn groups(
        &self,
        cursor: Option<&str>,
        stop: &StopSignal,
    ) -> Result<Page<GroupInfo, String>, RequestFailure> {
        let page = self.ask(stop, || self.client.groups_page(cursor, PAGE_SIZE_MAX)).await?;
        let items = page
            .groups
            .into_iter()
            .map(|group| GroupInfo {
                group_id: group.groupid,
                name: group.groupname,
                owner: group.owner,
                affiliations: group.affiliations,
                r#type: group.kind,
                last_modified: group.last_modified,
            })
            .collect();
        Ok(Page { items, next: page.cursor })
    }

    /// One page of a group's members. Pages count from 1.
    ///
    /// # Errors
    ///
    /// [`RequestFailure`], after the retries that can help.
    pub async fn members(
        &self,
        group_id: &str,
        page: u32,
        stop: &StopSignal,
    ) -> Result<Page<MemberInfo, u32>, RequestFailure> {
        let answer = self.ask(stop, || self.client.members_page(group_id, page, PAGE_SIZE_MAX)).await?;
        let items = answer
            .members
            .into_iter()
            .map(|member| MemberInfo {
                user_id: member.id,
                role: match member.role {
                    GroupRole::Owner => "owner",
                    GroupRole::Admin => "admin",
                    GroupRole::Member => "member",
                },
            })
            .collect();
        Ok(Page { items, next: (!answer.last).then_some(page + 1) })
    }

    /// Makes a request that is safe to repeat, each time with a permit of the read quota.
    pub(super) async fn ask<T, F>(
        &self,
        stop: &StopSignal,
        question: impl Fn() -> F,
    ) -> Result<T, RequestFailure>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        let mut backoff = Backoff::of(&self.clock);
        let give_up = self.clock.now() + PATIENCE;
        loop {
            let mut permit = self.permit(&self.quotas.reads, 1, Priority::Normal, None, stop).await?;
            permit.written();
            let began = self.clock.now();
            let span = trace::request(&self.name, QuotaKind::Read, 0);
            let result = question().instrument(span.clone()).await;
            trace::answered(&span, result.as_ref().err());
            permit.answered(answer_of(result.as_ref().err()));
            self.figures.request(QuotaKind::Read, result.as_ref().err(), self.clock.now() - began);
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
        stop: &StopSignal,
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
