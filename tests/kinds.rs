//! Messages to users and to rooms: from Lua to the service, in the ledger, within their quotas.
//!
//! On a server: in the soak

use serde_json::{Value, json};

use crate::support::Project;
use crate::support::service::{Service, json as answer};

#[test]
fn a_user_message_and_a_room_message_arrive_as_the_service_documents_them() {
    let service = Service::accepting();
    Project::with_script(
        r#"
        local sent = im.user_send {
            from = "user1", to = { "user2", "user3" }, type = "txt", body = { msg = "hi" }, ext = { a = 1 },
            roam_ignore_users = { "user4" }, routetype = "ROUTE_ONLINE", sync_device = true,
        }
        print(sent.user2 ~= nil, sent.user3 ~= nil)
        sent = im.room_send {
            to = 185145305923585, type = "custom", body = { customEvent = "gift" },
            chatroom_msg_level = "high", sync_device = false,
        }
        print(sent["185145305923585"] ~= nil)
        "#,
    )
    .run_against(&service)
    .exits(0)
    .prints("true\ttrue\ntrue\n")
    .says("sent to 3 recipients");
    let requests = service.requests();
    let sent: Vec<(&str, Value)> =
        requests.iter().map(|request| (request.path.as_str(), request.json())).collect();
    assert_eq!(
        sent,
        [
            (
                "/org/app/messages/users",
                json!({
                    "from": "user1", "to": ["user2", "user3"], "type": "txt", "body": { "msg": "hi" },
                    "ext": { "a": 1 }, "roam_ignore_users": ["user4"], "routetype": "ROUTE_ONLINE",
                    "sync_device": true,
                }),
            ),
            (
                "/org/app/messages/chatrooms",
                json!({
                    "to": ["185145305923585"], "type": "custom", "body": { "customEvent": "gift" },
                    "sync_device": false, "chatroom_msg_level": "high",
                }),
            ),
        ]
    );
}

#[test]
fn the_most_recipients_of_a_call_are_600_users_and_10_rooms() {
    let service = Service::accepting();
    Project::with_script(
        r#"
        local function ids(many) local to = {} for i = 1, many do to[i] = "id" .. i end return to end
        local function message(many) return { to = ids(many), type = "txt", body = { msg = "x" } } end
        print(select(2, pcall(im.user_send, message(601))).message)
        print(select(2, pcall(im.room_send, message(11))).message)
        local ok, problems = im.check(message(11), "room")
        print(ok, problems[1].field)
        print(im.check(message(600), "user"), im.check(message(10), "room"))
        im.user_send(message(600))
        im.room_send(message(10))
        "#,
    )
    .run_against(&service)
    .exits(0)
    .prints("`to` has 601 users; a user message goes to at most 600 users in one call")
    .prints("`to` has 11 rooms; a room message goes to at most 10 rooms in one call")
    .prints("nil\tto\ntrue\ttrue\n");
    let sent: Vec<usize> =
        service.requests().iter().map(|sent| sent.json()["to"].as_array().unwrap().len()).collect();
    assert_eq!(sent, [600, 10]);
}

#[test]
fn a_user_send_in_doubt_is_in_the_ledger_and_is_not_sent_again() {
    let service = Service::answering(|_, _| answer(500, "{}"));
    let project = Project::with_script(
        r#"for _ = 1, 2 do
          local ok, e = pcall(im.user_send, { to = "ann", type = "txt", body = { msg = "x" } }, { once = "k" })
          print(ok, e.kind)
        end"#,
    );
    project.run_against(&service).exits(3).prints("false\tin_doubt\nfalse\tin_doubt\n");
    assert_eq!(service.requests().len(), 1);
    assert_eq!(project.in_store("SELECT count(*) FROM sends WHERE recipients LIKE '%\"kind\":\"user\"%'"), 1);
    project.run_against(&service).exits(3);
    assert_eq!(service.requests().len(), 1);
}

