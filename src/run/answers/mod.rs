//! Answers each request that a script makes of the host.
//!
//! - `send`, `recall`, `edit`: the requests about messages;
//! - `rest`: other calls of the service;
//! - `suppress`: additions to the suppression list.

mod edit;
mod recall;
mod rest;
mod send;
mod suppress;

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::core::{Call, UploadOptions, host_name};
use crate::delivery::SendableFile;
use crate::message::{self, IdKind};
use crate::protocol::{
    FailureKind, HostRequest, HostResponse, JobDeclaration, JobTrigger, RequestFailure, StoreRequest,
};

use super::budget::MemoryReservation;
use super::services::RunServices;
use super::uploads::UploadCall;
use super::{broadcasts, console_steps, testing};
pub(super) use send::refuse;

/// Returns the refusal of a request that the script's top level made. There a script may only declare jobs.
pub(super) fn only_declares(services: &RunServices, request: &HostRequest) -> RequestFailure {
    if services.testbed.is_ok() {
        return RequestFailure::denied(
            "the top level of a test file only declares tests; move this call into a test: test(\"what \
             holds\", function(t) … end)",
        );
    }
    let what = match request {
        HostRequest::Send { .. } | HostRequest::Broadcast(_) => "sends nothing",
        _ => "does nothing",
    };
    RequestFailure::new(
        FailureKind::Denied,
        format!(
            "the top level of a script only declares jobs here and {what}; move this call into a job's \
             function (to run the whole script now: `mooncast run FILE`)"
        ),
    )
}

/// Answers one request. All checks, permissions and pacing happen on this side of the pipe.
pub(super) async fn answer(
    services: &RunServices,
    request: HostRequest,
    memory: &mut MemoryReservation,
) -> Result<HostResponse, RequestFailure> {
    console_steps::permit(services, &request).await?;
    only_test(services, &request)?;
    let RunServices { files, inputs, variables, outbound, stop, .. } = services;
    // Every other answer that waits is boxed, so that the future of a send is not as large as the largest of them.
    match request {
        HostRequest::Send { app, call, message, options } => {
            send::send(services, app, call, &message, options).await
        }
        HostRequest::Check { app, call, message } => send::check(services, app, call, &message),
        HostRequest::Console(asked) => Box::pin(console_steps::step(services, asked)).await,
        HostRequest::Upload { app, path, options } => Box::pin(upload(services, app, &path, options)).await,
        HostRequest::Groups { app, cursor } => Box::pin(groups(services, app, cursor)).await,
        HostRequest::Members { app, group_id, page } => {
            Box::pin(members(services, app, &group_id, page)).await
        }
        HostRequest::GroupDetails { app, ids } => Box::pin(group_details(services, app, &ids)).await,
        HostRequest::Recall { app, receipts, asked } => {
            Box::pin(recall::receipts(services, app, &receipts, asked)).await
        }
        HostRequest::RecallBroadcast { app, name, run, asked } => {
            Box::pin(recall::broadcast(services, app, &name, &run, asked)).await
        }
        HostRequest::Edit { app, receipts, change, priority } => {
            Box::pin(edit::receipts(services, app, receipts, &change, priority)).await
        }
        HostRequest::Rest(request) => Box::pin(rest::call(services, *request)).await,
        HostRequest::Suppress { app, kind, ids, reason, expires } => {
            Box::pin(suppress::add(services, app, kind, &ids, reason.as_deref(), expires)).await
        }
        HostRequest::Broadcast(next) => {
            let is_building = next.builds();
            let _permit = if is_building { Some(services.memory.ledger.acquire().await) } else { None };
            Box::pin(broadcasts::step(services, next)).await
        }
        HostRequest::Declare(declaration) => declare(services, &declaration),
        HostRequest::Sleep { ms } => {
            nothing(Box::pin(services.time.sleep(Duration::from_millis(ms), stop)).await)
        }
        HostRequest::Now => Ok(HostResponse::Number(services.time.now().as_secs_f64())),
        HostRequest::Require(module) => services
            .sources
            .find(&module)
            .inspect(|source| inputs.module(&module, source))
            .map(HostResponse::Source),
        HostRequest::FileRead(path) => {
            let content = Box::pin(files.read(&path)).await;
            content.inspect(|content| inputs.file(&path, content)).map(HostResponse::Bytes)
        }
        HostRequest::FileWrite { path, content, append } => {
            inputs.written(&path);
            nothing(Box::pin(files.write(&path, content, append)).await)
        }
        HostRequest::FileList(path) => json(&Box::pin(files.list(&path)).await?),
        HostRequest::FileInfo(path) => json(&Box::pin(files.info(&path)).await?),
        HostRequest::MakeFolder(path) => nothing(Box::pin(files.make_folder(&path)).await),
        HostRequest::Remove(path) => nothing(Box::pin(files.remove(&path)).await),
        HostRequest::Env(name) => json(&variables.get(&name)?),
        HostRequest::HostInfo => json(&host_info()),
        HostRequest::Secret(name) => nothing(variables.secret(&name).map(drop)),
        HostRequest::Store(request) => Box::pin(store(services, request)).await,
        HostRequest::Test(asked) => Box::pin(testing::answer(services, *asked)).await,
        HostRequest::Http(request) => {
            let answer = outbound.request(*request, variables, memory);
            Box::pin(stop.unless_stopped("the request was cancelled because the run ends", answer)).await
        }
    }
}

