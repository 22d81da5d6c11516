//! Templates: texts with `{{ }}`, filled in with values.

use serde_json::json;

use crate::worker::readers;

use super::{FuzzTarget, fuzz};

#[test]
fn no_input_breaks_it() {
    fuzz(&FuzzTarget { name: "templates", seeds, words: WORDS, cases: 4000, read });
}

const WORDS: &[&str] = &[
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "#}",
    "{%-",
    "-%}",
    "if",
    "else",
    "endif",
    "for",
    "in",
    "endfor",
    "set",
    "endset",
    "macro m(a)",
    "endmacro",
    "call",
    "block",
    "extends",
    "include",
    "import",
    "raw",
    "endraw",
    "filter",
    "with",
    "do",
    "recursive",
    "loop.index",
    "loop(",
    "row",
    "name",
    "items",
    "nested",
    "range(",
    "|",
    "~",
    "**",
    "//",
    "[::2]",
    "[-1]",
    "|length",
    "|join(',')",
    "|sort",
    "|default('x')",
    "|upper",
    "|tojson",
    "|indent(9)",
    "|batch(3)",
    "|slice(3)",
    "|replace('a','b')",
    "|round(99)",
    "|urlencode",
    "|groupby('a')",
    "is defined",
    "not",
    "and",
    "dict(",
    "namespace(",
    "lipsum",
    "debug()",
    "cycler(",
    "joiner(",
    "'a' * 99999999",
    "range(100000)",
    "1 / 0",
    "1 % 0",
    "9223372036854775807 + 1",
    "-9223372036854775808",
    "2 ** 9999",
    "{'a': 1}",
    "[1, 2]",
    "\"\\u{0}\"",
];

fn seeds() -> Vec<Vec<u8>> {
    [
        "Hi {{ name }}, {{ row[\"Full Name\"]|upper }}!\n",
        "{% for x in items %}{{ loop.index }}: {{ x.a|default('none') }}{% if not loop.last %}, {% endif %}{% endfor %}",
        "{% macro m(a, b=2) %}{{ a ~ b }}{% endmacro %}{{ m(1) }}{{ m('x', b=name) }}",
        "{% set total = number * 2 + 1 %}{{ total|round(1) }} {{ (1, 2, 3)|join(';') }} {{ items|length }}",
        "{# note #}{% raw %}{{ x }}{% endraw %}{{ '%05d'|format(3) if false else nested.a.b[0] }}",
        "{% for x in tree recursive %}{{ x.n }}{{ loop(x.c) }}{% endfor %}",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

fn read(input: &[u8]) -> String {
    let values = json!({
        "name": "Ann", "Full Name": "Ann 李", "number": 41.5, "big": 9_223_372_036_854_775_807_i64, "items": [{"a": 1}, {"a": null}, {}],
        "nested": {"a": {"b": ["c"]}}, "text": "a,b;c\n汉", "tree": [{"n": 1, "c": [{"n": 2, "c": []}]}], "none": null, "yes": true,
    });
    match readers::template(&String::from_utf8_lossy(input), &values) {
        Ok(text) => format!("ok {}", if text.len() > 1000 { "long" } else { "" }),
        Err(problem) => problem,
    }
}
