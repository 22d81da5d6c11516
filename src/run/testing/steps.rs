//! Answers the steps of a test.

use std::time::Duration;

use bytes::Bytes;

use crate::protocol::{HostResponse, RequestFailure, TestStep};
use crate::run::services::RunServices;

pub(in crate::run) async fn answer(
    services: &RunServices,
    test_step: TestStep,
) -> Result<HostResponse, RequestFailure> {
    let testbed = services.testbed.as_ref().map_err(|why| RequestFailure::denied(*why))?;
    let stop = &services.stop.stop();
    let json = match test_step {
        TestStep::Declare { name, place } => return testbed.declare(name, place),
        TestStep::Clock { time } => return testbed.set_clock(&time),
        TestStep::Fault(faults) => {
            let planned = testbed.parts.service.plan(&faults);
            return planned
                .map(|()| HostResponse::Nothing)
                .map_err(|why| RequestFailure::invalid("faults", format!("faults: {why}")));
        }
        TestStep::Reply { url, status, body } => return testbed.reply(url, status, body),
        TestStep::Run { script, args } => testbed.run_script(&script, args, stop).await?,
        TestStep::Load(script) => testbed.load(&script, stop).await?,
        TestStep::Trigger(job) => testbed.trigger(&job, stop).await?,
        TestStep::Post { job, request } => testbed.post(&job, request, stop).await?,
        TestStep::Callback(event) => testbed.callback(*event, stop).await?,
        TestStep::Advance { ms } => testbed.advance(Duration::from_millis(ms), stop).await?,
        TestStep::Sent(group) => testbed.parts.service.sent(group.as_deref()),
        TestStep::Count(group) => testbed.parts.service.count(group.as_deref()).into(),
        TestStep::Requests => testbed.requests(),
    };
    Ok(HostResponse::Json(Bytes::from(json.to_string())))
}
