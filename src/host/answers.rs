//! What each request of a script is answered.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::delivery::{Delivery, Reason, SendOptions, Undelivered, UploadOptions};
use crate::message;
use crate::protocol::{self, Answer, Failure, Kind, Request, Urgency};
use crate::quota::Priority;

use super::broadcasts;
use super::services::Services;

/// Answers one request. Whatever it takes is checked, granted and paced on this side of the pipe.
pub(super) async fn answer(services: &Services, request: Request) -> Result<Answer, Failure> {
    match request {
        Request::Send { app, call, message, options } => send(services, app, call, &message, options).await,
        // Apart, so that a send's task is not as large as the largest of all answers.
        other => Box::pin(answer_other(services, other)).await,
    }
}

async fn answer_other(services: &Services, request: Request) -> Result<Answer, Failure> {
    let stop = services.stop.stop();
    match request {
        Request::Send { app, call, message, options } => send(services, app, call, &message, options).await,
        Request::Check { app, message } => check(app_of(services, app)?, &message),
        Request::Upload { app, path, options } => upload(services, app, &path, options).await,
        Request::Groups { app, cursor } => {
            json(&app_of(services, app)?.groups(cursor.as_deref(), stop).await.map_err(failure)?)
        }
        Request::Members { app, group_id, page } => {
            json(&app_of(services, app)?.members(&group_id, page.max(1), stop).await.map_err(failure)?)
        }
        Request::Recall { app, receipts, force, from } => {
            let app = app_of(services, app)?;
            json(&app.recall(&receipts, force, from.as_deref(), stop).await.map_err(failure)?)
        }
        Request::Broadcast(asked) => broadcasts::step(services, asked).await,
        Request::Sleep { ms } => sleep(services, Duration::from_millis(ms)).await,
        Request::Now => Ok(Answer::Number(services.clock.unix_time().as_secs_f64())),
        Request::Require(module) => services.sources.find(&module).map(Answer::Source),
        Request::FileRead(path) => services.files.read(&path).await.map(Answer::Bytes),
        Request::FileWrite { path, content, append } => {
            services.files.write(&path, content, append).await.map(|()| Answer::Nothing)
        }
        Request::FileList(path) => json(&services.files.list(&path).await?),
        Request::FileInfo(path) => json(&services.files.info(&path).await?),
        Request::MakeFolder(path) => services.files.make_folder(&path).await.map(|()| Answer::Nothing),
        Request::Remove(path) => services.files.remove(&path).await.map(|()| Answer::Nothing),
        Request::Env(name) => json(&services.variables.get(&name)?),
        Request::Secret(name) => services.variables.secret(&name).map(|_| Answer::Nothing),
        Request::Http(request) => {
            tokio::select! {
                biased;
                () = stop.asked() => Err(Failure::new(Kind::Cancelled, "the request was given up: the run ends")),
                answer = services.outbound.request(*request, &services.variables) => answer,
            }
        }
    }
}

/// What is wrong with a request that is not carried out, as far as can be seen without it.
pub(super) fn refuse(services: &Services, request: &Request) -> Option<Failure> {
    let Request::Send { app, call, message, .. } = request else { return None };
    let checked = app_of(services, *app).and_then(|app| {
        let json = parse(message)?;
        app.check(call_of(*call), json).map(drop).map_err(|problems| failure(problems.into()))
    });
    checked.err()
}

fn app_of(services: &Services, app: u32) -> Result<&Rc<Delivery>, Failure> {
    services.apps.get(app as usize).ok_or_else(|| {
        Failure::new(Kind::Invalid, "no app is configured, so nothing can be sent; see `mooncast doctor`")
    })
}

fn json<T: Serialize>(value: &T) -> Result<Answer, Failure> {
    serde_json::to_vec(value)
        .map(|json| Answer::Json(Bytes::from(json)))
        .map_err(|error| Failure::new(Kind::Invalid, format!("the answer has no JSON form: {error}")))
}

