//! The order in which waiting calls get the permits of a quota.

words! {
    /// The priority of a call that waits for a quota. Each priority gets a share, so that none starves.
    #[derive(Default)]
    Priority {
        /// For alerts.
        High, "high";
        /// The default.
        #[default]
        Normal, "normal";
        /// For calls that can wait.
        Low, "low";
    }
}
