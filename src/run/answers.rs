//! Answers each request that a script makes of the host.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::core::{Call, SendOptions, UploadOptions};
use crate::delivery::{Delivery, RecallOptions, SendableFile};
use crate::message::{self, IdKind};
use crate::protocol::{FailureKind, HostRequest, HostResponse, JobTrigger, RequestFailure};

use super::broadcasts;
use super::budget::MemoryReservation;
use super::console_steps;
use super::rehearsal::{fingerprint, look};
use super::services::{RunMode, RunServices};
use super::testing;

/// Returns the refusal for a request that the top level of a script may not make: there a script may only declare.
pub(super) fn only_declares(services: &RunServices, request: &HostRequest) -> RequestFailure {
    if matches!(services.part, RunMode::Test(_)) {
        return RequestFailure::denied(
            "the top level of a file of tests only declares its tests; put this call into one: test(\"what holds\", function(t) … end)",
        );
    }
    let what = match request {
        HostRequest::Send { .. } | HostRequest::Broadcast(_) => "sends nothing",
        _ => "does nothing",
    };
    RequestFailure::new(
        FailureKind::Denied,
        format!(
            "the top level of a script only declares its jobs here, and {what} by itself; put this call into a job's function (to run the whole script now: `mooncast run FILE`)"
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
    match request {
        HostRequest::Send { app, call, message, options } => {
            send(services, app, call, &message, options).await
        }
        // Boxed, so that the future of a send is not as large as the future of the largest other request.
        other => Box::pin(answer_other(services, other, memory)).await,
    }
}

async fn answer_other(
    services: &RunServices,
    request: HostRequest,
    memory: &mut MemoryReservation,
) -> Result<HostResponse, RequestFailure> {
    let stop = &services.stop.stop();
    match request {
        HostRequest::Send { app, call, message, options } => {
            send(services, app, call, &message, options).await
        }
        HostRequest::Check { app, message } => check(app_of(services, app)?, &message),
        HostRequest::Console(asked) => console_steps::step(services, asked).await,
        HostRequest::Upload { app, path, options } => upload(services, app, &path, options).await,
        HostRequest::Groups { app, cursor } => {
            let _hold = services.part.as_rehearsal().map(|_| services.clock.hold());
            json(&lists_of(services, app)?.groups(cursor.as_deref(), stop).await?)
        }
        HostRequest::Members { app, group_id, page } => {
            let _hold = services.part.as_rehearsal().map(|_| services.clock.hold());
            let group_id = id_of("group_id", &group_id, IdKind::Group)?;
            json(&lists_of(services, app)?.members(group_id, page.max(1), stop).await?)
        }
        HostRequest::Recall { app, receipts, force, from } => {
            let app = app_of(services, app)?;
            let from = from.as_deref().map(|from| id_of("options.from", from, IdKind::User)).transpose()?;
            if let Some(rehearsal) = services.part.as_rehearsal() {
                return Ok(rehearsal.recall(&receipts));
            }
            json(&app.recall(&receipts, force, from, stop).await?)
        }
        HostRequest::RecallBroadcast { app, name, run, force, from } => {
            let from = from
                .as_deref()
                .map(|from| id_of("options.from", from, IdKind::User))
                .transpose()?
                .map(str::to_owned);
            let options = RecallOptions { force, from, ..RecallOptions::default() };
            recall_broadcast(services, app, &name, &run, &options).await
        }
        HostRequest::Broadcast(next) => {
            let is_building = next.builds();
            let _place = if is_building { Some(services.memory.ledger.acquire().await) } else { None };
            Box::pin(broadcasts::step(services, next)).await
        }
        HostRequest::Declare(declaration) => {
            if let JobTrigger::Hook(hook) = &declaration.when {
                services.variables.secret(&hook.secret)?;
            }
            services.jobs.declare(&declaration).map(|()| HostResponse::Nothing)
        }
        HostRequest::Sleep { ms } => sleep(services, Duration::from_millis(ms)).await,
        HostRequest::Now => {
            let now =
                services.part.as_planned().map_or_else(|| services.clock.unix_time(), |plan| plan.time.now());
            Ok(HostResponse::Number(now.as_secs_f64()))
        }
        HostRequest::Require(module) => services.sources.find(&module).map(|source| {
            services.inputs.module(&module, &source);
            HostResponse::Source(source)
        }),
        HostRequest::FileRead(path) => services.files.read(&path).await.map(|content| {
            services.inputs.file(&path, &content);
            HostResponse::Bytes(content)
        }),
        HostRequest::FileWrite { path, content, append } => {
            services.inputs.written(&path);
            services.files.write(&path, content, append).await.map(|()| HostResponse::Nothing)
        }
        HostRequest::FileList(path) => json(&services.files.list(&path).await?),
        HostRequest::FileInfo(path) => json(&services.files.info(&path).await?),
        HostRequest::MakeFolder(path) => {
            services.files.make_folder(&path).await.map(|()| HostResponse::Nothing)
        }
        HostRequest::Remove(path) => services.files.remove(&path).await.map(|()| HostResponse::Nothing),
        HostRequest::Env(name) => json(&services.variables.get(&name)?),
        HostRequest::Secret(name) => services.variables.secret(&name).map(|_| HostResponse::Nothing),
        HostRequest::Store(request) => {
            let ledger = match services.apps.first() {
                Some(app) => app.open_ledger().await?,
                None => None,
            };
            // The semaphore is never closed, so a permit comes in the end.
            let _place = services.memory.ledger.acquire().await;
            let answer = services.store.answer(request, ledger, &services.clock).await?;
            Ok(HostResponse::Json(answer.into()))
        }
        HostRequest::Test(asked) => testing::answer(services, *asked).await,
        HostRequest::Http(request) => {
            let reads = request.method.eq_ignore_ascii_case("GET");
            if let Some(rehearsal) = services.part.as_rehearsal().filter(|_| !reads) {
                services.outbound.look(&request, &services.variables)?;
                return Ok(rehearsal.http(&request));
            }
            if let Some(bed) = services.part.testbed() {
                services.outbound.look(&request, &services.variables)?;
                return bed.request(&request);
            }
            tokio::select! {
                biased;
                () = stop.asked() => Err(RequestFailure::new(FailureKind::Cancelled, "the request was given up: the run ends")),
                answer = services.outbound.request(*request, &services.variables, memory) => answer,
            }
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
        HostRequest::Recall { .. } | HostRequest::RecallBroadcast { .. }
            if services.broadcasts.only_tests() =>
        {
            "im.recall recalled nothing"
        }
        _ => return Ok(()),
    };
    Err(RequestFailure::denied(format!(
        "{what}: with --test-only nothing leaves but the test messages of campaigns. Run the script without --test-only to send it"
    )))
}

/// Checks a request that is not carried out, as far as it can be checked without sending it. Returns the problem, if
/// there is one.
pub(super) fn refuse(services: &RunServices, request: &HostRequest) -> Option<RequestFailure> {
    let HostRequest::Send { app, call, message, .. } = request else { return None };
    let checked = app_of(services, *app).and_then(|app| {
        let json = parse(message)?;
        app.check(*call, json).map(drop).map_err(RequestFailure::from)
    });
    checked.err()
}

fn app_of(services: &RunServices, app: u32) -> Result<&Rc<Delivery>, RequestFailure> {
    services.apps.get(app as usize).ok_or_else(|| {
        RequestFailure::new(
            FailureKind::Invalid,
            "no app is configured, so nothing can be sent; see `mooncast doctor`",
        )
    })
}

/// Returns the delivery that reads an app's groups and members. A rehearsal uses a separate one, or refuses.
fn lists_of(services: &RunServices, app: u32) -> Result<&Rc<Delivery>, RequestFailure> {
    match services.part.as_rehearsal() {
        Some(rehearsal) => rehearsal.lists(app),
        None => app_of(services, app),
    }
}

fn json<T: Serialize>(value: &T) -> Result<HostResponse, RequestFailure> {
    serde_json::to_vec(value).map(|json| HostResponse::Json(Bytes::from(json))).map_err(|error| {
        RequestFailure::new(FailureKind::Invalid, format!("the answer has no JSON form: {error}"))
    })
}

/// The largest message as JSON, in bytes: far more than any service accepts. Its parsed values take many times as
/// much memory.
const LONGEST_MESSAGE: usize = 1024 * 1024;

fn parse(message: &[u8]) -> Result<serde_json::Value, RequestFailure> {
    if message.len() > LONGEST_MESSAGE {
        let problem =
            format!("{} bytes as JSON, and no message has more than {LONGEST_MESSAGE}", message.len());
        return Err(RequestFailure::invalid("message", problem));
    }
    serde_json::from_slice(message)
        .map_err(|error| RequestFailure::invalid("message", format!("not JSON: {error}")))
}

/// Checks an id that is an argument of its own, outside a message.
fn id_of<'text>(field: &str, text: &'text str, of: IdKind) -> Result<&'text str, RequestFailure> {
    message::id_text(field, text, of)
        .map_err(|problem| RequestFailure::invalid(problem.field, problem.message))
}

async fn send(
    services: &RunServices,
    app: u32,
    call: Call,
    message: &[u8],
    options: SendOptions,
) -> Result<HostResponse, RequestFailure> {
    let app = app_of(services, app)?;
    let json = parse(message)?;
    let rehearsal = services.part.as_rehearsal();
    let stand_ins = rehearsal.map(|rehearsal| rehearsal.stand_in_receipts(&json));
    let message = match app.check(call, json).map_err(RequestFailure::from) {
        Ok(message) => message,
        Err(why) => {
            let Some((rehearsal, receipts)) = rehearsal.zip(stand_ins) else { return Err(why) };
            let number = rehearsal.note(None, None, "", &why);
            return Ok(HostResponse::Noted(number, Box::new(HostResponse::Receipts(receipts))));
        }
    };
    if let Some(files) = services.part.files() {
        let json = message.to_json();
        let known_as = files.known_as(&json);
        let print = fingerprint(app.key(), message.call(), known_as.as_deref().unwrap_or(&json));
        match &services.part {
            RunMode::Rehearsal(rehearsal, _) => rehearsal.single(print),
            RunMode::Planned(plan) => plan.gate.single(&print, message.to())?,
            RunMode::Free | RunMode::Test(_) | RunMode::Tested(_) => {}
        }
    }
    if let (Some(job), None) = (&services.job, &options.once) {
        job.mark_not_rerunnable().await?;
    }
    let options = SendOptions { origin: services.origin.clone(), ..options };
    app.send(&message, options, &services.stop.stop(), &services.tally).await.map(HostResponse::Receipts)
}

/// Checks a message without sending it: as a targeted call if it has `users`, otherwise as a group call.
fn check(app: &Delivery, message: &[u8]) -> Result<HostResponse, RequestFailure> {
    let json = parse(message)?;
    let call = if json.get("users").is_some() { Call::Targeted } else { Call::Group };
    app.check(call, json).map(|_| HostResponse::Nothing).map_err(RequestFailure::from)
}

async fn upload(
    services: &RunServices,
    app: u32,
    path: &str,
    options: UploadOptions,
) -> Result<HostResponse, RequestFailure> {
    let number = app;
    let app = app_of(services, app)?;
    // The semaphore is never closed, so a permit comes in the end.
    let _place = services.memory.uploads.acquire().await;
    let hold = services.clock.hold();
    let opened = services.files.open_upload(path).await?;
    let Some(files) = services.part.files() else {
        drop(hold);
        return json(&upload_for_real(services, app, opened.file, opened.name, options).await?);
    };
    let looked = look(opened.file).await?;
    drop(hold);
    let asked = options.clone();
    let file = looked.file.try_clone().map_err(|error| RequestFailure::invalid("path", error.to_string()))?;
    let (value, filename) = if let Some(rehearsal) = services.part.as_rehearsal() {
        let file = SendableFile { file, name: opened.name };
        let (name, priority) = (options.filename.as_deref(), options.priority);
        let inspected = app.inspect(file, name, options.force, priority, &services.stop.stop()).await?;
        (rehearsal.upload(number, &looked, &inspected, &options), inspected.filename)
    } else {
        let uploaded = upload_for_real(services, app, file, opened.name, options).await?;
        let value = serde_json::to_value(&uploaded).unwrap_or_default();
        let filename = value.get("filename").and_then(serde_json::Value::as_str).unwrap_or_default();
        (value.clone(), filename.to_owned())
    };
    files.uploaded(looked.content(), &filename, &asked, &value);
    json(&value)
}

async fn upload_for_real(
    services: &RunServices,
    app: &Delivery,
    file: std::fs::File,
    name: String,
    options: UploadOptions,
) -> Result<crate::delivery::UploadedFile, RequestFailure> {
    app.upload(SendableFile { file, name }, options, &services.stop.stop()).await
}

async fn recall_broadcast(
    services: &RunServices,
    app: u32,
    name: &str,
    run: &str,
    options: &RecallOptions,
) -> Result<HostResponse, RequestFailure> {
    let app = app_of(services, app)?;
    let found = match app.entry().await? {
        Some((open, id)) => {
            let found = open.ledger.find(id, name, run).await;
            found
                .map_err(|error| RequestFailure::new(FailureKind::Invalid, error.to_string()))?
                .map(|found| (open, found))
        }
        None => None,
    };
    let (open, found) = found.ok_or_else(|| {
        RequestFailure::invalid(
            "broadcast",
            format!("there is no broadcast `{name}` with the run `{run}` in this app"),
        )
    })?;
    if let Some(rehearsal) = services.part.as_rehearsal() {
        return json(&rehearsal.recall_broadcast(&found));
    }
    json(&app.recall_broadcast(&open.ledger, &found, options, &services.stop.stop()).await?)
}

async fn sleep(services: &RunServices, time: Duration) -> Result<HostResponse, RequestFailure> {
    let plan = services.part.as_planned();
    let wakes = plan.map(|plan| plan.time.sleeps(time));
    let stop = services.stop.stop();
    let slept = tokio::select! {
        biased;
        () = stop.asked() => Err(RequestFailure::new(FailureKind::Cancelled, "the sleep was cut short: the run ends")),
        () = services.clock.sleep(time) => Ok(HostResponse::Nothing),
    };
    if let Some((plan, wakes)) = plan.zip(wakes) {
        plan.time.woken(wakes);
    }
    slept
}
