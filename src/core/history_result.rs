//! What became of a request for a history file.

words! {
    /// What became of a request for a history file.
    #[derive(utoipa::ToSchema)]
    #[schema(rename_all = "snake_case")]
    HistoryResult {
        /// Nothing is known: the process that asked ended before.
        Asked = 0, "asked";
        /// The file was read to its end without a bad line, and shows whose hour it is. Only such a file proves absence.
        Whole = 1, "whole";
        /// The service has no file of the hour, not yet or no longer.
        NoFile = 2, "no_file";
        /// The service or the file could not be reached.
        Failed = 3, "failed";
        /// The file has a bad line or broke off.
        Broken = 4, "broken";
        /// The file has records of other hours, so its zone is not the assumed one.
        OtherHours = 5, "other_hours";
        /// The file has no record, and the settings do not name its zone.
        Empty = 6, "empty";
    }
}
