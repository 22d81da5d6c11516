//! Parses the declarations in Lua files for editors: functions with their parameters, classes with their fields.

/// The declarations of a Lua file.
#[derive(Debug, Default)]
pub struct File {
    /// The lines of the file's own description.
    pub head: Vec<String>,
    pub entries: Vec<Entry>,
}

/// A declaration.
#[derive(Debug, Default)]
pub struct Entry {
    pub kind: Kind,
    /// `im.group_send`, `im.send_options`
    pub name: String,
    pub text: Vec<String>,
    /// The names between a function's parentheses.
    pub arguments: Vec<String>,
    /// A function's parameters or a class's fields.
    pub members: Vec<Member>,
    pub returns: Vec<Member>,
    pub overloads: Vec<String>,
    /// A class's parents, an alias's type, or a value's type.
    pub of: String,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    #[default]
    Function,
    Class,
    Alias,
    Value,
}

/// A parameter, a field, or a return value.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Member {
    /// The name, with a `?` if it is optional.
    pub name: String,
    pub of: String,
    pub text: String,
}

impl Entry {
    /// Whether it has no description. Such a declaration is not for scripts.
    pub const fn is_inner(&self) -> bool {
        self.text.is_empty() && self.members.is_empty() && self.returns.is_empty() && self.of.is_empty()
    }

    /// Returns the names of its members.
    pub fn names(&self) -> Vec<&str> {
        self.members.iter().map(|member| member.name.trim_end_matches('?')).collect()
    }
}

impl File {
    pub fn read(text: &str) -> Self {
        let mut file = Self::default();
        let mut entry = Entry::default();
        let mut in_head = true;
        for line in text.lines() {
            let line = line.trim_end();
            if let Some(note) = line.strip_prefix("---@") {
                in_head &= note.starts_with("meta");
                entry.annotate(note);
            } else if let Some(other) = line.strip_prefix("---| ") {
                entry.of.push_str(if entry.of.is_empty() { "" } else { "|" });
                entry.of.push_str(other);
            } else if let Some(text) = line.strip_prefix("---").filter(|text| !text.starts_with('-')) {
                in_head = false;
                // After a class, the next doc comment belongs to another declaration.
                if entry.kind == Kind::Class || entry.kind == Kind::Alias {
                    file.take(&mut entry);
                }
                entry.text.push(text.strip_prefix(' ').unwrap_or(text).to_owned());
            } else if let Some(text) = line.strip_prefix("--").filter(|text| in_head && !text.contains("---"))
            {
                file.head.push(text.strip_prefix(' ').unwrap_or(text).to_owned());
            } else {
                in_head &= line.is_empty() && file.head.is_empty();
                entry.declare(line);
                file.take(&mut entry);
            }
        }
        file.take(&mut entry);
        file
    }

    fn take(&mut self, entry: &mut Entry) {
        let entry = std::mem::take(entry);
        if !entry.name.is_empty() {
            self.entries.push(entry);
        }
    }
}

impl Entry {
    fn annotate(&mut self, note: &str) {
        let (word, rest) = note.split_once(' ').unwrap_or((note, ""));
        match word {
            "class" => {
                let (name, of) = rest.split_once(": ").unwrap_or((rest, ""));
                (self.kind, self.name, self.of) = (Kind::Class, name.to_owned(), of.to_owned());
            }
            "alias" => {
                let (name, of) = rest.split_once(' ').unwrap_or((rest, ""));
                (self.kind, self.name, self.of) = (Kind::Alias, name.to_owned(), of.to_owned());
            }
            "field" | "param" => self.members.push(Member::named(rest)),
            "operator" => self.members.push(operator(rest)),
            "return" => self.returns.push(Member::returned(rest)),
            "overload" => self.overloads.push(rest.to_owned()),
            "type" => rest.clone_into(&mut self.of),
            _ => {}
        }
    }

    /// Reads the declared name at the beginning of a line of code.
    fn declare(&mut self, line: &str) {
        if let Some(function) = line.strip_prefix("function ") {
            let Some((name, arguments)) = function.split_once('(') else { return };
            let arguments = arguments.split(')').next().unwrap_or_default();
            let names = arguments.split(", ").filter(|name| !name.is_empty());
            (self.kind, self.name) = (Kind::Function, name.to_owned());
            self.arguments = names.map(str::to_owned).collect();
        } else if let Some((name, _)) = line.split_once(" = ").filter(|(name, _)| self.is_value(name)) {
            (self.kind, self.name) = (Kind::Value, name.to_owned());
        } else if !matches!(self.kind, Kind::Class | Kind::Alias) {
            self.name.clear();
        }
    }

    /// `im.limits = …` with a comment before it.
    fn is_value(&self, name: &str) -> bool {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '.';
        self.kind == Kind::Function && !self.text.is_empty() && name.contains('.') && name.chars().all(plain)
    }
}

impl Member {
    /// `name type  text`
    fn named(rest: &str) -> Self {
        // A name that stands for any key: `[string] any`.
        let end = if rest.starts_with('[') { rest.find(']').map(|end| end + 1) } else { rest.find(' ') };
        let (name, rest) = rest.split_at(end.unwrap_or(rest.len()));
        Self { name: name.to_owned(), ..Self::typed(rest.trim_start()) }
    }

    /// `type name  text`. The name may be missing, since it adds nothing to the type.
    fn returned(rest: &str) -> Self {
        let typed = Self::typed(rest);
        let plain = |word: &str| word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
        match typed.of.rsplit_once(' ') {
            Some((of, name)) if plain(name) && !of.ends_with([':', ',']) => {
                Self { of: of.to_owned(), ..typed }
            }
            _ => typed,
        }
    }

    /// `type  text`
    fn typed(rest: &str) -> Self {
        let (of, text) = rest.split_once("  ").unwrap_or((rest, ""));
        Self { name: String::new(), of: of.trim().to_owned(), text: text.trim().to_owned() }
    }
}

/// `add(number|string): datetime.moment`
fn operator(rest: &str) -> Member {
    let (call, of) = rest.split_once(": ").unwrap_or((rest, ""));
    let (name, other) = call.trim_end_matches(')').split_once('(').unwrap_or((call, ""));
    let sign = match name {
        "add" => "+",
        "sub" => "-",
        "concat" => "..",
        other => other,
    };
    Member { name: format!("{sign} {other}"), of: of.to_owned(), text: String::new() }
}
