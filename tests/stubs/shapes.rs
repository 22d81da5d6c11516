//! Compares the shapes in the stubs, each function's parameters and each table's fields, with what the program
//! accepts and returns.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use mooncast::{Call, MessageKind, body_fields, fields};

use crate::book::reference::files;
use crate::book::stub::{Entry, Kind as Of};
use crate::support::Project;

/// Tables of options. A call with an unknown option lists the known ones.
const OPTIONS: [(&str, &str); 25] = [
    ("campaign.spec", "o.text = 'x' campaign.run(o)"),
    ("csv.encode_options", "csv.encode({}, o)"),
    ("csv.layout", "csv.parse('a', o)"),
    ("datetime.amounts", "datetime.now():add(o)"),
    ("datetime.parse_options", "datetime.parse('2026-01-01', o)"),
    ("http.get_options", "http.get('https://host.example', o)"),
    ("http.hook_options", "http.hook('x', o, print)"),
    ("http.post_options", "http.post('https://host.example', '', o)"),
    ("http.request_options", "http.request(o)"),
    ("im.announce_options", "im.announce({}, o)"),
    ("im.broadcast", "im.broadcast(o)"),
    ("im.edit_broadcast", "o.broadcast = 'x' im.edit(o, {})"),
    ("im.edit_broadcast_options", "im.edit({ broadcast = 'x' }, {}, o)"),
    ("im.edit_options", "im.edit({}, {}, o)"),
    ("im.on_options", "im.on('message', o, print)"),
    ("im.recall_broadcast", "o.broadcast = 'x' im.recall(o)"),
    ("im.recall_options", "im.recall({}, o)"),
    ("im.request", "im.request(o)"),
    ("im.send_options", "im.group_send({}, o)"),
    ("im.suppress_options", "im.suppress('x', o)"),
    ("im.upload_options", "im.upload('x', o)"),
    (
        "im.window",
        "im.broadcast({ name = 'x', to = { '1' }, message = { type = 'txt', body = { msg = 'x' } }, window = o })",
    ),
    ("schedule.Options", "schedule.cron('@daily', o, print)"),
    ("store.options", "store.set('x', 1, o)"),
    ("test.event", "t.callback(o)"),
];

/// Tables that calls return, and Lua that makes some which together have all fields.
const VALUES: [(&str, &str); 24] = [
    ("campaign.report", "campaigned(), campaigned(), campaigned('none.csv')"),
    ("im.answer", "im.request { method = 'GET', path = '/chatgroups' }"),
    ("fs.info", "fs.info('bad.csv')"),
    ("http.hook_request", "told(t.post('hook'), 'request')"),
    ("http.response", "http.get('https://host.example')"),
    (
        "im.error",
        "failed(t, {}), failed(t, hello, 'send:403=forbidden_op'), failed(t, hello, 'send:missing')",
    ),
    ("im.edited", "im.edit(im.group_send(hello), { body = { msg = 'x' } })"),
    (
        "im.event",
        "told(t.callback { event = 'message', group = 1, from = 'u', text = 'x' }[1], 'event'), \
         told(t.callback { event = 'joined', group = 1, user = 'u' }[1], 'event')",
    ),
    ("im.file", "im.upload('picture.png'), im.upload('clip.mp4')"),
    ("im.group", "im.groups()()"),
    ("im.group_details", "described()"),
    ("im.limits", "im.limits"),
    ("im.problem", "select(2, im.check({}))[1]"),
    ("im.progress", "progress()"),
    ("im.recalled", "im.recall(im.group_send(hello))"),
    ("im.report", "broadcast(), broadcast(), broadcast('none.csv')"),
    ("os.fields", "os.date('*t')"),
    ("schedule.Context", "told(t.trigger('job'), 'context')"),
    ("store.data", "store.open('x')"),
    ("test.expectation", "test.expect(1)"),
    ("test.run", "t.run('scripts/jobs.lua'), t.trigger('job')"),
    ("test.t", "t"),
    ("datetime.moment", "fields_of(datetime.now())"),
    ("message.builder", "message.text('x')"),
];

/// Objects: values with methods.
const OBJECTS: [(&str, &str); 4] = [
    ("compiled", "template.compile('x')"),
    ("handle", "task.spawn(print)"),
    ("moment", "datetime.now()"),
    ("builder", "message.text('x')"),
];

/// Fields that no value in a test has: a run that fails raises an error instead, and a test is not a rehearsal.
const NEVER: [&str; 2] = ["im.answer.rehearsed", "test.run.error"];

