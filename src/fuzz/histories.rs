//! History files: gzip, and a JSON object a line.

use std::io::{BufReader, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::records::{HistoryEnd, HistoryReader};

use super::{FuzzTarget, fuzz};

#[test]
fn no_input_breaks_it() {
    fuzz(&FuzzTarget { name: "histories", seeds, words: WORDS, cases: 6000, read });
}

const WORDS: &[&str] = &[
    "\"msg_id\"",
    "\"timestamp\"",
    "\"direction\"",
    "\"outgoing\"",
    "\"incoming\"",
    "\"chat_type\"",
    "\"groupchat\"",
    "\"chatroom\"",
    "\"chat\"",
    "\"from\"",
    "\"to\"",
    "\"payload\"",
    "\"bodies\"",
    "\"ext\"",
    "\"type\"",
    "\"txt\"",
    "\"audio\"",
    "\"video\"",
    "\"loc\"",
    "\"cmd\"",
    "\"customExts\"",
    "\n",
    "{}",
    "null",
];

/// What begins as gzip is read as it is; any other input is compressed first.
const GZIP: &[u8] = b"\x1f\x8b";

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn seeds() -> Vec<Vec<u8>> {
    let line = |id: &str, body: &str| {
        format!(
            r#"{{"msg_id":"{id}","timestamp":1796000000000,"direction":"outgoing","chat_type":"groupchat","from":"internal","to":"x","payload":{{"bodies":[{body}],"ext":{{"k":1}},"from":"admin","to":"g1"}}}}"#
        ) + "\n"
    };
    let bodies = [
        r#"{"type":"txt","msg":"hi"}"#,
        r#"{"type":"loc","lat":39.966,"lng":"116.322","addr":"中国"}"#,
        r#"{"type":"audio","url":"https://a/b/c/chatfiles/1dfc7f50-55c6-11e4-8a07-7d75b8fb3d42","filename":"a.amr","length":10,"secret":"s"}"#,
        r#"{"type":"custom","customEvent":"e","customExts":{"k":"v"}}"#,
        r#"{"type":"combine","title":"t"}"#,
    ];
    let text: String = bodies.iter().map(|body| line("m1", body)).collect();
    let small = line("m2", bodies[0]);
    let two = [gzip(small.as_bytes()), gzip(b"\n")].concat();
    vec![text.into_bytes(), small.clone().into_bytes(), gzip(small.as_bytes()), gzip(&[b' '; 100_000]), two]
}

fn read(input: &[u8]) -> String {
    let file = if input.starts_with(GZIP) { input.to_vec() } else { gzip(input) };
    let mut reader = HistoryReader::new(BufReader::with_capacity(512, file.as_slice()));
    let keys = reader.by_ref().filter(|record| record.key.is_some()).count();
    let summary = reader.finish();
    let bad: Vec<String> = summary.first_bad.iter().take(3).map(|line| line.error.to_string()).collect();
    let bad = bad.join(" ");
    let end = if summary.end == HistoryEnd::Whole && summary.bad == 0 { "ok" } else { "partly" };
    format!("{end} {:?} {} {bad}", summary.end, keys.min(1))
}
