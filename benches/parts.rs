//! The cost of the steps of a message, one function per step: `cargo bench --bench parts`.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use mooncast::{Call, MessageLimits, check};
use serde_json::{Value, json};

criterion_group!(parts, checks);
criterion_main!(parts);

/// From the worker's JSON of a message to the JSON that the service gets. "value" starts with parsed JSON, "bytes"
/// with its text.
fn checks(criterion: &mut Criterion) {
    let limits = MessageLimits::default();
    let messages = [
        (
            "txt",
            Call::Group,
            json!({"from": "user1", "to": ["184524748161025"], "type": "txt", "body": {"msg":
            "The cinema opens at eight tonight: the first fifty of this group get in for free."}}),
        ),
        (
            "txt with ext",
            Call::Group,
            json!({"from": "user1", "to": ["184524748161025"], "type": "txt",
            "need_group_ack": false, "body": {"msg": "testmessages"}, "roam_ignore_users": [],
            "ext": {"em_ignore_notification": true, "campaign": "spring", "n": 12}}),
        ),
        (
            "img to 3 groups",
            Call::Group,
            json!({"to": [1, 2, 3], "type": "img", "body": {"file": {"uuid": "i",
            "url": "https://a1.easemob.com/org/app/chatfiles/55f12940-0000-0000-8a5b-ff2336f03252",
            "secret": "VfXXXXNb_", "filename": "testimg.jpg", "size": 32090, "width": 480, "height": 720}}}),
        ),
        (
            "txt to 20 members",
            Call::Targeted,
            json!({"to": "184524748161025", "type": "txt",
            "body": {"msg": "testmessages"}, "users": (0..20).map(|n| format!("user{n}")).collect::<Vec<_>>()}),
        ),
        ("refused", Call::Group, json!({"to": ["a", "b", "c", "d"], "tpye": "txt", "body": {"msg": 5}})),
    ];
    let mut group = criterion.benchmark_group("check");
    for (name, call, message) in messages {
        group.bench_function(format!("{name}, value"), |bencher| {
            let checked = |message: Value| check(call, message, &limits).map(|message| message.to_json());
            bencher.iter_batched(|| message.clone(), checked, BatchSize::SmallInput);
        });
        let text = message.to_string();
        group.bench_function(format!("{name}, bytes"), |bencher| {
            bencher.iter(|| {
                let message = serde_json::from_str(black_box(&text)).unwrap_or_default();
                check(call, message, &limits).map(|message| message.to_json())
            });
        });
    }
    group.finish();
}