#[test]
fn a_rehearsal_takes_the_time_of_the_quota_of_a_minute() {
    // 1,300 messages at 600 a minute take a bit over two minutes of the rehearsal's clock.
    let project = Project::with_script(
        r#"
        local function ids(many) local to = {} for i = 1, many do to[i] = "u" .. i end return to end
        for _ = 1, 13 do im.user_send { to = ids(100), type = "txt", body = { msg = "x" } } end
        "#,
    )
    .file("mooncast.toml", "[app.limits]\nuser_messages_per_minute = 600\n");
    let report = project.mooncast(&["rehearse", "--json", "scripts/main.lua"]).exits(0);
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(report["totals"]["messages"], 1300);
    assert_eq!(report["totals"]["calls"], 13);
    assert_eq!(report["apps"][0]["user_messages"], 1300);
    assert_eq!(report["duration"]["at_quota"], 130.0);
    let rehearsed = report["duration"]["rehearsed"].as_f64().unwrap();
    assert!((110.0..=140.0).contains(&rehearsed), "{rehearsed}");
    project.mooncast(&["rehearse", "scripts/main.lua"]).exits(0).prints("600 user messages a minute");
}

/// Returns the messages that arrived, of all kinds.
fn messages(service: &Service) -> Vec<Value> {
    service.requests().iter().map(crate::support::service::Request::json).collect()
}

/// Returns how many recipients each call to `path` had.
fn packs(service: &Service, path: &str) -> Vec<usize> {
    let calls = service.requests().into_iter().filter(|request| request.path.ends_with(path));
    let mut packs: Vec<usize> = calls.map(|call| call.json()["to"].as_array().map_or(0, Vec::len)).collect();
    packs.sort_unstable();
    packs
}

#[test]
fn a_broadcast_to_the_users_of_a_file_is_packed_and_exported_by_user() {
    let service = Service::accepting();
    let project = Project::with_script(
        r#"
        local report = im.broadcast {
          name = "news", kind = "user", to = "users.csv", pack = 600,
          message = { type = "txt", body = { msg = "hi" } },
        }
        print(report.sent, report.duplicates)
        "#,
    );
    let rows = (0..1500).map(|number| format!("u{number},Name {number}\n")).collect::<Vec<_>>().concat();
    project.write("users.csv", format!("user_id,name\n{rows}u7,again\n"));
    let ran = project.run_against(&service).exits(0).prints("1500\t1\n");
    ran.says("sent to 1500 users");
    // The hosts of a fleet claim 1,000 recipients at a time: 600 and 400, then 500.
    let packs = packs(&service, "/messages/users");
    assert!(packs == [300, 600, 600] || packs == [400, 500, 600], "{packs:?}");
    let export = project.mooncast(&["runs", "export", "news", "--plain"]).exits(0).stdout;
    assert!(export.starts_with("seq,user_id,users,state,"), "{export}");
    assert!(export.contains("\n1,u0,,sent,"), "{export}");
    let lines = project.mooncast(&["runs", "export", "news", "--format", "jsonl"]).exits(0).stdout;
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!((&first["user_id"], first.get("group_id")), (&json!("u0"), None));
    // The same again sends nothing.
    project.run_against(&service).exits(0);
    assert_eq!(service.requests().len(), 3);
}

#[test]
fn without_pack_each_user_has_a_call_and_rooms_are_packed_by_ten() {
    let service = Service::accepting();
    Project::with_script(
        r#"
        local to = {}
        for number = 1, 25 do to[number] = { room_id = "r" .. number, title = "T" .. number } end
        im.broadcast {
          name = "rooms", kind = "room", to = to, pack = 10,
          message = { type = "txt", body = { msg = "hi" }, chatroom_msg_level = "low" },
        }
        im.broadcast {
          name = "users", kind = "user", to = { "ann", { user_id = "ben", name = "Ben" } },
          message = function(user)
            return { type = "txt", body = { msg = type(user) == "table" and user.name or user } }
          end,
        }
        "#,
    )
    .run_against(&service)
    .exits(0)
    .says("sent to 27 recipients");
    assert_eq!(packs(&service, "/messages/chatrooms"), [5, 10, 10]);
    assert_eq!(packs(&service, "/messages/users"), [1, 1]);
    let texts: Vec<Value> =
        messages(&service).into_iter().map(|message| message["body"]["msg"].clone()).collect();
    assert!(texts.contains(&json!("Ben")) && texts.contains(&json!("ann")), "{texts:?}");
}

