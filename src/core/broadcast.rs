//! The specification of a broadcast.

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
