//! Paged lists, and recalls.

use mooncast::{FailureClass, GroupRole, Member, Recall, RecallResult};

use super::server::{Request, Server, Step};
use super::{client, run};

fn query(request: &Request, name: &str) -> Option<String> {
    let query = request.target.split_once('?')?.1;
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, v)| v.into())
}

#[test]
fn groups_are_paged_by_the_cursor() {
    let server = Server::start(|request, _| {
        let body = match query(request, "cursor").as_deref() {
            None => {
                r#"{"data":[{"groupid":"1","groupname":"一","affiliations":3}],"count":1,"cursor":"a b&c"}"#
            }
            Some("a+b%26c") => r#"{"data":[],"count":0,"cursor":"d"}"#,
            Some("d") => r#"{"data":[{"groupid":"2","last_modified":"5"}],"count":1}"#,
            _ => panic!("{}", request.target),
        };
        Step::Answer(200, body.into())
    });
    let mut ids = Vec::new();
    run(async {
        let (client, mut cursor) = (client(&server.url), None);
        loop {
            let page = client.groups_page(cursor.as_deref(), 1000).await.unwrap();
            ids.extend(page.groups.into_iter().map(|group| group.group_id));
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
    });
    assert_eq!(ids, ["1", "2"]);
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(
        (requests[0].method.as_str(), requests[0].target.as_str()),
        ("GET", "/org/app/chatgroups?limit=1000")
    );
}

#[test]
fn a_page_that_failed_is_asked_for_again() {
    let server = Server::start(|_, before| match before {
        0 => Step::Answer(200, r#"{"data":[{"groupid":"1"}],"cursor":"x"}"#.into()),
        1 => Step::Reset,
        _ => Step::Answer(200, r#"{"data":[{"groupid":"2"}]}"#.into()),
    });
    run(async {
        let client = client(&server.url);
        let cursor = client.groups_page(None, 1000).await.unwrap().cursor;
        let next = || client.groups_page(cursor.as_deref(), 1000);
        assert_eq!(next().await.unwrap_err().class, FailureClass::Repeat);
        assert_eq!(next().await.unwrap().groups[0].group_id, "2");
    });
}

#[test]
fn a_cursor_that_leads_nowhere_ends_in_an_error() {
    let server = Server::start(|_, _| Step::Answer(200, r#"{"data":[],"cursor":"x"}"#.into()));
    run(async {
        let client = client(&server.url);
        let cursor = client.groups_page(None, 1000).await.unwrap().cursor;
        let next = client.groups_page(cursor.as_deref(), 1000).await;
        assert_eq!(next.unwrap_err().class, FailureClass::Permanent);
    });
}

/// A tenant with `total` members whose pages have at most `cap` entries.
fn members(total: usize, cap: usize) -> (Vec<Member>, usize) {
    let server = Server::start(move |request, _| {
        let number = |name| query(request, name).unwrap().parse::<usize>().unwrap();
        let size = number("pagesize").min(cap);
        let from = (number("pagenum") - 1) * size;
        let entries: Vec<String> = (from..total.min(from + size))
            .map(|i| format!(r#"{{"{}":"u{i}"}}"#, if i == 0 { "owner" } else { "member" }))
            .collect();
        let count = entries.len();
        Step::Answer(200, format!(r#"{{"data":[{}],"count":{count}}}"#, entries.join(",")))
    });
    let mut members = Vec::new();
    run(async {
        let client = client(&server.url);
        for pagenum in 1.. {
            let page = client.members_page("7/ü", pagenum, 1000).await.unwrap();
            members.extend(page.members);
            if page.last {
                break;
            }
        }
    });
    (members, server.count("/chatgroups/7%2F%C3%BC/users"))
}

#[test]
fn no_member_is_lost_where_the_tenant_cuts_its_pages() {
    for (total, cap, calls) in
        [(0, 1000, 1), (99, 1000, 1), (1000, 1000, 2), (2500, 1000, 4), (100, 100, 2), (250, 100, 3)]
    {
        let (members, asked) = members(total, cap);
        assert_eq!((members.len(), asked), (total, calls), "{total} by {cap}");
        if let Some(first) = members.first() {
            assert_eq!((first.user_id.as_str(), first.role), ("u0", GroupRole::Owner));
        }
        assert!(members.iter().enumerate().all(|(i, member)| member.user_id == format!("u{i}")));
    }
}

#[test]
fn an_id_that_no_path_can_hold_is_refused_without_a_call() {
    let server = Server::start(|_, _| Step::ok());
    for id in ["", ".", ".."] {
        let failure = run(client(&server.url).members_page(id, 1, 10)).unwrap_err();
        assert_eq!(failure.class, FailureClass::Permanent);
    }
    assert_eq!(server.requests().len(), 0);
}

fn recall(id: &str) -> Recall {
    Recall {
        msg_id: id.into(),
        to: "9".into(),
        call: mooncast::Call::Group,
        from: None,
        force: false,
        note: None,
    }
}

#[test]
fn messages_are_recalled_thirty_at_most() {
    let server = Server::start(|_, _| {
        let body =
            r#"{"data":[{"msg_id":"1","recalled":"yes","to":"9"},{"msg_id":2,"recalled":"not_found msg"}]}"#;
        Step::Answer(200, body.into())
    });
    let client = client(&server.url);
    run(async {
        assert_eq!(client.recall(&[]).await, Ok(Vec::new()));
        let many: Vec<Recall> = (0..31).map(|i| recall(&i.to_string())).collect();
        assert_eq!(client.recall(&many).await.unwrap_err().class, FailureClass::Permanent);
        assert_eq!(server.requests().len(), 0);

        let forced = Recall { from: Some("me".into()), force: true, ..recall("2") };
        let recalled = client.recall(&[recall("1"), forced]).await.unwrap();
        let one = RecallResult { msg_id: "1".into(), recalled: true, note: String::new() };
        let two = RecallResult { msg_id: "2".into(), recalled: false, note: "not_found msg".into() };
        assert_eq!(recalled, [one, two]);
        client.recall(&many[..30]).await.unwrap();
    });
    let request = &server.requests()[0];
    assert_eq!(request.target, "/org/app/messages/batch_recall");
    let body = r#"{"msgs":[{"msg_id":"1","to":"9","chat_type":"groupchat","force":false},{"msg_id":"2","to":"9","from":"me","chat_type":"groupchat","force":true}]}"#;
    assert_eq!(String::from_utf8_lossy(&request.body), body);
}
