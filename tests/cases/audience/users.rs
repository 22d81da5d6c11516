//! The users of a targeted broadcast.

use super::{broadcast, refused, sent};

#[test]
fn users_are_separated_by_either_semicolon_and_a_comma_is_asked_about() {
    let head = "group_id,users\n184524748161025,user1；user2\n";
    let (ran, service) = broadcast("a.csv", format!("{head}184524748161027, user1 ; user1\n"), "");
    ran.exits(0);
    let mut users: Vec<String> =
        service.messages().iter().map(|message| message["users"].to_string()).collect();
    users.sort();
    assert_eq!(users, ["[\"user1\",\"user2\"]", "[\"user1\"]"]);
    for (cell, comma) in [("\"user1,user2\"", "`,`"), ("user1，user2", "`，`"), ("user1、user2", "`、`")]
    {
        let content = format!("{head}184524748161026,{cell}\n");
        refused("a.csv", content, "", &["line 3, column 2 (`users`)", comma, "separated by `;`"]);
    }
    let content = "{\"group_id\":\"184524748161025\",\"users\":[\"a\",\"b,c\"]}\n";
    refused("a.jsonl", content, "", &["line 1", "users", "one user or several"]);
}

#[test]
fn users_that_name_nobody_do_not_make_it_a_message_to_the_whole_group() {
    refused(
        "a.jsonl",
        "{\"group_id\":\"184524748161025\",\"users\":[]}\n",
        "",
        &["line 1", "is an empty list"],
    );
    refused("a.csv", "group_id,users\n184524748161025,;\n", "", &["line 2", "names no user"]);
    refused("a.csv", "group_id,Users\n184524748161025,ann\n", "", &["line 1", "must be named `users`"]);
}

#[test]
fn users_that_are_null_or_blank_are_asked_about() {
    const A: &str = "184524748161025";
    let whole = "kind = \"group\"";
    for users in ["null", "\"\"", "\" \"", "[]"] {
        let item = format!("{{\"group_id\":\"{A}\",\"users\":{users}}}");
        for (name, content) in [("a.jsonl", format!("{item}\n")), ("a.json", format!("[{item}]"))] {
            refused(name, &content, "", &["line 1", "`users` is", whole]);
            sent(name, &content, &format!(", {whole}"), &[A]);
        }
    }
    for content in [format!("group_id,users\n{A},\n"), format!("group_id,users,name\n{A}, ,Ann\n")] {
        refused("a.csv", &content, "", &["line 2", "`users` is blank", whole]);
        sent("a.csv", &content, &format!(", {whole}"), &[A]);
    }
    // A word of a program is no user, and a float is none.
    refused("a.csv", format!("group_id,users\n{A},a;null\n"), "", &["line 2", "a program's word"]);
    refused(
        "a.jsonl",
        format!("{{\"group_id\":\"{A}\",\"users\":[1.38e10]}}\n"),
        "",
        &["line 1", "lost digits"],
    );
    refused(
        "a.jsonl",
        format!("{{\"group_id\":\"{A}\",\"users\":[-5]}}\n"),
        "",
        &["line 1", "as a program writes"],
    );
}
