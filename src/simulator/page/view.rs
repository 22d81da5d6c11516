//! What the page shows: the recipients, and the messages of one of them.

use std::cmp::Reverse;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::simulator::chat::ChatKind;
use crate::simulator::files::SimulatorFiles;
use crate::simulator::payload::MessageContent;
use crate::simulator::record::{MessageLog, ReceivedChat, ReceivedMessage, RecordMode};
use crate::simulator::{Simulator, page};

/// Recipients on a page of the list.
const RECIPIENTS: usize = 50;

/// Messages of a recipient on a page.
const MESSAGES: usize = 100;

/// The query of the page's address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PageQuery {
    /// The key of the recipient whose messages are shown.
    to: String,
    /// A part of the recipients' keys.
    find: String,
    /// The page of the list, from 1.
    page: usize,
    /// The number of the recipient's messages before which the shown ones end; 0 for the newest.
    before: usize,
    /// `1` if the page refreshes by itself.
    live: String,
}

#[derive(Debug, Serialize)]
pub(super) struct PageView {
    lang: &'static str,
    messages: u64,
    total: usize,
    counts_only: bool,
    find: String,
    /// Recipients that the search found.
    found: usize,
    page: usize,
    pages: usize,
    live: bool,
    recipients: Vec<ChatView>,
    chosen: Option<ChosenView>,
}

#[derive(Debug, Serialize)]
struct ChatView {
    key: String,
    id: String,
    kind: &'static str,
    count: u64,
    last: Option<LastView>,
}

/// The newest message of a recipient, in one line.
#[derive(Debug, Serialize)]
struct LastView {
    text: String,
    kind: &'static str,
    time: String,
}

/// The messages of a recipient.
#[derive(Debug, Serialize)]
struct ChosenView {
    key: String,
    id: String,
    kind: &'static str,
    count: u64,
    /// The place of the first shown message; 0 if no earlier one is stored.
    first: usize,
    /// Whether later messages are stored.
    later: bool,
    bubbles: Vec<BubbleView>,
}

#[derive(Debug, Serialize)]
struct BubbleView {
    id: String,
    from: String,
    /// Set at the first message of a day.
    day: Option<String>,
    time: String,
    users: Option<String>,
    recalled: bool,
    recall_note: Option<String>,
    edits: u32,
    moderated: bool,
    ack: bool,
    ext: Vec<(String, String)>,
    content: ContentView,
}

/// The content of a message. Fields that its type does not have are empty.
#[derive(Debug, Default, Serialize)]
struct ContentView {
    kind: &'static str,
    text: String,
    /// The id of an upload that is a picture.
    picture: Option<String>,
    /// An address at another host, which is not loaded.
    link: Option<String>,
    filename: String,
    length: Option<u64>,
    bytes: Option<String>,
    /// Whether the upload is no longer stored.
    gone: bool,
    entries: Vec<(String, String)>,
}

/// Returns what the page shows.
pub(super) fn of(simulator: &Simulator, query: &PageQuery, lang: &'static str) -> PageView {
    let state = simulator.state();
    let (record, files) = (&state.record, &state.files);
    let mut all: Vec<_> = record.recipients().filter(|one| one.key.contains(query.find.trim())).collect();
    let newest = |one: &ReceivedChat<'_>| one.last.map(|last| (last.at, last.id.clone()));
    all.sort_by_cached_key(|one| Reverse(newest(one)));
    let pages = all.len().div_ceil(RECIPIENTS).max(1);
    let page = query.page.clamp(1, pages);
    let shown = all.iter().skip((page - 1) * RECIPIENTS).take(RECIPIENTS);
    let recipients = shown
        .map(|one| ChatView {
            key: one.key.to_owned(),
            id: id_of(one.key, one.chat),
            kind: kind_of(one.chat),
            count: one.count,
            last: one.last.map(|last| last_of(last, files)),
        })
        .collect();
    PageView {
        lang,
        messages: state.stats.messages(),
        total: record.recipients().count(),
        counts_only: simulator.settings().keep == RecordMode::Counts,
        find: query.find.trim().to_owned(),
        found: all.len(),
        page,
        pages,
        live: query.live == "1",
        recipients,
        chosen: chosen(record, files, query),
    }
}

