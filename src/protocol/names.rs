//! The names of options and fields that a script can give, beside those of messages. The worker and the linter check
//! them.

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

/// The options of the sending calls, in their second argument.
pub const SEND_OPTIONS: [&str; 3] = ["once", "priority", "timeout"];

/// The options of `im.upload`, in its second argument.
pub const UPLOAD_OPTIONS: [&str; 6] =
    ["filename", "force", "priority", "restrict_access", "reuse", "thumbnail"];

/// The options of `im.recall`, in its second argument.
pub const RECALL_OPTIONS: [&str; 2] = ["force", "from"];