/// In a run that sends only the test messages of campaigns, refuses every other request that has effects outside.
/// Uploads are allowed: test messages carry them, and an upload alone reaches no group.
fn only_test(services: &RunServices, request: &HostRequest) -> Result<(), RequestFailure> {
    let what = match request {
        HostRequest::Send { options, .. } if services.broadcasts.lets_through(options.once.as_deref()) => {
            return Ok(());
        }
        HostRequest::Send { call: Call::Group, .. } => "im.group_send was not sent",
        HostRequest::Send { call: Call::Targeted, .. } => "im.targeted_send was not sent",
        HostRequest::Send { call: Call::Edit, .. } => "im.edit edited nothing",
        HostRequest::Send { call: Call::User, .. } => "im.user_send was not sent",
        HostRequest::Send { call: Call::Room, .. } => "im.room_send was not sent",
        HostRequest::Send { call: Call::Announce, .. } => "im.announce was not sent",
        HostRequest::Recall { .. } | HostRequest::RecallBroadcast { .. }
            if services.broadcasts.only_tests() =>
        {
            "im.recall recalled nothing"
        }
        HostRequest::Rest(request) if services.broadcasts.only_tests() && request.method != "GET" => {
            "im.request made no call"
        }
        HostRequest::Edit { .. } if services.broadcasts.only_tests() => "im.edit edited nothing",
        HostRequest::Suppress { .. } if services.broadcasts.only_tests() => "im.suppress added nothing",
        _ => return Ok(()),
    };
    Err(RequestFailure::denied(format!(
        "{what}: --test-only sends only the test messages of campaigns. Run the script without --test-only to send it"
    )))
}

/// Describes the machine and the program, for `host.info`.
fn host_info() -> serde_json::Value {
    let name = host_name();
    serde_json::json!({ "name": name, "version": env!("CARGO_PKG_VERSION") })
}

fn json<T: Serialize>(value: &T) -> Result<HostResponse, RequestFailure> {
    serde_json::to_vec(value).map(|json| HostResponse::Json(Bytes::from(json))).map_err(|error| {
        RequestFailure::new(FailureKind::Invalid, format!("the answer cannot be written as JSON: {error}"))
    })
}

fn nothing(done: Result<(), RequestFailure>) -> Result<HostResponse, RequestFailure> {
    done.map(|()| HostResponse::Nothing)
}

/// Checks an id that is an argument of its own, outside a message.
fn id_of<'text>(field: &str, text: &'text str, of: IdKind) -> Result<&'text str, RequestFailure> {
    message::id_text(field, text, of)
        .map_err(|problem| RequestFailure::invalid(problem.field, problem.message))
}

async fn groups(
    services: &RunServices,
    app: u32,
    cursor: Option<String>,
) -> Result<HostResponse, RequestFailure> {
    let (app, _hold) = services.lists.open(app)?;
    json(&app.groups(cursor.as_deref(), &services.stop.stop()).await?)
}

async fn members(
    services: &RunServices,
    app: u32,
    group_id: &str,
    page: u32,
) -> Result<HostResponse, RequestFailure> {
    let (app, _hold) = services.lists.open(app)?;
    let group_id = id_of("group_id", group_id, IdKind::Group)?;
    json(&app.members(group_id, page.max(1), &services.stop.stop()).await?)
}

async fn group_details(
    services: &RunServices,
    app: u32,
    ids: &[String],
) -> Result<HostResponse, RequestFailure> {
    let (app, _hold) = services.lists.open(app)?;
    let ids: BTreeSet<&str> =
        ids.iter().map(|id| id_of("group_id", id, IdKind::Group)).collect::<Result<_, _>>()?;
    let ids: Vec<String> = ids.into_iter().map(str::to_owned).collect();
    json(&app.group_details(&ids, &services.stop.stop()).await?)
}

async fn upload(
    services: &RunServices,
    number: u32,
    path: &str,
    options: UploadOptions,
) -> Result<HostResponse, RequestFailure> {
    let app = services.app(number)?;
    // The semaphore is never closed, so a permit comes in the end.
    let _permit = services.memory.uploads.acquire().await;
    let hold = services.clock.hold();
    let opened = services.files.open_upload(path).await?;
    let file = SendableFile { file: opened.file, name: opened.name };
    let stop = &services.stop.stop();
    json(&services.uploads.upload(UploadCall { number, app, file, options, stop, hold }).await?)
}

fn declare(services: &RunServices, declaration: &JobDeclaration) -> Result<HostResponse, RequestFailure> {
    if let JobTrigger::Hook(hook) = &declaration.when {
        services.variables.secret(&hook.secret)?;
    }
    if let JobTrigger::Event(event) = &declaration.when {
        if !services.apps.iter().any(|app| app.name() == event.app) {
            return Err(RequestFailure::invalid("app", format!("no app `{}` is configured", event.app)));
        }
        for (field, ids, of) in
            [("group", &event.groups, IdKind::Group), ("from", &event.users, IdKind::User)]
        {
            for id in ids {
                id_of(field, id, of)?;
            }
        }
    }
    let calendar = declaration.calendar.as_deref().map(|name| services.sources.calendar(name));
    nothing(services.jobs.declare(declaration, calendar.transpose()?))
}

async fn store(services: &RunServices, request: StoreRequest) -> Result<HostResponse, RequestFailure> {
    let ledger = match services.apps.first() {
        Some(app) => app.open_ledger().await?,
        None => None,
    };
    // The semaphore is never closed, so a permit comes in the end.
    let _permit = services.memory.ledger.acquire().await;
    let answer = services.store.answer(request, ledger, &services.clock).await?;
    Ok(HostResponse::Json(answer.into()))
}