/// Classes that other tests check (modules by their members, messages, and the result of a recall), and classes
/// without fields or with any field.
const ELSEWHERE: [&str; 12] = [
    "mooncast.argument",
    "mooncast.arguments",
    "im.broadcast_recalled",
    "im.edit",
    "env.secret",
    "im.recipient",
    "groups.new",
    "retry.options",
    "im.body.uploaded",
    "im.user_message",
    "im.room_message",
    "im.announcement",
];

/// Functions that accept any argument and report a wrong one later.
const LATER: [&str; 3] = ["im.check", "im.members", "task.spawn"];

fn entries() -> Vec<(String, Entry)> {
    files()
        .into_iter()
        .flat_map(|(file, declared)| declared.entries.into_iter().map(move |entry| (file.clone(), entry)))
        .collect()
}

fn classes() -> BTreeMap<String, Entry> {
    let classes = entries().into_iter().filter(|(_, entry)| entry.kind == Of::Class);
    classes.map(|(_, entry)| (entry.name.clone(), entry)).collect()
}

/// Returns the fields of a class, including its parents' fields, and whether each is optional.
fn fields_of(classes: &BTreeMap<String, Entry>, name: &str) -> BTreeMap<String, bool> {
    let class = classes.get(name).unwrap_or_else(|| panic!("no stub declares `{name}`"));
    let mut all = BTreeMap::new();
    for parent in class.of.split(", ").filter(|parent| !parent.is_empty()) {
        all.extend(fields_of(classes, parent));
    }
    let plain = class.members.iter().filter(|member| !member.name.contains([' ', '[']));
    all.extend(
        plain.map(|member| (member.name.trim_end_matches('?').to_owned(), member.name.ends_with('?'))),
    );
    all
}

#[test]
fn every_parameter_is_declared_in_its_place() {
    let mut wrong = Vec::new();
    let mut looked_at = 0;
    for (file, entry) in entries() {
        let own = entry.name.starts_with(&format!("{file}.")) || entry.name.contains(':');
        if entry.kind == Of::Function && own && !entry.name.contains("._") {
            looked_at += 1;
            if entry.names() != entry.arguments {
                wrong.push(format!(
                    "{file}: {}({:?}): declared are {:?}",
                    entry.name,
                    entry.arguments,
                    entry.names()
                ));
            }
        }
        for member in entry.members.iter().chain(&entry.returns) {
            if member.of.is_empty() {
                wrong.push(format!("{file}: {}: `{}` has no type", entry.name, member.name));
            }
        }
    }
    assert!(looked_at > 80, "{looked_at}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn messages_have_the_fields_that_are_checked() {
    let classes = classes();
    let names = |class: &str| fields_of(&classes, class).into_keys().collect::<BTreeSet<_>>();
    let known = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let kinds = [
        MessageKind::Txt,
        MessageKind::Img,
        MessageKind::Audio,
        MessageKind::Video,
        MessageKind::File,
        MessageKind::Loc,
        MessageKind::Cmd,
        MessageKind::Custom,
    ];
    for kind in kinds {
        let name = kind.name();
        assert_eq!(names(&format!("im.message.{name}")), known(fields(Call::Group)), "{name}");
        let mut body = known(body_fields(kind));
        // An alias of `length`, for scripts that follow the service's pages.
        body.remove("Length");
        assert_eq!(names(&format!("im.body.{name}")), body, "{name}");
    }
    assert_eq!(names("im.targeted_message"), known(fields(Call::Targeted)));
    assert_eq!(names("im.user_message"), known(fields(Call::User)));
    assert_eq!(names("im.room_message"), known(fields(Call::Room)));
    assert_eq!(names("im.announcement"), known(fields(Call::Announce)));
    let mut made = known(&[fields(Call::Group), fields(Call::User), fields(Call::Room)].concat());
    made.remove("to");
    assert_eq!(names("im.broadcast_message"), made);
}

/// Returns a test in Lua of every table that a stub declares.
fn probes(classes: &BTreeMap<String, Entry>) -> String {
    let mut lua = vec![PREAMBLE.to_owned()];
    let list = |fields: &BTreeMap<String, bool>| {
        let fields = fields.iter().map(|(name, optional)| format!("{name} = {optional}"));
        format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
    };
    for (class, call) in OPTIONS {
        let fields = fields_of(classes, class);
        lua.push(format!(
            "test('{class}', function(t) knows('{class}', function(o) {call} end, {}) end)\n",
            list(&fields)
        ));
    }
    for (class, values) in VALUES {
        let mut fields = fields_of(classes, class);
        fields.retain(|name, _| !NEVER.contains(&format!("{class}.{name}").as_str()));
        lua.push(format!(
            "test('{class}', function(t) stage(t) has('{class}', {{ {values} }}, {}) end)\n",
            list(&fields)
        ));
    }
    for (object, value) in OBJECTS {
        let prefix = format!("{object}:");
        let methods =
            entries().into_iter().filter_map(|(_, entry)| Some(entry.name.strip_prefix(&prefix)?.to_owned()));
        let methods: Vec<String> = methods.map(|method| format!("'{method}'")).collect();
        assert!(!methods.is_empty(), "{object}");
        lua.push(format!(
            "test('{object}:', function(t) can('{object}', {value}, {{ {} }}) end)\n",
            methods.join(", ")
        ));
    }
    for (file, entry) in entries() {
        let native = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("stdlib/meta/{file}.lua")).is_file();
        let called =
            entry.kind == Of::Function && entry.name.contains('.') && !LATER.contains(&entry.name.as_str());
        let Some(first) = entry.members.first().filter(|first| called && native && first.of != "any") else {
            continue;
        };
        let optional = first.name.ends_with('?');
        let name = &entry.name;
        lua.push(format!(
            "test('{name} without arguments', function(t) test.expect((pcall({name}))).to_equal({optional}) end)\n"
        ));
    }
    lua.concat()
}

