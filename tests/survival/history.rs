//! The history files of the server.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::support::service::{Request, json as json_answer};

/// Answers a request for an hour's file, or for where it is.
pub(super) fn answer(request: &Request, messages: &[(i64, String, String, Value)]) -> Vec<u8> {
    if let Some(hour) = request.path.strip_prefix("/org/app/chatmessages/") {
        let host = request.header("host").unwrap_or_default();
        let url = format!("http://{host}/history/{hour}.gz");
        return json_answer(200, &json!({ "data": [{ "url": url }] }).to_string());
    }
    let Some(hour) = request.path.strip_prefix("/history/").and_then(|name| name.strip_suffix(".gz")) else {
        return json_answer(404, r#"{"error":"service_resource_not_found"}"#);
    };
    let file = file(hour, messages);
    let length = file.len();
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/gzip\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), &file].concat()
}

fn file(hour: &str, messages: &[(i64, String, String, Value)]) -> Vec<u8> {
    let start = jiff::civil::DateTime::strptime("%Y%m%d%H%M", format!("{hour}00")).unwrap();
    let start = start.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_millisecond();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    for (at, id, group, message) in messages {
        if !(start..start + 3_600_000).contains(at) {
            continue;
        }
        let mut body = message["body"].clone();
        body["type"] = message["type"].clone();
        let from = message["from"].as_str().unwrap_or("admin");
        let payload = json!({
            "bodies": [body], "ext": message.get("ext").cloned().unwrap_or_else(|| json!({})),
            "from": from, "to": group,
        });
        let line = json!({
            "msg_id": id, "timestamp": at, "direction": "outgoing", "chat_type": "groupchat",
            "from": "org#app_x", "to": "org#app_y@conference", "payload": payload,
        });
        writeln!(gzip, "{line}").unwrap();
    }
    gzip.finish().unwrap()
}
