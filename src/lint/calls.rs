//! Checks every call of a script: whether the function exists, and whether it accepts the arguments.

use std::collections::BTreeSet;

use full_moon::ast::{Call as Called, Suffix};

use crate::message::ExtraNames;

use super::LintFinding;
use super::chain::{CallArguments, SuffixChain, arguments, member};
use super::library::{ModuleLibrary, is_built_in};
use super::message::MessageChecker;
use super::names::Call;
use super::value::{StaticValue, ValueEvaluator};
use super::walk::WalkResult;
use super::{
    LiteralCall, LiteralScope, SuppressionGrant, SuppressionUse, WrittenPath, globals, members, undefined,
};

/// What the calls of a script show.
pub(super) struct CallFindings {
    pub(super) findings: Vec<LintFinding>,
    /// The literal paths that it writes to.
    pub(super) writes: Vec<WrittenPath>,
    /// The users that it announces to.
    pub(super) announces: Vec<LiteralScope>,
    /// The literal calls of `im.request`.
    pub(super) requests: Vec<LiteralCall>,
    pub(super) suppression: Vec<SuppressionUse>,
}

/// Returns what the calls of a script show.
pub(super) fn findings(
    walked: &WalkResult<'_>,
    library: &ModuleLibrary,
    module_text: &dyn Fn(&str) -> Option<String>,
    extra: &ExtraNames,
) -> CallFindings {
    let has_file = &|module: &str| module_text(module).is_some();
    let values = ValueEvaluator { walked };
    let added = added(&values);
    let mut calls = CallChecker {
        library,
        has_file,
        extra,
        added,
        values,
        findings: Vec::new(),
        writes: Vec::new(),
        announces: Vec::new(),
        requests: Vec::new(),
        suppression: Vec::new(),
    };
    walked.chains.iter().for_each(|chain| calls.chain(chain));
    calls.findings.extend(globals::findings(walked, library));
    calls.findings.extend(undefined::findings(walked, library, module_text));
    let CallChecker { findings, writes, announces, requests, suppression, .. } = calls;
    CallFindings { findings, writes, announces, requests, suppression }
}

/// The functions of `fs` that change the path in their first argument.
const WRITERS: [&str; 4] = ["write", "append", "mkdir", "remove"];

/// Members that the script itself adds to modules, as tests do with fakes.
fn added(values: &ValueEvaluator<'_, '_>) -> BTreeSet<(String, String)> {
    let mut added = BTreeSet::new();
    for chain in values.walked.chains.iter().filter(|chain| chain.target) {
        let Some((last, before)) = chain.suffixes.split_last() else { continue };
        let holder =
            before.iter().fold(values.of_prefix(chain.prefix), |value, suffix| values.step(&value, suffix));
        if let (StaticValue::Module(module), Some(member)) = (holder, member(last)) {
            added.insert((module, member.name));
        }
    }
    for (name, member) in &values.walked.declared {
        if let StaticValue::Module(module) = values.of_name(name) {
            added.insert((module, member.clone()));
        }
    }
    added
}

struct CallChecker<'w, 'a> {
    library: &'w ModuleLibrary,
    has_file: &'w dyn Fn(&str) -> bool,
    extra: &'w ExtraNames,
    added: BTreeSet<(String, String)>,
    values: ValueEvaluator<'w, 'a>,
    findings: Vec<LintFinding>,
    writes: Vec<WrittenPath>,
    announces: Vec<LiteralScope>,
    requests: Vec<LiteralCall>,
    suppression: Vec<SuppressionUse>,
}

