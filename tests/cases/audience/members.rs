//! More examples of the kinds of faults in the neighbouring files. Each is a way in which a table goes wrong.

use super::{THREE, refused, sent};
use crate::support::Project;
use crate::support::service::Service;

const A: &str = "184524748161025";
const B: &str = "184524748161026";

#[test]
fn header_twice_but_for_case_blanks_or_signs_is_asked_about() {
    for name in ["Group_ID", "group id", "GROUPID", "ｇｒｏｕｐ_id"] {
        let content = format!("group_id,{name}\n{A},{B}\n");
        let says = ["line 1, column 2", "both seem to hold the ids", "id_column = \"group_id\""];
        refused("a.csv", &content, "", &says);
        sent("a.csv", &content, ", id_column = \"group_id\"", &THREE[..1]);
        sent("a.csv", &content, &format!(", id_column = \"{name}\""), &THREE[1..2]);
        let content = format!("[{{\"group_id\":\"{A}\",\"{name}\":\"{B}\"}}]");
        refused("a.json", &content, "", &["line 1", "both seem to hold the ids"]);
        sent("a.json", &content, ", id_column = \"group_id\"", &THREE[..1]);
    }
    let content = format!("{{\"group_id\":\"{A}\",\"group_id \":\"{B}\"}}\n");
    refused("a.jsonl", content, "", &["line 1, `group_id `", "both seem to hold the ids"]);
}

#[test]
fn header_that_stands_again_among_the_rows_is_no_recipient() {
    let content = "group_id,name\ng1,Ann\ngroup_id,name\ng2,Bob\n";
    refused("a.csv", content, "", &["line 3, column 1 (`group_id`)", "the header is repeated here"]);
    refused("a.csv", "群ID\n甲\n群ID \n乙\n", ", id_column = \"群ID\"", &["line 3", "is repeated here"]);
}

#[test]
fn header_that_goes_on_behind_an_odd_line_end_is_refused() {
    for (end, shown) in
        [("\u{85}", "U+0085"), ("\u{2028}", "U+2028"), ("\u{b}", "U+000B"), ("\u{c}", "U+000C")]
    {
        let content = ["group_id,name", "184524748161025,Ann", "184524748161026,Bob", ""].join(end);
        refused("a.csv", content, "", &["line 1, column 2", shown]);
        let content = ["group_id\n184524748161025", "184524748161026\n"].join(end);
        refused("a.csv", content, "", &["line 2, column 1 (`group_id`)", shown]);
    }
}

#[test]
fn users_by_another_name_do_not_make_it_a_message_to_the_whole_group() {
    for name in [
        "user",
        "User IDs",
        "userIds",
        "ｕｓｅｒｓ",
        "USERS",
        "用户",
        "群成员",
        "members",
        "member",
        "recipients",
        "收件人",
        "userlist",
        "用户列表",
        "username",
        "用户名",
        "账号",
        "account",
        "accounts",
        "uid",
        "会员",
    ] {
        refused(
            "a.csv",
            format!("group_id,{name}\n{A},ann\n"),
            "",
            &["line 1, column 2", "must be named `users`"],
        );
        let content = format!("[\n{{\"group_id\":\"{A}\",\"{name}\":[\"ann\"]}}]");
        refused("a.json", content, "", &["line 2", "must be named `users`"]);
    }
    // Columns that are similar to the users' column remain data.
    sent("a.csv", format!("group_id,member_count,customer\n{A},3,x\n"), "", &THREE[..1]);
    sent("a.csv", format!("group_id,users,User\n{A},ann,Ann\n"), "", &THREE[..1]);
}

#[test]
fn users_by_another_name_in_a_list_are_refused_too() {
    let run = |fields: &str| {
        let service = Service::accepting();
        let script = format!(
            "im.broadcast {{ name = 'b', to = {{ {{ group_id = '{A}', {fields} }} }}, message = {{ type = 'txt', body = {{ msg = 'm' }} }} }}"
        );
        (Project::with_script(script).run_against(&service), service.messages().len())
    };
    for fields in ["members = { 'ann' }", "user_ids = 'ann'", "recipients = {}"] {
        let (ran, sent) = run(fields);
        ran.exits(1).says("recipient 1").says("must be named `users`");
        assert_eq!(sent, 0, "{fields}");
    }
    for fields in ["members = 3", "name = 'ann'", "users = { 'ann' }, member = 'Ann'"] {
        let (ran, sent) = run(fields);
        ran.exits(0);
        assert_eq!(sent, 1, "{fields}");
    }
}