#[test]
fn tables_are_what_their_stubs_say() {
    let classes = classes();
    let looked_at: BTreeSet<&str> =
        OPTIONS.iter().chain(&VALUES).map(|(class, _)| *class).chain(ELSEWHERE).collect();
    let modules: BTreeSet<String> = files().into_iter().map(|(name, _)| name).collect();
    let objects = ["task.handle", "template.compiled"];
    let left: Vec<&String> = classes
        .keys()
        .filter(|class| !looked_at.contains(class.as_str()) && !modules.contains(*class))
        .filter(|class| !class.starts_with("im.message.") && !class.starts_with("im.body."))
        .filter(|class| !["im.targeted_message", "im.broadcast_message"].contains(&class.as_str()))
        .filter(|class| !objects.contains(&class.as_str()))
        .collect();
    assert!(left.is_empty(), "nothing looks at {left:?}");

    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/assets");
    let project = Project::new()
        .file("mooncast.toml", SETTINGS)
        .file("bad.csv", "group_id,name\n1,a\n,b\n,\n")
        .file("none.csv", "group_id\n")
        .file("picture.png", std::fs::read(assets.join("picture.png")).unwrap())
        .file("clip.mp4", std::fs::read(assets.join("clip.mp4")).unwrap())
        .file("scripts/jobs.lua", JOBS)
        .file("scripts/tests/shapes.lua", probes(&classes));
    let mut command = project.command(&["test"]);
    let output = command.env("KEY", "a-secret").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let failed: Vec<&str> = text.split("\nok ").filter(|part| part.contains("FAIL")).collect();
    assert!(output.status.success(), "{}\n{}", failed.join("\n"), String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_recall_gives_what_its_stub_says() {
    let script =
        "im.broadcast({ name = 'b', to = { '1' }, message = { type = 'txt', body = { msg = 'x' } } })
        for name in pairs(im.recall({ broadcast = 'b' })) do print(name) end";
    let ran = Project::with_script(script).run_simulated().exits(0);
    let given: BTreeSet<String> = ran.stdout.lines().map(str::to_owned).collect();
    assert_eq!(given, fields_of(&classes(), "im.broadcast_recalled").into_keys().collect());
}

#[test]
fn a_declared_argument_has_the_fields_that_its_stub_says() {
    let script = "args = { { name = 'a', type = 'string', other = 1 } }";
    let ran = Project::with_script(script).mooncast(&["check"]).exits(1);
    let (_, listed) = ran.stdout.split_once("The fields are ").unwrap();
    let known = listed.lines().next().unwrap().split(", ").map(str::to_owned).collect();
    assert_eq!(fields_of(&classes(), "mooncast.argument").into_keys().collect::<BTreeSet<_>>(), known);
}

const SETTINGS: &str = "[permissions]\nhooks = ['hook']\nsecrets = ['KEY']\nnet = ['host.example']\nrequests = ['GET /chatgroups', 'POST /chatgroups']\n";

/// A job and a hook that print their arguments.
const JOBS: &str = "
local http, env = require('http'), require('env')
local function tell(what, given)
  for name in pairs(given) do print(what .. '.' .. name) end
end
schedule.cron('@yearly', { name = 'job' }, function(context) tell('context', context) end)
for _, name in ipairs { 'message', 'joined' } do
  im.on(name, function(event) tell('event', event) end)
end
http.hook('hook', { secret = env.secret('KEY') }, function(request) tell('request', request) end)
";

/// The common part of the tests.
const PREAMBLE: &str = include_str!("probes.lua");