fn chosen(record: &MessageLog, files: &SimulatorFiles, query: &PageQuery) -> Option<ChosenView> {
    let one = record.recipients().find(|one| one.key == query.to)?;
    let stored = record.of_group(one.key);
    let end = if query.before == 0 { stored.len() } else { query.before.min(stored.len()) };
    let first = end.saturating_sub(MESSAGES);
    let mut day = String::new();
    let bubbles = stored.get(first..end).unwrap_or_default().iter().map(|message| {
        let mut bubble = bubble_of(message, files);
        let own = bubble.day.take().unwrap_or_default();
        if own != day {
            day.clone_from(&own);
            bubble.day = Some(own);
        }
        bubble
    });
    Some(ChosenView {
        key: one.key.to_owned(),
        id: id_of(one.key, one.chat),
        kind: kind_of(one.chat),
        count: one.count,
        first,
        later: end < stored.len(),
        bubbles: bubbles.collect(),
    })
}

fn bubble_of(message: &ReceivedMessage, files: &SimulatorFiles) -> BubbleView {
    let content = MessageContent::of(message);
    let (day, time) = day_and_time(message.at);
    BubbleView {
        id: message.id.clone(),
        from: message.from.clone(),
        day: Some(day),
        time,
        users: message.users.as_ref().map(|users| users.join(", ")),
        recalled: message.recalled,
        recall_note: message.recall_note.clone(),
        edits: message.edits,
        moderated: message.moderated,
        ack: content.need_group_ack == Some(true),
        ext: entries(content.ext.as_ref()),
        content: content_of(&content, files),
    }
}

fn last_of(message: &ReceivedMessage, files: &SimulatorFiles) -> LastView {
    let content = content_of(&MessageContent::of(message), files);
    let text = if content.text.is_empty() { content.filename } else { content.text };
    LastView { text: text.chars().take(80).collect(), kind: content.kind, time: day_and_time(message.at).1 }
}

fn content_of(content: &MessageContent, files: &SimulatorFiles) -> ContentView {
    let text = |name: &str| match content.body.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    match content.kind.as_str() {
        "txt" => ContentView { kind: "text", text: text("msg"), ..ContentView::default() },
        "loc" => ContentView {
            kind: "place",
            text: text("addr"),
            filename: format!("{}, {}", text("lat"), text("lng")),
            ..ContentView::default()
        },
        "cmd" => ContentView { kind: "command", text: text("action"), ..ContentView::default() },
        "custom" => ContentView {
            kind: "custom",
            text: text("customEvent"),
            entries: entries(content.body.get("customExts").and_then(Value::as_object)),
            ..ContentView::default()
        },
        kind => {
            let upload = content.attachment().filter(|_| text("url").contains("/chatfiles/"));
            let bytes = upload.and_then(|uuid| files.bytes(uuid));
            let is_picture = bytes.is_some_and(|bytes| page::picture_type(bytes).is_some());
            let length = content.body.get("length").or_else(|| content.body.get("Length"));
            ContentView {
                kind: match kind {
                    "img" => "picture",
                    "audio" => "audio",
                    "video" => "video",
                    _ => "file",
                },
                picture: upload.filter(|_| kind == "img" && is_picture).map(str::to_owned),
                link: Some(text("url")).filter(|url| {
                    upload.is_none() && (url.starts_with("https://") || url.starts_with("http://"))
                }),
                filename: text("filename"),
                length: length.and_then(Value::as_u64),
                bytes: bytes.map(|bytes| size_of(bytes.len())),
                gone: upload.is_some() && bytes.is_none(),
                ..ContentView::default()
            }
        }
    }
}

/// Returns the fields of an object, each as a short text.
fn entries(fields: Option<&Map<String, Value>>) -> Vec<(String, String)> {
    let shown = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    fields.into_iter().flatten().map(|(name, value)| (name.clone(), shown(value))).collect()
}

/// Returns the id in a recipient's key.
fn id_of(key: &str, chat: ChatKind) -> String {
    if chat == ChatKind::Group { key } else { key.split_once(':').map_or(key, |(_, id)| id) }.to_owned()
}

const fn kind_of(chat: ChatKind) -> &'static str {
    match chat {
        ChatKind::Group => "group",
        ChatKind::User => "user",
        ChatKind::Room => "room",
        ChatKind::Announcement => "announcement",
    }
}

/// The day and the time of the day, in UTC.
fn day_and_time(unix_ms: u64) -> (String, String) {
    let at = i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    at.map_or_else(Default::default, |at| {
        (at.strftime("%Y-%m-%d").to_string(), at.strftime("%H:%M:%S").to_string())
    })
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn size_of(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}
