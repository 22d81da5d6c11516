//! Each type of message, written in Lua, arrives as exactly the JSON of the service's page.
//!
//! On a server: in the soak

use serde_json::{Value, json};

use crate::support::Project;
use crate::support::service::Service;

/// Runs `send` and returns what arrived: one request, as JSON.
#[track_caller]
fn arrives(send: &str) -> (String, Value) {
    let service = Service::accepting();
    Project::with_script(send).run_against(&service).exits(0);
    let requests = service.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert_eq!(requests[0].method, "POST");
    assert_eq!(requests[0].header("authorization"), Some("Bearer a-fixed-token"));
    assert_eq!(requests[0].header("content-type"), Some("application/json"));
    assert_eq!(requests[0].header("accept"), Some("application/json"));
    (requests[0].path.clone(), requests[0].json())
}

#[track_caller]
fn group_message(send: &str, expected: Value) {
    assert_eq!(arrives(send), ("/org/app/messages/chatgroups".to_owned(), expected));
}

#[test]
fn text() {
    group_message(
        r#"im.group_send {
            from = "user1", to = { "184524748161025" }, type = "txt", need_group_ack = false,
            body = { msg = "testmessages" }, roam_ignore_users = {}, ext = { em_ignore_notification = true },
        }"#,
        json!({
            "from": "user1", "to": ["184524748161025"], "type": "txt", "need_group_ack": false,
            "body": { "msg": "testmessages" }, "roam_ignore_users": [], "ext": { "em_ignore_notification": true },
        }),
    );
}

#[test]
fn text_to_those_online() {
    group_message(
        r#"im.group_send {
            from = "user1", to = 184524748161025, type = "txt", need_group_ack = false,
            body = { msg = "testmessages" }, ext = { em_ignore_notification = true }, routetype = "ROUTE_ONLINE",
        }"#,
        json!({
            "from": "user1", "to": ["184524748161025"], "type": "txt", "need_group_ack": false,
            "body": { "msg": "testmessages" }, "ext": { "em_ignore_notification": true },
            "routetype": "ROUTE_ONLINE",
        }),
    );
}

#[test]
fn image() {
    group_message(
        r#"im.group_send {
            from = "user1", to = { "184524748161025" }, type = "img",
            body = {
                filename = "testimg.jpg", secret = "VfXXXXNb_",
                url = "https://XXXX/XXXX/XXXX/chatfiles/55f12940-XXXX-XXXX-8a5b-ff2336f03252",
                size = { width = 480, height = 1440 / 2 },
            },
        }"#,
        json!({
            "from": "user1", "to": ["184524748161025"], "type": "img",
            "body": {
                "filename": "testimg.jpg", "secret": "VfXXXXNb_",
                "url": "https://XXXX/XXXX/XXXX/chatfiles/55f12940-XXXX-XXXX-8a5b-ff2336f03252",
                "size": { "width": 480, "height": 720 },
            },
        }),
    );
}

#[test]
fn audio() {
    let expected = json!({
        "from": "user1", "to": ["184524748161025"], "type": "audio",
        "body": {
            "url": "https://XXXX/XXXX/XXXX/chatfiles/1dfc7f50-XXXX-XXXX-8a07-7d75b8fb3d42",
            "filename": "testaudio.amr", "length": 10, "secret": "HfXXXXCjM",
        },
    });
    for length in ["length", "Length"] {
        group_message(
            &r#"im.group_send {
                from = "user1", to = { "184524748161025" }, type = "audio",
                body = {
                    url = "https://XXXX/XXXX/XXXX/chatfiles/1dfc7f50-XXXX-XXXX-8a07-7d75b8fb3d42",
                    filename = "testaudio.amr", LENGTH = 10, secret = "HfXXXXCjM",
                },
            }"#
            .replace("LENGTH", length),
            expected.clone(),
        );
    }
}

#[test]
fn video() {
    group_message(
        r#"im.group_send {
            from = "user1", to = { "184524748161025" }, type = "video",
            body = {
                filename = "test.avi", length = 0, secret = "VfXXXXNb_", file_length = 58103, thumb_secret = "ZyXXXX2I",
                thumb = "https://XXXX/XXXX/XXXX/chatfiles/67279b20-7f69-11e4-8eee-21d3334b3a97",
                url = "https://XXXX/XXXX/XXXX/chatfiles/671dfe30-XXXX-XXXX-ba67-8fef0d502f46",
            },
        }"#,
        json!({
            "from": "user1", "to": ["184524748161025"], "type": "video",
            "body": {
                "filename": "test.avi", "length": 0, "secret": "VfXXXXNb_", "file_length": 58103,
                "thumb_secret": "ZyXXXX2I",
                "thumb": "https://XXXX/XXXX/XXXX/chatfiles/67279b20-7f69-11e4-8eee-21d3334b3a97",
                "url": "https://XXXX/XXXX/XXXX/chatfiles/671dfe30-XXXX-XXXX-ba67-8fef0d502f46",
            },
        }),
    );
}

