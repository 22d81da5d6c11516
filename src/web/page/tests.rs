//! What templates render.

use minijinja::value::Serde;
use minijinja::{Value, context};

use super::card::BroadcastCard;
use super::pages::{self, Pages};
use crate::control::{
    AppView, ApprovalView, BroadcastView, ChangesView, DoubtsView, QuotaView, ScriptView, SendView, WaitKind,
    WaitView, WaitingView,
};
use crate::control::{BroadcastAction, JobAction, SendAction};
use crate::core::{BroadcastStage, BroadcastStatus, JobState, RecipientCounts, RecipientState};
use crate::web::words::Language;

const PROBE: &str = "<script>alert(1)</script>";
const AT: &str = "2026-06-01T07:59:00Z";
const BOTH: [Language; 2] = [Language::English, Language::Chinese];

fn base(pages: &Pages, language: Language) -> Value {
    context! {
        lang => language.tag(), zone => "Asia/Shanghai", zone_known => true, now => 1_780_300_800, address => "/", notice => PROBE,
        healthy => false, live => false, known => true, may_act => true, may_audit => true, may_approve => true, own_plan => false, caller => PROBE, role => "admin", by_proxy => false,
        globals => pages.globals(),
    }
}

fn broadcast(waits_for: Option<WaitView>) -> BroadcastView {
    BroadcastView {
        id: 7,
        name: PROBE.to_owned(),
        run: PROBE.to_owned(),
        corrects: Some(PROBE.to_owned()),
        app: PROBE.to_owned(),
        state: BroadcastStatus::Ready,
        over: false,
        note: Some(PROBE.to_owned()),
        reason: None,
        approval: Some(ApprovalView {
            awaited: true,
            hash: PROBE.to_owned(),
            recipients: 2_000,
            begun_by: vec![PROBE.to_owned()],
            approved_by: Some(PROBE.to_owned()),
            approved_at: Some(AT.to_owned()),
            note: Some(PROBE.to_owned()),
        }),
        changes: Some(ChangesView {
            inputs: vec![PROBE.to_owned()],
            added: 2,
            first_added: vec![PROBE.to_owned()],
            removed: 1,
            first_removed: vec![PROBE.to_owned()],
            recipient_id: Some(PROBE.to_owned()),
            recipient_kind: "group".to_owned(),
            group_id: Some(PROBE.to_owned()),
            stored_message: Some(PROBE.to_owned()),
            new_message: Some(PROBE.to_owned()),
        }),
        driven_by: Some(PROBE.to_owned()),
        counts: RecipientCounts { pending: 1_240, sent: 760, ..RecipientCounts::default() },
        doubts: None,
        verification: None,
        duplicates: 1,
        largest_message_bytes: 812,
        plan: Some("ab12".to_owned()),
        rate: Some(18.24),
        most: Some(20.0),
        seconds_left: Some(62.0),
        expected_end: Some(AT.to_owned()),
        waits_for,
        created_at: AT.to_owned(),
        planned_at: Some(AT.to_owned()),
        finished_at: None,
        job_runs: vec![PROBE.to_owned()],
    }
}

/// Renders a template, and checks that no value is interpreted as markup.
fn made(pages: &Pages, template: &str, context: &Value) -> String {
    let made = pages.render(template, context).map_err(|problem| problem.message().to_owned());
    let made = made.unwrap_or_else(|problem| panic!("{template}: {problem}"));
    assert!(!made.contains("<script>") && !made.contains(" style="), "{made}");
    made
}

/// The name of an enum value, as pages and addresses use it.
fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).unwrap().as_str().unwrap().to_owned()
}

