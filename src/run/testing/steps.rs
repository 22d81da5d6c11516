//! Answers the steps of a test.

use std::time::Duration;

use bytes::Bytes;

use crate::protocol::{HostResponse, RequestFailure, TestStep};
use crate::run::services::RunServices;

pub(in crate::run) async fn answer(
    services: &RunServices,
    asked: TestStep,
) -> Result<HostResponse, RequestFailure> {
    let bed = services.testbed.as_ref().map_err(|why| RequestFailure::denied(*why))?;
    let stop = &services.stop.stop();
    let json = match asked {
        TestStep::Declare { name, place } => return bed.declare(name, place),
        TestStep::Clock { time } => return bed.set_clock(&time),
        TestStep::Fault(faults) => {
            let planned = bed.parts.service.plan(&faults);
            return planned
                .map(|()| HostResponse::Nothing)
                .map_err(|why| RequestFailure::invalid("faults", format!("faults: {why}")));
        }
        TestStep::Reply { url, status, body } => return bed.reply(url, status, body),
        TestStep::Run { script, args } => bed.run_script(&script, args, stop).await?,
        TestStep::Load(script) => bed.load(&script, stop).await?,
        TestStep::Trigger(job) => bed.trigger(&job, stop).await?,
        TestStep::Post { job, request } => bed.post(&job, request, stop).await?,
        TestStep::Callback(event) => bed.callback(*event, stop).await?,
        TestStep::Advance { ms } => bed.advance(Duration::from_millis(ms), stop).await?,
        TestStep::Sent(group) => bed.parts.service.sent(group.as_deref()),
        TestStep::Count(group) => bed.parts.service.count(group.as_deref()).into(),
        TestStep::Requests => bed.requests(),
    };
    Ok(HostResponse::Json(Bytes::from(json.to_string())))
}
