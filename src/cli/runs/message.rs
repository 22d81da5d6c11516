//! `mooncast runs message`: the message that a recipient got or will get.

use std::io::Write as _;

use anyhow::bail;
use clap::Args;

use crate::cli::Exit;
use crate::control::{MediaView, MessageView};
use crate::core::visible;
use crate::ledger::Ledger;

use super::which::BroadcastArgs;

/// The most messages of one recipient that are shown.
const MOST: u32 = 100;

/// Show the message that a recipient got or will get: its text, its file, its extension fields
#[derive(Debug, Clone, Args)]
pub(super) struct MessageArgs {
    #[command(flatten)]
    broadcast: BroadcastArgs,
    /// The group, user or room
    group: String,
    /// Print JSON, one line for each message
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &MessageArgs, ledger: &Ledger) -> anyhow::Result<Exit> {
    let broadcast = args.broadcast.find(ledger).await?;
    let found = ledger.messages_to(broadcast.id, &args.group, MOST).await?;
    if found.is_empty() {
        bail!(
            "{} has no {} `{}`; `mooncast runs export {}` lists its recipients",
            broadcast.full_name(),
            broadcast.spec.recipients().recipient(),
            args.group.escape_debug(),
            broadcast.id
        );
    }
    let mut out = std::io::stdout().lock();
    for message in found {
        let view = MessageView::read(ledger, &broadcast, message).await?;
        if args.json {
            writeln!(out, "{}", serde_json::to_string(&view)?)?;
        } else {
            print(&mut out, &view)?;
        }
    }
    Ok(Exit::Delivered)
}

fn print(out: &mut impl std::io::Write, view: &MessageView) -> anyhow::Result<()> {
    write!(out, "{}: {}", view.recipient_id, view.state)?;
    if let Some(id) = &view.message_id {
        write!(out, ", message {id}")?;
    }
    writeln!(out)?;
    if !view.users.is_empty() {
        writeln!(out, "  only for: {}", visible(&view.users.join(", ")))?;
    }
    let Some(kind) = &view.r#type else {
        writeln!(out, "  it gets no message")?;
        return Ok(());
    };
    writeln!(out, "  type: {}", visible(kind))?;
    writeln!(out, "  from: {}", view.from.as_deref().map_or_else(|| "(no sender)".into(), visible))?;
    if view.edits > 0 {
        writeln!(out, "  edited since: {} times; this is the first form", view.edits)?;
    }
    for line in view.text.iter().flat_map(|text| text.split('\n')) {
        writeln!(out, "  | {}", visible(line))?;
    }
    if let Some(media) = &view.media {
        writeln!(out, "  file: {}", visible(&described(media)))?;
        writeln!(out, "  at: {}", visible(&media.url))?;
    }
    for (name, value) in &view.body {
        writeln!(out, "  {}: {}", visible(name), visible(&value.to_string()))?;
    }
    if let Some(ext) = &view.ext {
        writeln!(out, "  ext: {}", visible(&ext.to_string()))?;
    }
    Ok(())
}

/// `map.png, 12345 bytes, 400 x 300 pixels, 3.5 s`
fn described(media: &MediaView) -> String {
    let mut parts = vec![media.name.clone().unwrap_or_else(|| "(no name)".to_owned())];
    parts.extend(media.bytes.map(|bytes| format!("{bytes} bytes")));
    parts.extend(media.width.zip(media.height).map(|(width, height)| format!("{width} x {height} pixels")));
    parts.extend(media.seconds.map(|seconds| format!("{seconds} s")));
    parts.join(", ")
}