#[test]
fn every_text_that_a_template_names_is_there() {
    let mut asked = 0;
    for (template, source) in pages::sources() {
        for rest in source.split("t('").skip(1) {
            let (name, after) = rest.split_once('\'').unwrap();
            if after.starts_with(" ~") {
                continue;
            }
            asked += 1;
            assert!(Language::Chinese.text(name).is_some(), "{template} asks for {name}");
        }
    }
    assert!(asked > 100, "{asked}");
    let mut names: Vec<String> =
        RecipientState::ALL.iter().map(|one| format!("state_{}", one.name())).collect();
    names.extend(BroadcastStage::ALL.iter().map(|one| format!("is_{}", one.name())));
    names.extend(["is_paused", "is_cancelling", "is_interrupted", "is_awaiting_approval"].map(str::to_owned));
    names.extend(JobState::ALL.iter().map(|one| format!("run_{}", one.name())));
    let acts = [
        BroadcastAction::Pause,
        BroadcastAction::Resume,
        BroadcastAction::Continue,
        BroadcastAction::Replan,
        BroadcastAction::Cancel,
        BroadcastAction::Retry,
        BroadcastAction::SettleAsSent,
        BroadcastAction::SettleAgain,
        BroadcastAction::AskService,
        BroadcastAction::SettleProven,
        BroadcastAction::Verify,
        BroadcastAction::Recall,
    ];
    let acts = acts.map(word).into_iter();
    let jobs = [JobAction::Trigger, JobAction::Pause, JobAction::Resume, JobAction::Cancel].map(word);
    for act in acts.chain(jobs.map(|act| format!("job_{act}"))) {
        names.extend(["act", "ask", "done"].map(|what| format!("{what}_{act}")));
        names.push(format!("ask_{act}_long"));
    }
    for act in ["approve", "reject"] {
        names.extend(["act", "ask", "done"].map(|what| format!("{what}_{act}")));
        names.push(format!("ask_{act}_long"));
    }
    for act in [SendAction::SettleAsSent, SendAction::SettleAgain].map(word) {
        names.extend(["act", "ask", "done"].map(|what| format!("{what}_send_{act}")));
        names.push(format!("ask_send_{act}_long"));
    }
    for name in names {
        assert!(Language::English.text(&name).is_some(), "there is no {name}");
    }
}

#[test]
fn a_broadcast_that_runs_says_how_far_it_is_and_what_it_waits_for() {
    let pages = Pages::new(PROBE, None, true).unwrap();
    let kinds = [
        WaitKind::Resume,
        WaitKind::Window,
        WaitKind::Ramp,
        WaitKind::Unreachable,
        WaitKind::Retry,
        WaitKind::ServiceSaid,
        WaitKind::Store,
        WaitKind::Hosts,
        WaitKind::Token,
        WaitKind::OwnRate,
        WaitKind::Throttled,
        WaitKind::Quota,
        WaitKind::Answers,
        WaitKind::Driver,
    ];
    for language in BOTH {
        for kind in kinds {
            let wait = WaitView {
                seconds: Some(62.0),
                calls: Some(3),
                note: Some(PROBE.to_owned()),
                until: (kind == WaitKind::Window).then(|| AT.to_owned()),
                ..WaitView::of(kind)
            };
            let card = BroadcastCard::value(&broadcast(Some(wait)));
            let more = context! { running => [card.clone()], unfinished => 1, broadcast => card };
            let context = context! { ..more, ..base(&pages, language) };
            for template in ["part/running.html", "part/broadcast.html"] {
                let html = made(&pages, template, &context);
                assert!(html.contains("1,240") && html.contains("18.2"), "{html}");
                assert!(html.contains("&lt;script&gt;alert(1)&lt;&#x2f;script&gt;"), "{html}");
                let waits = language.say(&format!("wait_{}", word(kind)), &[("n", "3".to_owned())]);
                assert!(html.replace("&#x27;", "'").contains(&waits.unwrap()), "{kind:?}: {html}");
            }
        }
    }
}

#[test]
fn questions_say_numbers() {
    let pages = Pages::new("spring", None, false).unwrap();
    let view = BroadcastView { name: "spring".to_owned(), run: "1".to_owned(), ..broadcast(None) };
    let ask = |language, act: &str| {
        let context = context! {
            about => "broadcast", act => act, sensible => true, broadcast => Serde(&view), back => "/", action => "/x",
            ..base(&pages, language)
        };
        made(&pages, "part/ask.html", &context)
    };
    let english = ask(Language::English, "cancel");
    assert!(english.contains("Cancel spring&#x2f;1?"), "{english}");
    let said = "1,240 pending recipients get nothing; 760 that have the message keep it.";
    assert!(english.contains(said), "{english}");
    let chinese = ask(Language::Chinese, "cancel");
    assert!(
        chinese.contains("1,240 个待发送的接收方将不会收到消息；760 个已发送的接收方保留消息"),
        "{chinese}"
    );
}