#[test]
fn file() {
    group_message(
        r#"im.group_send {
            from = "user1", to = { "184524748161025" }, type = "file",
            body = { filename = "test.txt", secret = "1-g0XXXXua", url = "https://XXXX/XXXX/XXXX/chatfiles/d7eXXXX7444" },
        }"#,
        json!({
            "from": "user1", "to": ["184524748161025"], "type": "file",
            "body": {
                "filename": "test.txt", "secret": "1-g0XXXXua",
                "url": "https://XXXX/XXXX/XXXX/chatfiles/d7eXXXX7444",
            },
        }),
    );
}

#[test]
fn location() {
    group_message(
        r#"im.group_send {
            from = "user1", to = { "184524748161025" }, type = "loc",
            body = { lat = 39.966, lng = "116.322", addr = "中国北京市海淀区中关村" },
        }"#,
        json!({
            "from": "user1", "to": ["184524748161025"], "type": "loc",
            "body": { "lat": "39.966", "lng": "116.322", "addr": "中国北京市海淀区中关村" },
        }),
    );
}

#[test]
fn command() {
    group_message(
        r#"im.group_send { from = "user1", to = { "184524748161025" }, type = "cmd", body = { action = "action1" } }"#,
        json!({ "from": "user1", "to": ["184524748161025"], "type": "cmd", "body": { "action": "action1" } }),
    );
}

#[test]
fn custom() {
    group_message(
        r#"im.group_send {
            from = "user1", to = { "184524748161025" }, type = "custom",
            body = { customEvent = "custom_event", customExts = { ext_key1 = "ext_value1" } },
        }"#,
        json!({
            "from": "user1", "to": ["184524748161025"], "type": "custom",
            "body": { "customEvent": "custom_event", "customExts": { "ext_key1": "ext_value1" } },
        }),
    );
}

#[test]
fn targeted() {
    let (path, message) = arrives(
        r#"im.targeted_send {
            from = "user1", to = { "184524748161025" }, type = "txt", body = { msg = "testmessages" },
            ext = { em_ignore_notification = true }, users = { "user2", "user3" },
        }"#,
    );
    assert_eq!(path, "/org/app/messages/chatgroups/users");
    assert_eq!(
        message,
        json!({
            "from": "user1", "to": ["184524748161025"], "type": "txt", "body": { "msg": "testmessages" },
            "ext": { "em_ignore_notification": true }, "users": ["user2", "user3"],
        })
    );
}

#[test]
fn empty_tables_are_what_their_fields_are_and_elsewhere_what_the_script_says() {
    group_message(
        r#"local json = require("json")
        im.group_send {
            to = "1", type = "custom", roam_ignore_users = {},
            body = { customEvent = "e", customExts = {} },
            ext = { list = json.array {}, object = json.object {}, nothing = json.null, some = json.array { 1 } },
        }"#,
        json!({
            "to": ["1"], "type": "custom", "roam_ignore_users": [],
            "body": { "customEvent": "e", "customExts": {} },
            "ext": { "list": [], "object": {}, "nothing": null, "some": [1] },
        }),
    );
}

#[test]
fn receipts_are_the_services_answer() {
    let service = Service::accepting();
    Project::with_script(
        r#"local receipts = im.group_send { to = { "1", "2", "3" }, type = "txt", body = { msg = "x" } }
        for _, id in ipairs { "1", "2", "3" } do print(id, receipts[id]) end
        assert(next(im.targeted_send { to = "9", type = "txt", body = { msg = "x" }, users = { "u" } }) == "9")"#,
    )
    .run_against(&service)
    .exits(0)
    .prints("1\t1029544257947000000\n2\t1029544257947000001\n3\t1029544257947000002\n")
    .says("sent to 4 groups");
}

