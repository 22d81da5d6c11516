//! Hooks: jobs that run for each accepted request, and how a request proves its sender.

use crate::protocol;

use super::problem::DeclarationError;

/// The most characters of a hook's name, which ends its URL.
const LONGEST_NAME: usize = 100;

/// Headers that a hook may not use, since they describe the body.
const TAKEN: [&str; 5] = ["host", "content-length", "content-type", "transfer-encoding", "connection"];

/// A valid hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    pub secret: String,
    /// How a request proves that its sender knows the secret.
    pub scheme: HookScheme,
    /// The header with the proof, in lower case. None for [`HookScheme::Easemob`], whose proof is in the body.
    pub header: Option<String>,
    /// The header with the delivery's id, in lower case. With None each request counts as a new delivery, except for
    /// [`HookScheme::Easemob`], whose body has the id.
    pub id: Option<String>,
}

/// How a request proves that its sender knows the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookScheme {
    /// HMAC-SHA256 of the body with the secret, in hexadecimal, with an optional `sha256=` before it.
    HmacSha256,
    /// The secret itself, with an optional `Bearer ` before it.
    Token,
    /// The body is a callback of the chat service: its `security` is the MD5 of `callId`, the secret and `timestamp`, and
    /// its `callId` is the delivery's id.
    Easemob,
}

impl Hook {
    /// Validates the declaration of the hook `name`.
    pub(super) fn read(name: &str, declared: &protocol::HookDeclaration) -> Result<Self, DeclarationError> {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
        if name.len() > LONGEST_NAME || !name.chars().all(plain) || matches!(name, "." | "..") {
            let shown = name.escape_debug();
            return Err(DeclarationError::new(
                "name",
                format!(
                    "`{shown}` cannot be part of the hook's address, /hooks/NAME; use only letters, digits, `-`, `_` and `.`, at most {LONGEST_NAME} characters"
                ),
            ));
        }
        let scheme = match declared.scheme.as_deref() {
            None | Some("hmac-sha256") => HookScheme::HmacSha256,
            Some("token") => HookScheme::Token,
            Some("easemob") => HookScheme::Easemob,
            Some(other) => {
                let other = other.escape_debug();
                return Err(DeclarationError::new(
                    "scheme",
                    format!("`{other}` is unknown; write \"hmac-sha256\", \"token\" or \"easemob\""),
                ));
            }
        };
        let usual = match scheme {
            HookScheme::HmacSha256 => "x-signature-256",
            HookScheme::Token => "authorization",
            HookScheme::Easemob => {
                for (field, given) in [("header", &declared.header), ("id", &declared.id)] {
                    if given.is_some() {
                        let problem = "leave it out: with `scheme = \"easemob\"` the body has the signature and the delivery's id";
                        return Err(DeclarationError::new(field, problem.to_owned()));
                    }
                }
                return Ok(Self { secret: declared.secret.clone(), scheme, header: None, id: None });
            }
        };
        let header = header("header", declared.header.as_deref().unwrap_or(usual))?;
        let id = declared.id.as_deref().map(|name| self::header("id", name)).transpose()?;
        if id.as_ref() == Some(&header) {
            return Err(DeclarationError::new(
                "id",
                format!("`{header}` already carries the signature or token; name another header"),
            ));
        }
        let header = Some(header);
        Ok(Self { secret: declared.secret.clone(), scheme, header, id })
    }
}

/// Returns the name of a header in lower case.
fn header(field: &'static str, name: &str) -> Result<String, DeclarationError> {
    let fine = |letter: char| letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(letter);
    let lower = name.to_ascii_lowercase();
    if name.is_empty()
        || name.len() > LONGEST_NAME
        || !name.chars().all(fine)
        || TAKEN.contains(&lower.as_str())
    {
        let name = name.escape_debug();
        return Err(DeclarationError::new(
            field,
            format!("`{name}` cannot be used as this header; write one like \"x-signature-256\""),
        ));
    }
    Ok(lower)
}
