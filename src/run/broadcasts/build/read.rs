//! Reads the recipients of a plan from its file.

use crate::input::{Audience, InputError, RecipientLine};
use crate::ledger::{InputKind, PlanInput};
use crate::protocol::{FailureKind, RequestFailure};
use crate::run::services::RunServices;

use super::super::audience::{ParsedRecipient, RawRecipient, RecipientError, named};
use super::super::fault;
use super::super::inputs;
use super::PlanBuilder;

/// Recipients read from a file at once.
const PAGE: usize = 500;
/// The most skipped lines that are logged one by one. The plan records all of them.
const TOLD: usize = 5;

impl PlanBuilder {
    /// Returns the hash of the recipients as an input. A file that changed while it was read is an error.
    pub(super) async fn audience_read(&self, services: &RunServices) -> Result<PlanInput, RequestFailure> {
        let Some(path) = &self.request.path else {
            let hash = self.drawn.hash();
            return Ok(PlanInput { kind: InputKind::Recipients, name: String::new(), hash });
        };
        let file = services.files.open_upload(path).await.map_err(of_to)?.file;
        let (_, hash) = inputs::of_file(file).await?;
        if self.audience.as_ref().is_some_and(|before| *before != hash) {
            return Err(RequestFailure::invalid(
                "to",
                format!(
                    "`{path}` was changed while it was read; nothing was sent. Run it again once the file is complete"
                ),
            ));
        }
        Ok(PlanInput { kind: InputKind::Audience, name: path.clone(), hash })
    }

    /// Returns the valid lines of the next page of the file, and whether they are its last.
    pub(super) async fn read(
        &mut self,
        services: &RunServices,
    ) -> Result<(Vec<(RawRecipient, u64, ParsedRecipient)>, bool), RequestFailure> {
        let path = self
            .request
            .path
            .clone()
            .ok_or_else(|| RequestFailure::new(FailureKind::Invalid, "this broadcast reads no file"))?;
        let unreadable = |fault: InputError| RequestFailure::invalid("to", format!("`{path}`: {fault}"));
        let file = if let Some(file) = self.file.take() {
            file
        } else {
            Audience::check_name(&path, &self.options)
                .map_err(|(field, what)| RequestFailure::invalid(field, what))?;
            let file = services.files.open_upload(&path).await.map_err(of_to)?.file;
            let (file, hash) = inputs::of_file(file).await?;
            self.audience = Some(hash);
            let (path, options) = (path.clone(), self.options.clone());
            blocking(move || Audience::open(&path, file, &options)).await?.map_err(unreadable)?
        };
        let (file, page) = blocking(move || {
            let mut file = file;
            let page = file.page(PAGE);
            (file, page)
        })
        .await?;
        let page = page.map_err(unreadable)?;
        let done = file.is_over();
        if done {
            self.read = Some((file.read_as(), file.blank_rows()));
        }
        self.file = Some(file);
        let (mut good, mut bad) = (Vec::with_capacity(page.len()), Vec::new());
        for RecipientLine { number, value, .. } in page {
            let read = value.map_err(|fault| RecipientError("to", fault.to_string())).and_then(|value| {
                let at_line =
                    |RecipientError(field, what)| RecipientError(field, format!("line {number}: {what}"));
                let named = named(&value, &self.request).map_err(at_line)?;
                Ok((RawRecipient::of_line(value, number), number, named))
            });
            match read {
                Ok(read) => good.push(read),
                Err(RecipientError(_, what)) if self.request.skip_bad == Some(true) => bad.push(what),
                Err(RecipientError(field, what)) => {
                    let what = format!("`{path}`: {what} (`skip_bad = true` leaves such lines out)");
                    self.note(services, &format!("line {number}"), RequestFailure::invalid(field, what))?;
                }
            }
        }
        self.skip(&path, bad).await?;
        Ok((good, done))
    }

    /// Adds the skipped lines to the plan, each with its reason.
    async fn skip(&mut self, path: &str, bad: Vec<String>) -> Result<(), RequestFailure> {
        if bad.is_empty() {
            return Ok(());
        }
        let logged = usize::try_from(self.role.bad_lines).unwrap_or(usize::MAX);
        for what in bad.iter().take(TOLD.saturating_sub(logged)) {
            tracing::warn!("broadcast `{}`: `{path}`: {what}; the line is left out", self.request.name);
        }
        self.role.bad_lines += bad.len() as u64;
        self.held.extend(bad);
        if self.call.is_some() { self.put_held().await } else { Ok(()) }
    }

    pub(super) async fn put_held(&mut self) -> Result<(), RequestFailure> {
        let held = std::mem::take(&mut self.held);
        if held.is_empty() {
            return Ok(());
        }
        self.role.ledger.append_skipped(self.role.lease, &held).await.map_err(fault)
    }

    /// Logs how the file was read, and how many of its lines are skipped.
    pub(super) fn log_read(&self) {
        let (name, run) = (&self.request.name, &self.role.broadcast.run);
        if let (Some((read, _)), Some(path)) = (&self.read, &self.request.path) {
            tracing::info!("broadcast `{name}` (run {run}): `{path}` read as {read}");
        }
        match self.role.bad_lines {
            0 => {}
            1 => tracing::warn!("broadcast `{name}`: 1 bad line was skipped"),
            many => tracing::warn!("broadcast `{name}`: {many} bad lines were skipped"),
        }
    }
}

/// Names the field `to` in a failure of the audience file.
fn of_to(failure: RequestFailure) -> RequestFailure {
    RequestFailure { field: Some("to".into()), ..failure }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, RequestFailure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| RequestFailure::new(FailureKind::Cancelled, "the host is shutting down"))
}