#[test]
fn waiting_calls_and_scripts_that_failed_to_load_are_shown_and_an_unhealthy_ledger_stands_above_all() {
    let pages = Pages::new("spring", None, true).unwrap();
    let quota = QuotaView {
        name: "group messages".to_owned(),
        per_second: 20,
        limit: 20,
        period: 1,
        pace: 12.5,
        sent_last_second: 12,
        throttled_last_minute: 3,
        resumes_in: Some(4.0),
        waiting: vec![WaitingView {
            priority: "high".to_owned(),
            calls: 2,
            cost: 2,
            longest: 1.0,
            first: 1.0,
            last: 8.0,
        }],
    };
    let apps = [AppView { name: PROBE.to_owned(), key: PROBE.to_owned(), quotas: vec![quota] }];
    let stale = [ScriptView {
        name: PROBE.to_owned(),
        version: Some("0123456789abcdef".to_owned()),
        loaded_at: Some(AT.to_owned()),
        error: Some(format!("scripts/a.lua:3: {PROBE}")),
        stale_since: Some(AT.to_owned()),
        form: Vec::new(),
    }];
    let more =
        context! { apps => Serde(&apps), waited => true, stale => Serde(&stale), scripts => Serde([(); 0]) };
    for language in BOTH {
        let context = context! { ..more.clone(), ..base(&pages, language) };
        let quotas = made(&pages, "part/quotas.html", &context);
        let waits = language.say("calls_wait", &[("n", "2".to_owned())]).unwrap();
        assert!(quotas.contains(&waits) && quotas.contains("12.5"), "{quotas}");
        let scripts = made(&pages, "part/scripts.html", &context);
        assert!(
            scripts.contains("scripts&#x2f;a.lua:3: &lt;script&gt;") && scripts.contains("01234567"),
            "{scripts}"
        );
        assert!(scripts.contains(">15:59:00<"), "{scripts}");
        let banner = made(&pages, "part/banner.html", &context);
        let (bad, simulated) =
            (language.text("unhealthy").unwrap(), language.text("simulator_long").unwrap());
        assert!(banner.contains(bad) && banner.contains(simulated), "{banner}");
    }
}

#[test]
fn single_sends_in_doubt_are_shown_with_what_settles_them() {
    let pages = Pages::new(PROBE, None, true).unwrap();
    let send = SendView {
        kind: "group".to_owned(),
        request: None,
        id: 12,
        once: Some(PROBE.to_owned()),
        recipients: vec![PROBE.to_owned()],
        groups: vec![PROBE.to_owned()],
        users: Vec::new(),
        origin: PROBE.to_owned(),
        job_run: None,
        state: RecipientState::InDoubt,
        attempts: 1,
        error: Some(PROBE.to_owned()),
        reason: None,
        receipts: Vec::new(),
        created_at: AT.to_owned(),
        updated_at: AT.to_owned(),
        doubts: Some(DoubtsView {
            waiting: 1,
            until: Some(AT.to_owned()),
            absent: 0,
            open: 0,
            files: Vec::new(),
        }),
    };
    for language in BOTH {
        let doubts = [Value::from(Serde(&send))];
        let context = context! { doubts => doubts, doubts_most => 1, ..base(&pages, language) };
        let html = made(&pages, "part/doubts.html", &context);
        assert!(
            html.contains("/sends/12/settle_as_sent") && html.contains("/sends/12/settle_again"),
            "{html}"
        );
        let waits = language.text("send_waits").unwrap().replace('\'', "&#x27;");
        assert!(html.contains(&waits), "{html}");
        let call =
            SendView { request: Some("POST /chatgroups/7".to_owned()), groups: Vec::new(), ..send.clone() };
        let context =
            context! { doubts => [Value::from(Serde(&call))], doubts_most => 1, ..base(&pages, language) };
        assert!(made(&pages, "part/doubts.html", &context).contains("POST &#x2f;chatgroups&#x2f;7"));
        let to_all = SendView {
            kind: "announce".to_owned(),
            recipients: vec!["all".to_owned()],
            groups: Vec::new(),
            ..send.clone()
        };
        let doubts = [Value::from(Serde(&to_all))];
        let context = context! { doubts => doubts, doubts_most => 1, ..base(&pages, language) };
        assert!(made(&pages, "part/doubts.html", &context).contains(language.text("announce_all").unwrap()));
        let none = context! { doubts => Vec::<Value>::new(), doubts_most => 1, ..base(&pages, language) };
        assert!(made(&pages, "part/doubts.html", &none).contains("hidden"));
        for act in ["settle_as_sent", "settle_again"] {
            let asks = context! { about => "send", act => act, sensible => true, send => Serde(&send), back => "/", action => "/x" };
            let html = made(&pages, "part/ask.html", &context! { ..asks, ..base(&pages, language) });
            assert!(html.contains("12 ("), "{html}");
        }
    }
}
