//! Answers the requests about single messages: to send one, and to check one.

use std::rc::Rc;

use crate::core::{Call, SendOptions};
use crate::delivery::Delivery;
use crate::message::Message;
use crate::protocol::{HostRequest, HostResponse, RequestFailure};
use crate::run::broadcasts::RunBroadcasts;
use crate::run::services::{RunServices, announce_refused, override_refused};

/// The largest message as JSON, in bytes: far more than any service accepts. Its parsed values take many times as
/// much memory.
const LONGEST_MESSAGE: usize = 1024 * 1024;

/// Checks a message, and sends it.
pub(super) async fn send(
    services: &RunServices,
    app: u32,
    call: Call,
    message: &[u8],
    options: SendOptions,
) -> Result<HostResponse, RequestFailure> {
    let app = services.app(app)?;
    let checked = match app.check(call, parse(message)?) {
        Ok(checked) => checked,
        Err(problems) => return services.policy.invalid(message, problems.into()),
    };
    granted(services, &checked)?;
    needs_no_approval(services, app, &checked, &options)?;
    if options.overrides {
        override_refused(services)?;
    }
    services.policy.single(app.key(), &checked)?;
    if options.once.is_none() {
        services.mark_not_rerunnable(app).await?;
    }
    let job_run = services.recorded_run(app).await;
    let options = SendOptions { origin: services.origin.clone(), job_run, ..options };
    app.send(&checked, options, &services.stop.stop(), &services.tally).await.map(HostResponse::Receipts)
}

/// Checks a message without sending it. If `call` is `None`, it is a targeted message if it has `users`, and otherwise a
/// group message.
pub(super) fn check(
    services: &RunServices,
    app: u32,
    call: Option<Call>,
    message: &[u8],
) -> Result<HostResponse, RequestFailure> {
    let (app, json) = (services.app(app)?, parse(message)?);
    let by_fields = if json.get("users").is_some() { Call::Targeted } else { Call::Group };
    let call = call.unwrap_or(by_fields);
    app.check(call, json).map(|_| HostResponse::Nothing).map_err(RequestFailure::from)
}

/// Checks a request that is not carried out, as far as it can be checked without sending it. Returns the problem, if
/// there is one.
pub(in crate::run) fn refuse(services: &RunServices, request: &HostRequest) -> Option<RequestFailure> {
    if let HostRequest::Rest(request) = request {
        return super::rest::check(services, request).err();
    }
    let HostRequest::Send { app, call, message, options } = request else { return None };
    let checked = services.app(*app).and_then(|app: &Rc<Delivery>| {
        let json = parse(message)?;
        let checked = app.check(*call, json).map_err(RequestFailure::from)?;
        granted(services, &checked)?;
        needs_no_approval(services, app, &checked, options)
    });
    checked.err()
}

/// Refuses an announcement that the permissions do not grant.
fn granted(services: &RunServices, message: &Message) -> Result<(), RequestFailure> {
    let refused = message.scope().and_then(|scope| announce_refused(&services.announce, scope));
    refused.map_or(Ok(()), Err)
}

/// Refuses a message that goes to more recipients than the settings let pass without an approval. The test messages of a
/// campaign need none.
fn needs_no_approval(
    services: &RunServices,
    app: &Delivery,
    message: &Message,
    options: &SendOptions,
) -> Result<(), RequestFailure> {
    let recipients = message.recipient_count();
    if RunBroadcasts::is_test(options.once.as_deref(), recipients) {
        return Ok(());
    }
    app.check_single(services.broadcasts.script_path().as_deref(), message.call(), recipients)
}

fn parse(message: &[u8]) -> Result<serde_json::Value, RequestFailure> {
    if message.len() > LONGEST_MESSAGE {
        let problem =
            format!("{} bytes as JSON, and no message has more than {LONGEST_MESSAGE}", message.len());
        return Err(RequestFailure::invalid("message", problem));
    }
    serde_json::from_slice(message)
        .map_err(|error| RequestFailure::invalid("message", format!("not JSON: {error}")))
}