#[test]
fn a_send_completes_once_wherever_it_is_called() {
    let service = Service::accepting();
    Project::with_script(
        r##"
        local task = require("task")
        local function send(id)
          return im.group_send { to = id, type = "txt", body = { msg = "x" } }[tostring(id)]
        end
        local inside = coroutine.wrap(function()
          coroutine.yield(send("wrap"))
          local deeper = coroutine.create(function(...) return select("#", ...), send("deeper") end)
          local ok, count, receipt = coroutine.resume(deeper, nil, nil)
          assert(ok and count == 2 and receipt and coroutine.status(deeper) == "dead")
          return "end"
        end)
        assert(inside() and inside() == "end")
        assert((("abc"):gsub("b", function() return send("gsub") end)):match("^a%d+c$"))
        local list = { 2, 1 }
        table.sort(list, function(a, b) send("sort") return a < b end)
        assert(list[1] == 1)
        assert(tostring(setmetatable({}, { __tostring = function() return send("tostring") end })):match("^%d+$"))
        assert(pcall(send, "pcall"))
        assert(xpcall(send, print, "xpcall"))
        assert(not xpcall(error, function() send("handler") end))
        do local closing <close> = setmetatable({}, { __close = function() send("close") end }) end
        assert(setmetatable({}, { __index = function(_, key) return send(key) end }).index)
        for _ in function() if not Done then Done = send("iterator") return 1 end end do end
        assert(load(function() if not Read then Read = send("reader") return "return 1" end end))
        local results = task.all { function() return send("task") end, function() return (("x"):gsub("x", function() return send("both") end)) end }
        assert(#results == 2)
        "##,
    )
    .run_against(&service)
    .exits(0);
    let mut groups: Vec<String> =
        service.messages().iter().map(|message| message["to"][0].as_str().unwrap().to_owned()).collect();
    groups.sort();
    let mut expected = vec![
        "both", "close", "deeper", "gsub", "handler", "index", "iterator", "pcall", "reader", "sort", "task",
        "tostring", "wrap", "xpcall",
    ];
    expected.sort_unstable();
    assert_eq!(groups, expected);
}

#[test]
fn a_mark_counts_to_the_size_of_a_single_message_and_is_not_part_of_its_key() {
    let service = Service::accepting();
    // 5,120 bytes without the mark, and with one of 24 bytes.
    let send = r#"
        local function send(bytes, ext, once)
          local message = { to = "1", type = "txt", body = { msg = ("x"):rep(bytes) }, ext = ext }
          local ok, error = pcall(im.group_send, message, { once = once })
          print(ok, ok or error.problems[1].field, ok or error.message)
        end
        local without, with = #'{"msg":""}', #'{"msg":""}{"mooncast":""}' + 24
        send(5120 - without)
        send(5121 - with)
        send(5120 - with)
        send(1, { mooncast = "mine" })
        for _ = 1, 2 do send(1, { a = 1 }, "key") end
    "#;
    let project = Project::with_script(send).file("mooncast.toml", "[app]\nmark = true\n");
    let ran = project.run_against(&service).exits(0);
    let told: Vec<_> = ran.stdout.lines().map(|line| line.split('\t').collect::<Vec<_>>()).collect();
    let is_ok: Vec<_> = told.iter().map(|line| line[0]).collect();
    assert_eq!(is_ok, ["false", "false", "true", "false", "true", "true"], "{told:?}");
    assert!(told[1][2].contains("5121") || told[1][2].contains("5,121"), "{told:?}");
    assert!(told[3][1] == "ext.mooncast" && told[3][2].contains("mark = false"), "{told:?}");
    let messages = service.messages();
    let marks: Vec<_> = messages.iter().map(|message| message["ext"]["mooncast"].as_str().unwrap()).collect();
    assert!(marks.len() == 2 && marks[0] != marks[1], "the key sends once: {messages:?}");
    assert_eq!(messages[1]["ext"]["a"], 1);
}

#[test]
fn newer_fields_arrive_and_those_that_the_settings_name_too() {
    group_message(
        r#"im.group_send {
            to = "1", type = "cmd", env = "prod", sync_device = true, body = { action = "a", param = { key = 1 } },
        }"#,
        json!({
            "to": ["1"], "type": "cmd", "env": "prod", "sync_device": true,
            "body": { "action": "a", "param": { "key": 1 } },
        }),
    );
    let send =
        r#"im.group_send { to = "1", type = "txt", newest = { 1 }, body = { msg = "m", lang = "de" } }"#;
    let service = Service::accepting();
    let project = Project::with_script(send);
    project.run_against(&service).exits(1).says("name it in `extra_fields` of [app]");
    let check = |project: &Project| project.mooncast(&["check", "scripts/main.lua"]);
    check(&project)
        .exits(1)
        .prints("name it in `extra_fields` of [app]")
        .prints("name it in `body_fields` of [app]");
    // A question ends before the advice begins.
    let advice = "did you mean `body`? If the service has it by now, name it in `extra_fields` of [app]";
    let typo = Project::with_script(send.replace("body =", "bdy ="));
    check(&typo).exits(1).prints(advice);
    typo.run_against(&service).exits(1).says(advice);
    assert!(service.requests().is_empty());
    project.write("mooncast.toml", "[app]\nextra_fields = [\"newest\"]\nbody_fields = [\"lang\"]\n");
    check(&project).exits(0);
    project.run_against(&service).exits(0);
    let expected = json!({ "to": ["1"], "type": "txt", "newest": [1], "body": { "msg": "m", "lang": "de" } });
    assert_eq!(service.messages(), [expected]);
    // Recipients are not among them.
    project.write("mooncast.toml", "[app]\nextra_fields = [\"users\"]\n");
    project.write(
        "scripts/main.lua",
        r#"im.group_send { to = "1", type = "txt", users = { "u" }, body = { msg = "m" } }"#,
    );
    project.run_against(&service).exits(1).says("im.targeted_send");
    project.write("mooncast.toml", "[app]\nextra_fields = [\"a b\"]\n");
    project.run_against(&service).exits(2).says("[app] extra_fields: `a b` is not the name of a field");
    assert_eq!(service.messages().len(), 1);
}