#[test]
fn what_can_be_read_as_other_recipients_is_refused() {
    let service = Service::accepting();
    let message = "message = { type = 'txt', body = { msg = 'x' } }";
    let refused = |spec: &str, file: &str, says: &str| {
        let project = Project::with_script(format!("im.broadcast {{ name = 'news', {spec}, {message} }}"));
        project.write("to.csv", file);
        project.run_against(&service).exits(1).says(says);
    };
    refused("kind = 'user', to = 'to.csv'", "group_id,user_id\n1,ann\n", "id_column = \"user_id\"");
    refused("kind = 'user', to = 'to.csv'", "group_id,name\n1,ann\n", "`user_id`");
    refused("kind = 'user', to = 'to.csv'", "user_id,users\nann,ben\n", "id_column = \"user_id\"");
    refused("kind = 'room', to = 'to.csv'", "user_id,room_id\nann,1\n", "id_column = \"room_id\"");
    refused("kind = 'user', to = { { user_id = 'ann', group_id = '1' } }", "", "`group_id`");
    refused("kind = 'user', to = { { user_id = 'ann', users = { 'ben' } } }", "", "`users`");
    refused("kind = 'group', to = { { group_id = '1', users = { 'ben' } } }", "", "`kind` is \"group\"");
    refused("kind = 'targeted', to = { '1' }", "", "`kind` is \"targeted\"");
    refused("kind = 'users', to = { '1' }", "", "did you mean \"user\"?");
    refused("kind = 'user', pack = 601, to = { '1' }", "", "`pack` must be 1 to 600, not 601");
    refused("pack = 4, to = { '1' }", "", "`pack` must be 1 to 3, not 4");
    assert!(service.requests().is_empty());
    let project = Project::with_script(format!(
        "im.broadcast {{ name = 'news', kind = 'user', id_column = 'user_id', to = 'to.csv', {message} }}"
    ));
    project.write("to.csv", "group_id,user_id\n1,ann\n");
    project.run_against(&service).exits(0);
    assert_eq!(messages(&service)[0]["to"], json!(["ann"]));
    // The plan for users is not continued as one for groups.
    project
        .write("scripts/main.lua", format!("im.broadcast {{ name = 'news', to = {{ 'ann' }}, {message} }}"));
    project.run_against(&service).exits(1).says("was planned for users");
    let exclude = "exclude = { broadcast = 'news' }";
    project.write(
        "scripts/main.lua",
        format!("im.broadcast {{ name = 'other', to = {{ 'ann' }}, {exclude}, {message} }}"),
    );
    project.run_against(&service).exits(1).says("goes to users, and this one goes to groups");
    assert_eq!(messages(&service).len(), 1);
}

#[test]
fn a_doubt_of_a_packed_call_is_a_doubt_of_all_its_users() {
    let service = Service::answering(|_, _| answer(502, "{}"));
    let project = Project::with_script(
        r#"
        local to = {}
        for number = 1, 40 do to[number] = "u" .. number end
        local report = im.broadcast {
          name = "news", kind = "user", to = to, pack = 40,
          message = { type = "txt", body = { msg = "hi" } },
        }
        print(report.in_doubt)
        "#,
    );
    project.run_against(&service).exits(3).prints("40\n");
    assert_eq!(messages(&service).len(), 1);
    project.run_against(&service).exits(3);
    assert_eq!(messages(&service).len(), 1);
}

#[test]
fn a_plan_for_users_is_not_one_for_groups() {
    let project = Project::with_script("");
    let hash = |kind: &str| {
        project.write(
            "scripts/main.lua",
            format!(
                "im.broadcast {{ name = 'news', {kind} to = {{ '7' }}, message = {{ type = 'txt', body = {{ msg = 'x' }} }} }}"
            ),
        );
        let report = project.mooncast(&["rehearse", "--json", "scripts/main.lua"]).exits(0).stdout;
        let report: Value = serde_json::from_str(&report).unwrap();
        report["broadcasts"][0]["hash"].as_str().unwrap().to_owned()
    };
    let plain = hash("");
    assert_eq!(hash("kind = 'group',"), plain);
    assert_ne!(hash("kind = 'user',"), plain);
    assert_ne!(hash("kind = 'room',"), hash("kind = 'user',"));
}

