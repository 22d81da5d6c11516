//! What callers of the page and its API may do.

words! {
    /// What a caller may do. Each role includes those before it.
    #[derive(utoipa::ToSchema)]
    #[schema(rename_all = "snake_case", as = RoleView)]
    TokenRole {
        /// Read everything except the audit.
        Viewer, "viewer";
        /// Read and act: pause, resume, cancel, retry, settle, run, edit, recall.
        Operator, "operator";
        /// Act, approve and reject broadcasts, and read the audit.
        Approver, "approver";
        /// Everything. At present no request needs more than an approver.
        Admin, "admin";
    }
}

impl TokenRole {
    /// Returns whether this role may do what `needed` may do.
    pub fn covers(self, needed: Self) -> bool {
        self >= needed
    }

    /// Returns the names of the roles that may do what this role may do: `operator, approver or admin`.
    pub fn or_above(self) -> String {
        let names: Vec<&str> =
            Self::ALL.into_iter().filter(|role| role.covers(self)).map(Self::name).collect();
        match names.split_last() {
            Some((last, before)) if !before.is_empty() => format!("{} or {last}", before.join(", ")),
            _ => self.name().to_owned(),
        }
    }
}

impl TryFrom<String> for TokenRole {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        word.parse()
    }
}
