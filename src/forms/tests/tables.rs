//! Tests of forms that a table declares.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::super::*;
use super::{INVITE, any_field, form, wrong};

/// Declares the same as a head in a table.
fn in_table(fields: &[FormField]) -> String {
    let quoted = |text: &str| {
        let escaped =
            text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\r', "\\r");
        format!("\"{escaped}\"")
    };
    let list = |words: &[String]| {
        format!("{{ {} }}", words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join("; "))
    };
    let mut text = "local im = require 'im'\nargs = {\n".to_owned();
    for field in fields {
        let mut parts =
            vec![format!("type = {}", quoted(field.kind.name())), format!("name = {}", quoted(&field.name))];
        match field.kind {
            ArgumentType::Choice => parts.push(format!("choices = {}", list(&field.allowed))),
            ArgumentType::File => parts.push(format!("[\"extensions\"] = {}", list(&field.allowed))),
            _ => {}
        }
        match (&field.default, field.kind) {
            (Some(value), ArgumentType::Integer | ArgumentType::Number | ArgumentType::Boolean) => {
                parts.push(format!("default = {value}"));
            }
            (Some(value), _) => parts.push(format!("default = {}", quoted(value))),
            (None, _) if !field.required => parts.push("optional = true".to_owned()),
            (None, _) => {}
        }
        if !field.help.is_empty() {
            parts.push(format!("help = {}", quoted(&field.help)));
        }
        let _ = writeln!(text, "  {{ {} }},", parts.join(", "));
    }
    text + "}\nfunction main(args) print(args.city) end\n"
}

