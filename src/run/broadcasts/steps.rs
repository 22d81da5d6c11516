//! Answers the steps of `im.broadcast`.

use serde_json::{Value, json};

use crate::protocol::{BroadcastStep, FailureKind, HostResponse, RequestFailure};
use crate::run::services::RunServices;

use super::build::PlanBuilder;
use super::drive::BroadcastTask;
use super::{OpenBroadcast, begin, json_answer};

/// Performs one step of a broadcast.
pub(in crate::run) async fn step(
    services: &RunServices,
    step: BroadcastStep,
) -> Result<HostResponse, RequestFailure> {
    let broadcasts = &services.broadcasts;
    match step {
        BroadcastStep::Begin { app, spec } => Box::pin(begin::begin(services, app, &spec)).await,
        BroadcastStep::Page { handle } => {
            let mut building = broadcasts.building(handle)?;
            let page = building.page(services).await;
            keep(services, handle, building, page).await
        }
        BroadcastStep::Take { handle } => {
            let mut building = broadcasts.building(handle)?;
            let taken = building.take(services).await;
            keep(services, handle, building, taken.map(Value::from)).await
        }
        BroadcastStep::Append { handle, batch } => {
            if let Some(mut comparing) = broadcasts.comparing(handle) {
                let added = comparing.add(&batch);
                broadcasts.put(handle, OpenBroadcast::Comparing(comparing));
                return added.map(|()| HostResponse::Nothing);
            }
            let mut building = broadcasts.building(handle)?;
            let added = building.append(services, &batch).await;
            keep(services, handle, building, added.map(|()| Value::Null)).await
        }
        BroadcastStep::Compared { handle } => {
            let comparing = broadcasts.comparing(handle).ok_or_else(|| {
                RequestFailure::new(FailureKind::Invalid, "no broadcast is being compared under this handle")
            })?;
            Box::pin(begin::compared(services, handle, *comparing)).await
        }
        BroadcastStep::Check { handle } => {
            let mut building = broadcasts.building(handle)?;
            let checked = Box::pin(building.check(services)).await.map(|plan| json!(plan));
            keep(services, handle, building, checked).await
        }
        BroadcastStep::Rows { handle, group_id } => {
            let building = broadcasts.building(handle)?;
            let rows = building.rows(&group_id).await;
            keep(services, handle, building, rows).await
        }
        BroadcastStep::Fix { handle } => {
            let mut building = broadcasts.building(handle)?;
            match Box::pin(building.fix(services)).await {
                Ok(plan) if plan.total == 0 => {
                    let number = building.unplaced(services);
                    if building.has_nothing_new() {
                        let answer = Box::pin(building.leave_as_it_is(services)).await?;
                        return Ok(noted(number, answer));
                    }
                    let report = building.end_without_recipients(services, &plan).await?;
                    Ok(noted(number, json_answer(&json!({ "report": report }))))
                }
                Ok(plan) => {
                    let number = building.unplaced(services);
                    let driving = BroadcastTask::start(services, building.into_drive());
                    broadcasts.put(handle, OpenBroadcast::Driving(driving));
                    Ok(noted(number, json_answer(&json!(plan))))
                }
                Err(failure) => {
                    building.abandon().await;
                    Err(failure)
                }
            }
        }
        BroadcastStep::Wait { handle } => {
            let driving = broadcasts.driving(handle)?;
            let waited = driving.wait(&services.clock).await?;
            // The answer may be from the moment before the end.
            if waited["done"] == true
                && let Some(outcome) = driving.outcome()
            {
                broadcasts.note_outcome(outcome, services.job.is_some());
            }
            Ok(json_answer(&waited))
        }
        BroadcastStep::Abandon { handle } => {
            if let Some(comparing) = broadcasts.comparing(handle) {
                comparing.role.release().await;
            } else if let Ok(building) = broadcasts.building(handle) {
                building.abandon().await;
            }
            Ok(HostResponse::Nothing)
        }
    }
}

/// Attaches the number of noted problems to an answer.
fn noted(number: Option<u64>, answer: HostResponse) -> HostResponse {
    match number {
        Some(number) => HostResponse::Noted(number, Box::new(answer)),
        None => answer,
    }
}

/// Keeps a plan that is still being built, or abandons it after an error.
async fn keep(
    services: &RunServices,
    handle: u64,
    building: Box<PlanBuilder>,
    result: Result<Value, RequestFailure>,
) -> Result<HostResponse, RequestFailure> {
    match result {
        Ok(value) => {
            let number = building.unplaced(services);
            services.broadcasts.put(handle, OpenBroadcast::Building(building));
            Ok(noted(number, json_answer(&value)))
        }
        Err(failure) => {
            Box::pin(building.abandon()).await;
            Err(failure)
        }
    }
}
