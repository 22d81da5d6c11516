//! `template`: fills in texts with the language of Jinja (minijinja).
//!
//! An undefined name is an error, nothing is escaped, nothing can be included from elsewhere, and a template that
//! loops for too long is stopped. Names may use any script; `row` holds all values, for names with spaces and dashes
//! (`row["Full Name"]`). Full-width braces are refused, because they would be sent unchanged.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::merge_maps;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, context};
use mlua::{AnyUserData, Lua, Table, UserData, Value};

use super::super::context::ScriptContext;
use super::super::convert::{JsonRole, to_json};
use super::super::fault::NativeError;
use super::arguments::{table, utf8};
use super::{ModuleKit, template_depth};

/// The most steps of one rendering: some tens of milliseconds.
const FUEL: u64 = 1_000_000;

/// The name of the only template of an environment.
const NAME: &str = "template";

/// The part in Lua: it wraps a compiled template in an object with `render`.
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

pub(super) fn build(kit: &ModuleKit) -> mlua::Result<Table> {
    kit.lua_part(LUA_PART, (kit.plain(render)?, kit.plain(compile)?, kit.plain(render_compiled)?))
}

struct CompiledTemplate(Environment<'static>);

impl UserData for CompiledTemplate {}

fn render(lua: &Lua, _: &ScriptContext, (text, values): (Value, Value)) -> Result<String, NativeError> {
    compiled(utf8("text", &text)?)?.fill(lua, &values)
}

fn compile(_: &Lua, _: &ScriptContext, (text,): (Value,)) -> Result<CompiledTemplate, NativeError> {
    compiled(utf8("text", &text)?)
}

fn render_compiled(
    lua: &Lua,
    _: &ScriptContext,
    (template, values): (AnyUserData, Value),
) -> Result<String, NativeError> {
    template.borrow::<CompiledTemplate>()?.fill(lua, &values)
}

fn compiled(text: String) -> Result<CompiledTemplate, NativeError> {
    if let Some(message) = foreign_braces(&text).or_else(|| template_depth::problem(&text)) {
        return Err(NativeError::invalid("text", message));
    }
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // Debug mode makes errors name the missing variable. It is off by default in release builds.
    environment.set_debug(true);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
    environment.set_syntax(syntax.map_err(|error| fault("text", &error))?);
    environment.set_fuel(Some(FUEL));
    environment.add_template_owned(NAME, text).map_err(|error| fault("text", &error))?;
    Ok(CompiledTemplate(environment))
}

impl CompiledTemplate {
    fn fill(&self, lua: &Lua, values: &Value) -> Result<String, NativeError> {
        let json = match values {
            Value::Nil => b"{}".to_vec(),
            values => to_json(lua, &Value::Table(table("values", values)?), JsonRole::Data)?,
        };
        let values: minijinja::Value = serde_json::from_slice(&json).map_err(mlua::Error::external)?;
        self.render(&values)
            .map_err(|error| NativeError::invalid("values", sentence_of_values(&error, &values)))
    }

    fn render(&self, values: &minijinja::Value) -> Result<String, Error> {
        // The last of two values with the same name wins, so a script's own value named `row` stays.
        let all = merge_maps([context! { row => values }, values.clone()]);
        self.0.get_template(NAME)?.render(all)
    }
}

/// Returns the names that a template can reach only through `row`, as they must be written there.
fn through_row(values: &minijinja::Value) -> Vec<String> {
    let is_part = |letter: char| letter == '_' || letter.is_alphanumeric();
    let is_name =
        |name: &str| name.chars().all(is_part) && !name.starts_with(|first: char| first.is_numeric());
    let Ok(names) = values.try_iter() else { return Vec::new() };
    let names = names.filter_map(|name| name.as_str().map(str::to_owned));
    names.filter(|name| !is_name(name)).map(|name| format!("row[{name:?}]")).collect()
}

/// Returns the problem of a template that marks its places with full-width or small braces, as input methods produce
/// them.
fn foreign_braces(text: &str) -> Option<String> {
    let is_open = |letter: char| matches!(letter, '{' | '\u{ff5b}' | '\u{fe5b}');
    let is_inner = |letter: char| is_open(letter) || matches!(letter, '%' | '\u{ff05}' | '\u{fe6a}');
    let is_foreign = |letter: char| !letter.is_ascii();
    for (index, line) in text.lines().enumerate() {
        for (first, second) in line.chars().zip(line.chars().skip(1)) {
            if is_open(first) && is_inner(second) && (is_foreign(first) || is_foreign(second)) {
                let line = index + 1;
                return Some(format!(
                    "template: line {line}: `{first}{second}` are not the braces that mark a place to fill in; write `{{{{ name }}}}` with the braces of an English keyboard, or `{{{{ \"{first}{second}\" }}}}` to have them in the text"
                ));
            }
        }
    }
    None
}

fn fault(field: &str, error: &Error) -> NativeError {
    NativeError::invalid(field, sentence(error))
}

/// As [`sentence`], with the `row` spelling of names that cannot stand alone.
fn sentence_of_values(error: &Error, values: &minijinja::Value) -> String {
    let mut text = sentence(error);
    let is_undefined = error.kind() == ErrorKind::UndefinedError
        || error.detail().is_some_and(|detail| detail.contains("undefined"));
    if is_undefined {
        let names = through_row(values);
        if !names.is_empty() {
            let shown: Vec<&str> = names.iter().take(5).map(String::as_str).collect();
            text.push_str("; names with blanks or signs are written as ");
            text.push_str(&shown.join(", "));
        }
    }
    text
}

/// Describes the problem and its line in the template.
fn sentence(error: &Error) -> String {
    let line = error.line().map(|line| format!("line {line}: ")).unwrap_or_default();
    let what = match error.kind() {
        ErrorKind::OutOfFuel => format!("it takes more than {FUEL} steps; does it loop for long?"),
        kind => match error.detail() {
            Some(detail) if kind == ErrorKind::SyntaxError && detail.contains("identifier") => {
                format!("{kind}: {detail}; a name with blanks or signs is written as `row[\"Full Name\"]`")
            }
            Some(detail) => format!("{kind}: {detail}"),
            None => kind.to_string(),
        },
    };
    format!("template: {line}{what}")
}

/// Compiles a text and fills it in, as a script does.
#[cfg(test)]
pub(super) fn filled(text: &str, values: &serde_json::Value) -> Result<String, String> {
    match compiled(text.to_owned()) {
        Ok(template) => {
            let values: minijinja::Value = serde_json::from_value(values.clone()).unwrap();
            template.render(&values).map_err(|error| sentence_of_values(&error, &values))
        }
        Err(NativeError::Failure(failure)) => Err(failure.message),
        Err(NativeError::Lua(error)) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
    fn names_are_in_any_script_and_with_signs() {
        let values = json!({"名称": "跑步群", "Full Name": "Ann", "e-mail": "a@b", "имя": "Аня", "naïve": 1, "row_": 2});
        assert_eq!(filled("{{ 名称 }} {{имя|upper}} {{ naïve }}", &values).unwrap(), "跑步群 АНЯ 1");
        assert_eq!(
            filled("{{ row[\"Full Name\"] }} {{ row['e-mail'] }} {{ row.名称 }}", &values).unwrap(),
            "Ann a@b 跑步群"
        );
        assert_eq!(filled("{% if 名称 %}{{ row_ }}{% endif %}", &values).unwrap(), "2");
        assert_eq!(filled("{{ row }}", &json!({"row": "mine"})).unwrap(), "mine");
        for (text, part) in [
            ("{{ 城市 }}", "城市"),
            ("{{ e-mail }}", "row[\"e-mail\"]"),
            ("{{ Full Name }}", "row[\"Full Name\"]"),
            ("{{ row[\"Full Nam\"] }}", "row[\"Full Name\"]"),
        ] {
            let message = filled(text, &values).unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn braces_of_another_width_are_refused() {
        for text in [
            "a\n｛｛name｝｝",
            "a\n{｛ name }}",
            "\n｛{name}}",
            "\n﹛﹛name﹜﹜",
            "\n｛% if a %}",
            "\n{％ if a ％}",
        ] {
            let message = filled(text, &json!({"name": "Ann"})).unwrap_err();
            assert!(message.contains("line 2: `"), "{text}: {message}");
        }
        assert_eq!(filled("｛a｝ {{ \"｛\" }}{{ '｛' }}", &json!({})).unwrap(), "｛a｝ ｛｛");
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
