//! The names of what a script can say beside its messages: the worker checks them, and the linter knows them.

/// The fields of `im.broadcast`.
pub const BROADCAST_FIELDS: [&str; 20] = [
    "name",
    "run",
    "to",
    "message",
    "pack",
    "in_doubt",
    "rate",
    "window",
    "priority",
    "exclude",
    "stop_after_failures",
    "max_recipients",
    "on_progress",
    "skip_bad",
    "id_column",
    "encoding",
    "separator",
    "sheet",
    "allow_empty",
    "on_change",
];

/// What the second argument of the sending calls can say.
pub const SEND_OPTIONS: [&str; 3] = ["once", "priority", "timeout"];

/// What the second argument of `im.upload` can say.
pub const UPLOAD_OPTIONS: [&str; 6] =
    ["filename", "force", "priority", "restrict_access", "reuse", "thumbnail"];

/// What the second argument of `im.recall` can say.
pub const RECALL_OPTIONS: [&str; 2] = ["force", "from"];
