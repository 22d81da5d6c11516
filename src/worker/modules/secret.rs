//! A secret as a script sees it: its name, and the text around it. The host fills in the value, in a header or a body
//! of a request.

use mlua::{Error, MetaMethod, UserData, UserDataMethods, Value};

use crate::protocol::{HttpValue, HttpValuePart};

/// A text that contains secrets only by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SecretText(Vec<HttpValuePart>);

impl SecretText {
    pub(super) fn named(name: String) -> Self {
        Self(vec![HttpValuePart::Secret(name)])
    }

    pub(super) fn value(&self) -> HttpValue {
        HttpValue(self.0.clone())
    }

    /// Returns the text for display, such as `Bearer secret NAME`.
    fn shown(&self) -> String {
        let piece = |part: &HttpValuePart| match part {
            HttpValuePart::Text(text) => String::from_utf8_lossy(text).into_owned(),
            HttpValuePart::Secret(name) => format!("secret {name}"),
        };
        self.0.iter().map(piece).collect()
    }
}

/// Returns the parts of one operand of `..`.
fn pieces(value: &Value) -> Result<Vec<HttpValuePart>, Error> {
    match value {
        Value::String(text) => Ok(vec![HttpValuePart::Text(text.as_bytes().to_vec().into())]),
        Value::Integer(_) | Value::Number(_) => Ok(vec![HttpValuePart::Text(value.to_string()?.into())]),
        Value::UserData(other) if other.is::<SecretText>() => Ok(other.borrow::<SecretText>()?.0.clone()),
        other => {
            Err(Error::runtime(format!("attempt to concatenate a {} value with a secret", other.type_name())))
        }
    }
}

impl UserData for SecretText {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::ToString, |_, secret, ()| Ok(secret.shown()));
        methods.add_meta_function(MetaMethod::Concat, |_, (left, right): (Value, Value)| {
            let mut parts = pieces(&left)?;
            parts.extend(pieces(&right)?);
            Ok(SecretText(parts))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlua::Lua;

    #[test]
    fn a_handle_takes_texts_around_it_and_shows_only_its_name() {
        let lua = Lua::new();
        lua.globals().set("key", SecretText::named("KEY".to_owned())).unwrap();
        let made: mlua::AnyUserData = lua.load("return 'Bearer ' .. key .. ':' .. 1 .. key").eval().unwrap();
        let text = |text: &'static str| HttpValuePart::Text(text.as_bytes().into());
        let key = || HttpValuePart::Secret("KEY".to_owned());
        assert_eq!(
            made.borrow::<SecretText>().unwrap().value().0,
            [text("Bearer "), key(), text(":"), text("1"), key()]
        );
        let shown: String = lua.load("return tostring('Bearer ' .. key)").eval().unwrap();
        assert_eq!(shown, "Bearer secret KEY");
        assert_eq!(lua.load("return tostring(key)").eval::<String>().unwrap(), "secret KEY");
        assert!(lua.load("return key .. {}").exec().is_err());
    }
}