#[test]
fn scientific_is_not_the_only_way_in_which_a_spreadsheet_shortens_ids() {
    let content = "group_id\n184524748161025000\n184524748161026000\n";
    refused("a.csv", content, "", &["line 2: the id \"184524748161025000\"", "replaced the last ones"]);
    refused("a.json", "[1845247481610250000]", "", &["line 1", "end with zeros after 15 digits"]);
    sent("a.csv", content.replace("26000", "26001"), "", &["184524748161025000", "184524748161026001"]);
    sent("a.csv", "group_id\n1845247481610250\n", "", &["1845247481610250"]);
}

#[test]
fn a_separator_that_the_first_line_says_is_one_that_can_be() {
    sent("a.csv", format!("SEP=;\r\ngroup_id;name\r\n{A};a,b\r\n"), "", &THREE[..1]);
    sent("a.csv", format!("sep=|\ngroup_id|name\n{A}|a\n"), "", &THREE[..1]);
    for separator in ["\"", "4", "d"] {
        refused("a.csv", format!("sep={separator}\ngroup_id\n{A}\n"), "", &["line 1"]);
    }
}

#[test]
fn encodings_that_are_mixed_in_one_file_are_told_by_line() {
    let gbk = |text: &str| encoding_rs::GBK.encode(text).0.into_owned();
    let rows: Vec<String> =
        (0..60).map(|row| format!("{},跑步群上海\n", 184_524_748_161_100_u64 + row)).collect();
    let rows = rows.concat();
    let content = [gbk(&format!("group_id,name\n{rows}")), format!("{A},读书\n").into_bytes()].concat();
    refused("a.csv", content, "", &["line 62: the text here is UTF-8, and elsewhere it is not"]);
    let content = [format!("group_id,name\n{rows}").into_bytes(), gbk(&format!("{A},读书会\n"))].concat();
    refused("a.csv", content, "", &["line 62, character 17", "not UTF-8"]);
}

#[test]
fn encodings_that_are_not_read_or_not_certain_are_named() {
    let utf32: Vec<u8> =
        format!("group_id\n{A}\n").chars().flat_map(|letter| u32::from(letter).to_le_bytes()).collect();
    refused("a.csv", [b"\xff\xfe\0\0".to_vec(), utf32.clone()].concat(), "", &["UTF-32"]);
    refused("a.csv", utf32, "", &["UTF-32"]);
    let text = format!("group_id,name\n{A},ランニング同好会\n{B},東京読書会の皆さん\n");
    for encoding in [encoding_rs::SHIFT_JIS, encoding_rs::EUC_JP] {
        refused("a.csv", encoding.encode(&text).0, "", &["line 2, character 17", "encoding = \""]);
        let label = format!(", encoding = \"{}\"", encoding.name());
        sent("a.csv", encoding.encode(&text).0, &label, &THREE[..2]);
    }
    let text = format!("group_id,name\n{A},跑步群組\n{B},讀書會\n");
    refused("a.csv", encoding_rs::BIG5.encode(&text).0, "", &["line 2, character 17", "encoding = \""]);
    sent("a.csv", encoding_rs::BIG5.encode(&text).0, ", encoding = \"big5\"", &THREE[..2]);
    // A UTF-16 text that ends inside a unit, or has an unpaired surrogate.
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let odd = [b"\xff\xfe".to_vec(), utf16(&text), b"x".to_vec()].concat();
    refused("a.csv", odd, "", &["line 4, character 1: the bytes here are not UTF-16LE"]);
    let half =
        [b"\xff\xfe".to_vec(), utf16(&format!("group_id,name\n{A},")), b"\0\xd8\n\0".to_vec()].concat();
    refused("a.csv", half, "", &["line 2, character 17: the bytes here are not UTF-16LE"]);
}

#[test]
fn an_id_in_json_that_is_null_says_so() {
    refused("a.jsonl", "{\"group_id\":null}\n", "", &["line 1, `group_id`: it is null"]);
}
