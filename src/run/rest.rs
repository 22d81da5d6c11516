//! Where the calls go that a script makes with `im.request`.

use async_trait::async_trait;

use crate::client::{RestAnswer, RestCall};
use crate::config::Permissions;
use crate::core::{RestGrant, RestMethod, RestPath};
use crate::delivery::RestOptions;
use crate::protocol::RequestFailure;

use super::services::RunServices;

/// A granted call.
pub(super) struct GrantedRest {
    /// The app's number in the run.
    pub(super) app: u32,
    pub(super) call: RestCall,
    pub(super) options: RestOptions,
}

/// Takes the calls that a script makes with `im.request`.
#[async_trait(?Send)]
pub(super) trait RestOut {
    /// Makes a call. `None` if it was only listed.
    async fn call(
        &self,
        services: &RunServices,
        granted: GrantedRest,
    ) -> Result<Option<RestAnswer>, RequestFailure>;
}

/// Makes the calls at the service.
pub(super) struct ServiceRest;

#[async_trait(?Send)]
impl RestOut for ServiceRest {
    async fn call(
        &self,
        services: &RunServices,
        GrantedRest { app, call, mut options }: GrantedRest,
    ) -> Result<Option<RestAnswer>, RequestFailure> {
        let app = services.app(app)?;
        if !call.method.only_reads() {
            options.job_run = services.recorded_run(app).await;
        }
        if !call.is_repeatable() {
            services.mark_not_rerunnable(app).await?;
        }
        app.rest(&call, &options, &services.stop.stop(), &services.tally).await.map(Some)
    }
}

/// Refuses a call of `im.request` that the permissions do not grant.
pub fn request_refused(
    permissions: &Permissions,
    method: RestMethod,
    path: &RestPath,
) -> Option<RequestFailure> {
    RestGrants::new(permissions).find(method, path).err()
}

/// The permissions for `im.request`.
#[derive(Debug, Default)]
pub struct RestGrants(Vec<RestGrant>);

impl RestGrants {
    pub(super) fn new(permissions: &Permissions) -> Self {
        Self(permissions.requests.clone())
    }

    /// Returns the permission that grants a call.
    ///
    /// # Errors
    ///
    /// `denied` if there is none.
    pub(super) fn find(&self, method: RestMethod, path: &RestPath) -> Result<&RestGrant, RequestFailure> {
        self.0.iter().find(|grant| grant.grants(method, path)).ok_or_else(|| {
            let call = format!("{method} {path}");
            let granted = if self.0.is_empty() {
                "no call is granted".to_owned()
            } else {
                format!("granted: {}", self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
            };
            let message = format!(
                "{call} is not granted, so it was not made; to grant it: `[permissions] requests = [\"{call}\"]` or --allow-request=\"{call}\", where a * stands for any one segment ({granted})"
            );
            RequestFailure { field: Some("path".into()), ..RequestFailure::denied(message) }
        })
    }
}