#[test]
fn a_table_declares_what_a_head_does() {
    let table = "\
local im = require 'im'
args = {
  { name = 'city', type = 'string', help = [[The city]] },
  { name = \"day\", type = \"date\", optional = false },
  -- The list
  { name = 'list', type = 'file', extensions = { '.csv', '.XLSX' }, help = ' The audience ' };
  { ['name'] = 'tone', type = 'choice', choices = { 'warm', 'formal' }, default = 'warm', help = 'How it is said' },
  { name = 'note', type = 'text', optional = true },
}
local function show(args, other) print(args.city, other) end
main = function(args) show(args, { args = 1 }) for args in pairs(args) do print(args) end end
";
    assert_eq!(form(table), form(INVITE));
    let number = |default: &str, kind: &str| {
        form(&format!("args = {{ {{ name = 'a', type = '{kind}', default = {default} }} }}")).fields[0]
            .default
            .clone()
    };
    assert_eq!(number("-7", "integer").as_deref(), Some("-7"));
    assert_eq!(number("1.50", "number").as_deref(), Some("1.50"));
    assert_eq!(number("false", "boolean").as_deref(), Some("false"));
    assert_eq!(number("'20'", "integer").as_deref(), Some("20"));
    assert_eq!(number("'`a`'", "string").as_deref(), Some("`a`"));
    // The name is free where it is not the global.
    for plain in [
        "local args = { ... }\nprint(args[1])",
        "local args = { { name = 'Ann', group = 'g1' } }",
        "local args\nargs = { 1, 2 }",
        "local function args() end\nargs()",
        "function main(args) args = args or {}\nargs.x = 1 end",
        "local t = { args = { { name = 'a', type = 'string' } } }\nt.args = {}",
        "print('args')\nlocal t = {}\nt['args'] = 1",
        "print(args)",
        "for _, args in ipairs({}) do args = {} end",
        "f(args, 1) if then",
    ] {
        assert!(form(plain).is_empty(), "{plain}");
    }
}

/// Checks that a script is refused with this problem.
#[track_caller]
fn refused(script: &str, said: &str) {
    let script = script.replace("ONE", "{ name = 'city', type = 'string' }");
    assert!(wrong(&script).contains(said), "{script}: {}", wrong(&script));
}

#[test]
fn a_name_that_can_be_read_in_two_ways_is_refused() {
    for (script, said) in [
        ("\nargs = {}", "2: `args` declares no arguments"),
        ("args = { ... }", "1: `...` is known only when the script runs"),
        ("args = arg", "1: `args` declares the arguments of the script as a table that is written out"),
        ("args = parse(arg)", "and not as `parse(arg)`; for a variable of your own write `local args`"),
        ("args, x = {}, 1", "`args` is assigned alone"),
        ("args = args or {}", "1: `args` is the declaration here and has no values"),
        ("args = { ONE }\nargs = { ONE }", "2: `args` is assigned a second time, after line 1"),
        (
            "if x then\n args = { ONE }\nend",
            "2: `args` declares the arguments of the script, once and at its top level",
        ),
        ("function main()\n  args = { ONE }\nend", "2: `args` declares the arguments"),
        ("do args = { ONE } end", "write `local args`"),
        ("function args() end", "write `local function args`"),
        ("local args = { ONE }", "1: a local variable declares no arguments"),
        ("local x, args = 1, { ONE }", "1: a local variable declares no arguments"),
        ("local args\nargs = { ONE }", "2: this assigns a local variable, which declares no arguments"),
        ("_G.args = { ONE }", "1: `_G.args` cannot be read"),
        ("_G['args'] = { ONE }", "1: `_G.args` cannot be read"),
        (
            "args = { ONE }\nfunction main()\n  print(args.city)\nend",
            "3: `args` is the declaration here and has no values",
        ),
        ("args = { ONE }\nargs[1].help = 'x'", "2: `args` is the declaration"),
        ("args = { ONE }\nprint(_G.args)", "2: `_G.args`"),
        ("--- @arg city string\nargs = { ONE }", "2: the arguments are declared twice, by `@arg` in line 1"),
        ("args = { ONE }\nif x then", "`args` cannot be read: this `if` has no `end`"),
    ] {
        refused(script, said);
    }
    let latin = b"args = { { name = 'a', type = 'string', help = '\xfc' } }";
    let said = "1: `args` cannot be read: the file is not UTF-8";
    assert!(ScriptForm::of(latin).unwrap_err().to_string().contains(said));
    // A script whose expressions are too long for the parser.
    let long = format!("args = {{ ONE }}\nlocal x = 1{}", " + 1".repeat(1500));
    refused(&long, "an expression of the script is too long");
    assert!(form(&long.replace("args =", "local args =")).is_empty());
}

#[test]
fn an_argument_that_is_not_clear_is_refused() {
    for (script, said) in [
        (
            "args = {\n city = { type = 'string' } }",
            "2: `city` is not an argument, because `args` is a list; write `{ name = \"city\"",
        ),
        ("args = { 'city' }", "1: an argument is a table, not a text"),
        ("args = { { type = 'string' } }", "an argument has no `name`"),
        ("args = { { name = 'city' } }", "the argument `city` has no type"),
        ("args = { { name = 'city', type = 'strin' } }", "did you mean `string`?"),
        ("args = { { name = 'end', type = 'string' } }", "a word of Lua"),
        (
            "args = { { name = 'a', type = 'string' },\n { name = 'A', type = 'string' } }",
            "2: the argument `A` is declared twice",
        ),
        (
            "args = { { name = 'a', type = 'string',\n hepl = 'x' } }",
            "2: an argument has no field `hepl`; did you mean `help`?",
        ),
        (
            "args = { { name = 'a', type = 'string', required = true } }",
            "The fields are name, type, help, default, optional",
        ),
        ("args = { { name = 'a', name = 'b', type = 'string' } }", "`name` stands twice"),
        ("args = { { 'a', type = 'string' } }", "a text without a name stands in an argument"),
        ("args = { { [1] = 'a' } }", "the name `[1]` must be a text"),
        ("args = { { name = 'a', type = 'string', default = os.date() } }", "`os.date()` is known only when"),
        (
            "args = { { name = 'a', type = 'string', help = 'a' .. 'b' } }",
            "is known only when the script runs",
        ),
        (
            "args = { { name = 'a', type = 'string', help = nil } }",
            "`nil` stands for no value; remove the field",
        ),
        (
            "args = { { name = 'a', type = 'string', help = 1 } }",
            "`help` must be a text in quotes, not a number",
        ),
        ("args = { { name = 'a', type = 'string', help = 'a\\nb' } }", "must be one line"),
        (
            "args = { { name = 'a', type = 'string', optional = 'yes' } }",
            "`optional` must be `true` or `false`, not a text",
        ),
        (
            "args = { { name = 'a', type = 'string', default = 5 } }",
            "is a number, but its type is `string`; write a text in quotes",
        ),
        ("args = { { name = 'a', type = 'integer', default = 0x10 } }", "\"0x10\", must be a whole number"),
        ("args = { { name = 'a', type = 'string', default = '' } }", "is empty; write `optional = true`"),
        ("args = { { name = 'a', type = 'choice' } }", "such as `choices = {"),
        ("args = { { name = 'a', type = 'choice', choices = { 'a', 'New York' } } }", "without spaces"),
        ("args = { { name = 'a', type = 'choice', choices = 'a|b' } }", "`choices` must be a list of texts"),
        (
            "args = { { name = 'a', type = 'string', choices = { 'a', 'b' } } }",
            "`choices` is for the type `choice`",
        ),
        ("args = { { name = 'a', type = 'file', extensions = { 'csv' } } }", "such as `extensions = {"),
        (
            "args = { { name = 'a', type = 'file', extensions = { '.csv' }, default = 'a.csv' } }",
            "cannot have a default",
        ),
    ] {
        refused(script, said);
    }
}

proptest! {
    #[test]
    fn a_head_and_a_table_declare_the_same(fields in prop::collection::vec(any_field(), 1..6)) {
        let numbered = |(number, field): (usize, FormField)| FormField { name: format!("value{number}"), ..field };
        let fields: Vec<FormField> = fields.into_iter().enumerate().map(numbered).collect();
        let head = fields.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        let table = in_table(&fields);
        let read = ScriptForm::of(table.as_bytes()).unwrap();
        prop_assert_eq!(&read.fields, &fields, "{}", table);
        prop_assert_eq!(read, ScriptForm::of(head.as_bytes()).unwrap(), "{}", head);
    }

    #[test]
    fn no_table_makes_it_panic(text in "(local |_G\\.)?args ?= ?\\{[ {}a-z=',.0-9-]{0,40}\\}( args = x|print\\(args\\))?") {
        let _ = ScriptForm::of(text.as_bytes());
    }
}
