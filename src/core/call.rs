//! The calls of the service that send messages.

words! {
    /// The service's two sending calls.
    Call {
        /// `POST /messages/chatgroups`: to every member of up to three groups.
        Group, "group";
        /// `POST /messages/chatgroups/users`: to chosen members of one group.
        Targeted, "targeted";
    }
}