#[test]
fn a_recall_that_finds_no_message_says_that_users_and_rooms_need_their_kind() {
    let service = Service::answering(|count, request| {
        if !request.path.ends_with("/messages/batch_recall") {
            return crate::support::service::accept(count, request);
        }
        let refusal = json!({ "error": "message_recall_error", "error_description": "not_found msg" });
        answer(403, &refusal.to_string())
    });
    let project = Project::with_script(
        r#"
        local user = im.user_send { to = "ann", type = "txt", body = { msg = "hi" } }
        print(select(2, pcall(im.recall, user)))
        print(select(2, pcall(im.recall, user, { kind = "user" })))
        "#,
    );
    let ran = project.run_against(&service).exits(0).prints("`{ kind = \"user\" }` or `{ kind = \"room\" }`");
    assert_eq!(ran.stdout.matches("kind = ").count(), 2, "{ran:?}");
}

#[test]
fn recalls_and_edits_name_the_kind_of_their_messages() {
    let service =
        Service::answering(|count, request| {
            if request.path.ends_with("/messages/batch_recall") {
                let asked = request.json();
                let recalled: Vec<Value> = asked["msgs"].as_array().unwrap().iter()
                .map(|message| json!({ "msg_id": message["msg_id"], "recalled": "yes", "to": message["to"] }))
                .collect();
                return answer(200, &json!({ "data": recalled }).to_string());
            }
            if request.path.contains("/messages/rewrite/") {
                return answer(200, "{\"data\": \"success\"}");
            }
            crate::support::service::accept(count, request)
        });
    let project = Project::with_script(
        r#"
        local text = { type = "txt", body = { msg = "hi" } }
        im.broadcast { name = "news", kind = "user", to = { "ann", "ben" }, pack = 2, message = text }
        local edited = im.edit({ broadcast = "news" }, function(user, message)
          return { body = { msg = message.body.msg .. " " .. user.user_id } }
        end)
        print(edited.sent)
        print(im.recall({ broadcast = "news" }).recalled)
        local room = im.room_send { to = "r1", type = "txt", body = { msg = "hi" } }
        print(im.edit(room, { body = { msg = "new" } }).edited)
        print(im.recall(room, { kind = "room" }).recalled)
        local user = im.user_send { to = "ann", type = "txt", body = { msg = "hi" } }
        print(im.recall(user, { kind = "user" }).recalled)
        print(select(2, pcall(im.recall, user, { kind = "users" })).field)
        print(select(2, pcall(im.recall, { broadcast = "news" }, { kind = "user" })).field)
        "#,
    );
    project.run_against(&service).exits(0).prints("2\n2\n1\n1\n1\nkind\noptions.kind\n");
    let recalls: Vec<Value> = service
        .requests()
        .iter()
        .filter(|request| request.path.ends_with("/messages/batch_recall"))
        .flat_map(|request| request.json()["msgs"].as_array().unwrap().clone())
        .map(|message| json!([message["to"], message["chat_type"]]))
        .collect();
    assert_eq!(
        recalls,
        [json!(["ann", "chat"]), json!(["ben", "chat"]), json!(["r1", "chatroom"]), json!(["ann", "chat"])]
    );
    let edits: Vec<Value> = service
        .requests()
        .iter()
        .filter(|request| request.path.contains("/messages/rewrite/"))
        .map(|request| request.json()["new_msg"]["msg"].clone())
        .collect();
    assert_eq!(edits.len(), 3);
    assert!(edits.contains(&json!("hi ann")) && edits.contains(&json!("hi ben")), "{edits:?}");
    let export = project.mooncast(&["runs", "export", "news.edit", "--plain"]).exits(0).stdout;
    assert!(export.starts_with("seq,user_id,"), "{export}");
}

#[test]
fn a_campaign_to_users_is_tested_with_users() {
    let service = Service::accepting();
    Project::with_script(
        r#"
        require("campaign").run {
          name = "spring", kind = "user", to = { { user_id = "ann", name = "Ann" } },
          text = "Hello {{ name }}", test = { "tester" }, test_as = { name = "Tester" },
        }
        "#,
    )
    .run_against(&service)
    .exits(0)
    .prints("tested in 1 user");
    let sent: Vec<Value> =
        messages(&service).iter().map(|message| json!([message["to"], message["body"]["msg"]])).collect();
    assert_eq!(sent, [json!([["tester"], "Hello Tester"]), json!([["ann"], "Hello Ann"])]);
    assert!(service.requests().iter().all(|request| request.path == "/org/app/messages/users"));
}