impl<'a> CallChecker<'_, 'a> {
    fn chain(&mut self, chain: &SuffixChain<'a>) {
        let mut value = self.values.of_prefix(chain.prefix);
        for (index, suffix) in chain.suffixes.iter().enumerate() {
            let set = chain.target && index + 1 == chain.suffixes.len();
            if let (StaticValue::Module(module), Some(member), false) = (&value, member(suffix), set)
                && !self.is_replaced(module)
            {
                self.findings.extend(members::problem(self.library, &self.added, module, &member));
            }
            if let Suffix::Call(Called::MethodCall(call)) = suffix
                && let StaticValue::Module(module) = &value
                && !self.is_replaced(module)
            {
                self.findings.extend(members::colon(self.library, &self.added, module, call.name()));
            }
            if let (StaticValue::Member(module, name), Some(member)) = (&value, member(suffix))
                && module == "im"
                && name == "limits"
            {
                self.findings.extend(members::limit(self.library, &member, set));
            }
            if let Some(arguments) = arguments(suffix) {
                let caught = &self.values.walked.caught;
                let guarded = chain.guarded || chain.within.iter().any(|name| caught.contains(name));
                self.call(value.clone(), &arguments, guarded);
            }
            value = self.values.step(&value, suffix);
        }
    }

    /// Whether a file of the project replaces a library module, with its own members.
    fn is_replaced(&self, module: &str) -> bool {
        !is_built_in(module) && (self.has_file)(module)
    }

    fn call(&mut self, called: StaticValue<'a>, arguments: &[CallArguments<'a>], guarded: bool) {
        if matches!(&called, StaticValue::Global(name) if name == "require") {
            // A guarded `require` may fail on purpose: the script tests for the module or catches the error.
            if !guarded {
                self.require(arguments);
            }
            return;
        }
        let (called, before) = self.values.callee(called, arguments);
        let StaticValue::Member(module, name) = called else { return };
        if module == "fs" && WRITERS.contains(&name.as_str()) {
            let path = arguments.get(before);
            if let Some((StaticValue::Text(path), Some(token))) =
                path.map(|path| (self.values.of_argument(path), path.token()))
            {
                let position = token.token().start_position();
                self.writes.push(WrittenPath { line: position.line(), column: position.character(), path });
            }
        }
        let own = arguments.get(before..).unwrap_or_default();
        if module != "im" {
            // A call through `pcall` may be meant to fail.
            if before == 0 {
                self.arguments(&module, &name, own);
            }
            return;
        }
        let known = |class| self.library.fields(class);
        let mut messages =
            MessageChecker { values: &self.values, extra: self.extra, findings: &mut self.findings };
        match (name.as_str(), own) {
            ("group_send", [message, rest @ ..]) => {
                messages.message(message, Call::Group);
                messages.options(rest.first(), "im.group_send", &known("im.send_options"));
                self.suppression.extend(rest.first().and_then(|options| messages.overrides(options)));
            }
            ("targeted_send", [message, rest @ ..]) => {
                messages.message(message, Call::Targeted);
                messages.options(rest.first(), "im.targeted_send", &known("im.send_options"));
                self.suppression.extend(rest.first().and_then(|options| messages.overrides(options)));
            }
            ("user_send", [message, rest @ ..]) => {
                messages.message(message, Call::User);
                messages.options(rest.first(), "im.user_send", &known("im.send_options"));
                self.suppression.extend(rest.first().and_then(|options| messages.overrides(options)));
            }
            ("room_send", [message, rest @ ..]) => {
                messages.message(message, Call::Room);
                messages.options(rest.first(), "im.room_send", &known("im.send_options"));
                self.suppression.extend(rest.first().and_then(|options| messages.overrides(options)));
            }
            ("announce", [message, rest @ ..]) => {
                messages.message(message, Call::Announce);
                messages.options(rest.first(), "im.announce", &known("im.announce_options"));
                self.announces.extend(messages.announced(message));
            }
            ("check", [message, rest @ ..]) => messages.checked(message, rest.first()),
            ("broadcast", [spec, ..]) => {
                messages.broadcast(spec);
                self.suppression.extend(messages.overrides(spec));
            }
            ("suppress", [ids, rest @ ..]) => {
                messages.options(rest.first(), "im.suppress", &known("im.suppress_options"));
                let uses = ids.token().map(|token| SuppressionUse::on(token, SuppressionGrant::Suppress));
                self.suppression.extend(uses);
            }
            ("request", [request, ..]) => {
                self.requests.extend(messages.request(request, &known("im.request")));
            }
            ("upload", [_, options, ..]) => {
                messages.options(Some(options), "im.upload", &known("im.upload_options"));
            }
            ("edit", [_, _, options, ..]) => {
                let of_broadcast = known("im.edit_broadcast_options");
                messages.options(Some(options), "im.edit", &of_broadcast);
            }
            ("recall", [_, options, ..]) => {
                messages.options(Some(options), "im.recall", &known("im.recall_options"));
            }
            _ => {}
        }
    }

    /// Checks the arguments of a function in a module other than `im`.
    fn arguments(&mut self, module: &str, name: &str, given: &[CallArguments<'a>]) {
        let key = (module.to_owned(), name.to_owned());
        if self.is_replaced(module) || self.added.contains(&key) {
            return;
        }
        if let Some(signature) = self.library.signatures().of(module, name) {
            let signatures = self.library.signatures();
            let called = format!("{module}.{name}");
            self.findings.extend(super::arguments::findings(
                signatures,
                &self.values,
                &called,
                signature,
                given,
            ));
        }
    }

    fn require(&mut self, arguments: &[CallArguments<'a>]) {
        let Some(first) = arguments.first() else { return };
        let (StaticValue::Text(module), Some(token)) = (self.values.of_argument(first), first.token()) else {
            return;
        };
        let known = is_built_in(&module) || self.library.names().any(|name| name == module);
        if known || (self.has_file)(&module) {
            return;
        }
        let near = super::names::nearest(&module, self.library.names());
        let hint = near.map_or_else(
            || "it is not built in, and scripts/ and scripts/lib/ have no such file".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        self.findings.push(LintFinding::on(token, format!("there is no module `{module}`; {hint}")));
    }
}
