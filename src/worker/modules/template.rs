//! `template`: texts with places to fill in, in the language of Jinja (minijinja).
//!
//! A name that is not given is an error, nothing is escaped, nothing is included from elsewhere, and a template that
//! loops for long is ended.

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};
use mlua::{AnyUserData, Lua, Table, UserData, Value};

use super::super::context::Context;
use super::super::convert::{Empty, to_json};
use super::super::fault::Fault;
use super::Kit;
use super::arguments::{table, utf8};

/// The steps that one rendering may take: some tens of milliseconds.
const FUEL: u64 = 1_000_000;

/// The name under which an environment holds its one template.
const NAME: &str = "template";

/// A compiled template as an object with `render`.
const LUA_PART: &str = r"
local render, compile, render_compiled = ...
return {
  render = render,
  compile = function(text)
    local compiled = compile(text)
    return {
      render = function(_, values)
        return render_compiled(compiled, values)
      end,
    }
  end,
}
";

pub(super) fn build(kit: &Kit) -> mlua::Result<Table> {
    kit.lua_part(LUA_PART, (kit.plain(render)?, kit.plain(compile)?, kit.plain(render_compiled)?))
}

/// A template that is ready to be filled in.
struct Compiled(Environment<'static>);

impl UserData for Compiled {}

fn render(lua: &Lua, _: &Context, (text, values): (Value, Value)) -> Result<String, Fault> {
    compiled(utf8("text", &text)?)?.fill(lua, &values)
}

fn compile(_: &Lua, _: &Context, (text,): (Value,)) -> Result<Compiled, Fault> {
    compiled(utf8("text", &text)?)
}

fn render_compiled(
    lua: &Lua,
    _: &Context,
    (template, values): (AnyUserData, Value),
) -> Result<String, Fault> {
    template.borrow::<Compiled>()?.fill(lua, &values)
}

fn compiled(text: String) -> Result<Compiled, Fault> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // What names the missing variable is off by default where nothing is debugged, that is in every release.
    environment.set_debug(true);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
    environment.set_syntax(syntax.map_err(|error| fault("text", &error))?);
    environment.set_fuel(Some(FUEL));
    environment.add_template_owned(NAME, text).map_err(|error| fault("text", &error))?;
    Ok(Compiled(environment))
}

impl Compiled {
    fn fill(&self, lua: &Lua, values: &Value) -> Result<String, Fault> {
        let json = match values {
            Value::Nil => b"{}".to_vec(),
            values => to_json(lua, &Value::Table(table("values", values)?), Empty::Object)?,
        };
        let values = serde_json::from_slice(&json).map_err(mlua::Error::external)?;
        self.render(values).map_err(|error| fault("values", &error))
    }

    fn render(&self, values: minijinja::Value) -> Result<String, Error> {
        self.0.get_template(NAME)?.render(values)
    }
}

fn fault(field: &str, error: &Error) -> Fault {
    Fault::invalid(field, sentence(error))
}

/// What is wrong, and in which line of the template.
fn sentence(error: &Error) -> String {
    let line = error.line().map(|line| format!("line {line}: ")).unwrap_or_default();
    let what = match error.kind() {
        ErrorKind::OutOfFuel => format!("it takes more than {FUEL} steps; does it loop for long?"),
        kind => match error.detail() {
            Some(detail) => format!("{kind}: {detail}"),
            None => kind.to_string(),
        },
    };
    format!("template: {line}{what}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn filled(text: &str, values: &serde_json::Value) -> Result<String, String> {
        match compiled(text.to_owned()) {
            Ok(template) => {
                let values = serde_json::from_value(values.clone()).unwrap();
                template.render(values).map_err(|error| sentence(&error))
            }
            Err(Fault::Failure(failure)) => Err(failure.message),
            Err(Fault::Lua(error)) => Err(error.to_string()),
        }
    }

    #[test]
    fn values_are_filled_in_as_they_are() {
        let values =
            json!({"name": "<Ann & 李>", "items": [1, 2], "empty": {}, "id": 9_007_199_254_740_993_u64});
        assert_eq!(filled("Hi {{ name }}!\n", &values).unwrap(), "Hi <Ann & 李>!\n");
        assert_eq!(filled("{% for x in items %}{{ x }};{% endfor %}", &values).unwrap(), "1;2;");
        assert_eq!(filled("{% for x in empty %}{{ x }}{% else %}none{% endfor %}", &values).unwrap(), "none");
        assert_eq!(filled("{{ id }} {{ nobody|default('you') }}", &values).unwrap(), "9007199254740993 you");
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_with_its_line() {
        let values = json!({"user": {"name": "Ann"}});
        for (text, expected) in [
            ("a\n{{ nobody }}", ["line 2", "nobody"]),
            ("{{ user.nmae }}", ["line 1", "nmae"]),
            ("\n\n{% if nobody %}{% endif %}", ["line 3", "nobody"]),
            ("{% for x in nobody %}{% endfor %}", ["line 1", "nobody"]),
            ("{{ user.name|uper }}", ["line 1", "uper"]),
            ("a\n{{ user.name", ["line 2", "syntax error"]),
            ("{% include 'x' %}", ["line 1", "include"]),
            (
                "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
                ["line 1", "loop"],
            ),
        ] {
            let message = filled(text, &values).unwrap_err();
            assert!(expected.iter().all(|part| message.contains(part)), "{text:?}: {message}");
        }
    }
}