fn parse(message: &[u8]) -> Result<serde_json::Value, Failure> {
    serde_json::from_slice(message).map_err(|error| Failure::invalid("message", format!("not JSON: {error}")))
}

const fn call_of(call: protocol::Call) -> message::Call {
    match call {
        protocol::Call::Group => message::Call::Group,
        protocol::Call::Targeted => message::Call::Targeted,
    }
}

const fn priority(urgency: Urgency) -> Priority {
    match urgency {
        Urgency::High => Priority::High,
        Urgency::Normal => Priority::Normal,
        Urgency::Low => Priority::Low,
    }
}

async fn send(
    services: &Services,
    app: u32,
    call: protocol::Call,
    message: &[u8],
    options: protocol::SendOptions,
) -> Result<Answer, Failure> {
    let app = app_of(services, app)?;
    let message = app.check(call_of(call), parse(message)?).map_err(|problems| failure(problems.into()))?;
    let options = SendOptions {
        priority: priority(options.priority),
        timeout: options.timeout_ms.map(Duration::from_millis),
        once: options.once,
        origin: services.origin.clone(),
    };
    app.send(&message, options, services.stop.stop(), &services.tally)
        .await
        .map(Answer::Receipts)
        .map_err(failure)
}

/// A message with `users` is for the targeted call, any other for the group one.
fn check(app: &Delivery, message: &[u8]) -> Result<Answer, Failure> {
    let json = parse(message)?;
    let call = if json.get("users").is_some() { message::Call::Targeted } else { message::Call::Group };
    app.check(call, json).map(|_| Answer::Nothing).map_err(|problems| failure(problems.into()))
}

async fn upload(
    services: &Services,
    app: u32,
    path: &str,
    options: protocol::UploadOptions,
) -> Result<Answer, Failure> {
    let app = app_of(services, app)?;
    let opened = services.files.open_upload(path).await?;
    let options = UploadOptions {
        restrict_access: options.restrict_access.unwrap_or(true),
        thumbnail: options.thumbnail,
        filename: options.filename,
        priority: priority(options.priority),
    };
    let file = crate::delivery::SendableFile { file: opened.file, name: opened.name };
    json(&app.upload(file, options, services.stop.stop()).await.map_err(failure)?)
}

async fn sleep(services: &Services, time: Duration) -> Result<Answer, Failure> {
    tokio::select! {
        biased;
        () = services.stop.stop().asked() => Err(Failure::new(Kind::Cancelled, "the sleep was cut short: the run ends")),
        () = services.clock.sleep(time) => Ok(Answer::Nothing),
    }
}

/// A failure of the road in the words of a script.
pub(super) fn failure(undelivered: Undelivered) -> Failure {
    let (kind, field, problems) = match undelivered.reason {
        Reason::Invalid(problems) => {
            let list: Vec<_> = problems.iter().map(|p| (p.field.clone(), p.message.clone())).collect();
            (Kind::Invalid, list.first().map(|(field, _)| field.as_str().into()), list)
        }
        Reason::Unusable => (Kind::Invalid, Some("path".into()), Vec::new()),
        Reason::Taken => (Kind::Invalid, Some("options.once".into()), Vec::new()),
        Reason::NoLedger => (Kind::Invalid, None, Vec::new()),
        Reason::Rejected => (Kind::Rejected, None, Vec::new()),
        Reason::Throttled => (Kind::Throttled, None, Vec::new()),
        Reason::Auth => (Kind::Auth, None, Vec::new()),
        Reason::InDoubt => (Kind::InDoubt, None, Vec::new()),
        Reason::Unreachable | Reason::Unrecorded => (Kind::Unreachable, None, Vec::new()),
        Reason::Cancelled => (Kind::Cancelled, None, Vec::new()),
    };
    Failure {
        kind,
        field,
        status: undelivered.status,
        code: undelivered.code.map(Into::into),
        message: undelivered.message,
        receipts: undelivered.receipts,
        problems,
    }
}
