//! Reading history files.

use std::io::{BufReader, Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::line;
use crate::records::{BadLine, HistoryEnd, HistoryReader, HistorySummary, RecordError};

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn text_line(id: &str) -> String {
    line(id, 5, json!({ "type": "txt", "msg": id }), json!({})) + "\n"
}

/// Reads a file in pieces of 7 bytes. Returns the ids of its messages and the summary.
fn read(gzip: &[u8]) -> (Vec<String>, HistorySummary) {
    let mut reader = HistoryReader::new(BufReader::with_capacity(7, gzip));
    let ids = reader.by_ref().map(|record| record.message_id).collect();
    (ids, reader.finish())
}

#[test]
fn outgoing_messages_are_read_and_the_others_are_passed_over() {
    let last = text_line("m5");
    let text = [
        &text_line("m1"),
        "\n",
        &text_line("m2").replace("groupchat", "chatroom"),
        &text_line("m3").replace("groupchat", "chat"),
        &text_line("m4").replace("outgoing", "incoming"),
        last.trim_end(),
    ];
    let (ids, summary) = read(&gzip(text.concat().as_bytes()));
    assert_eq!(ids, ["m1", "m2", "m3", "m5"]);
    assert_eq!((summary.lines, summary.records, summary.bad), (6, 4, 0));
    assert!(summary.proves_absence());
    let (ids, summary) = read(&gzip(b""));
    assert!(ids.is_empty() && summary.proves_absence(), "an hour without messages: {summary:?}");
}

#[test]
fn a_file_of_several_gzip_streams_is_read_to_its_end() {
    let file = [gzip(text_line("m1").as_bytes()), gzip(text_line("m2").as_bytes())].concat();
    let (ids, summary) = read(&file);
    assert_eq!(ids, ["m1", "m2"]);
    assert!(summary.proves_absence());
}

#[test]
fn a_file_that_is_cut_anywhere_is_not_whole() {
    let file = gzip((text_line("m1") + &text_line("m2")).as_bytes());
    for length in 0..file.len() {
        let (ids, summary) = read(&file[..length]);
        assert!(!summary.proves_absence() && ids.len() <= 2, "{length}: {summary:?}");
    }
    for length in [12, file.len() - 1] {
        assert_eq!(read(&file[..length]).1.end, HistoryEnd::CutOff);
    }
    for index in [0, 3, file.len() / 2, file.len() - 8, file.len() - 1] {
        let mut damaged = file.clone();
        damaged[index] ^= 0x55;
        assert!(!read(&damaged).1.proves_absence(), "{index}");
    }
    assert!(matches!(read(b"<html>not found</html>").1.end, HistoryEnd::Damaged(_)));
    let mut reader = HistoryReader::new(&file[..]);
    reader.next().unwrap();
    assert_eq!(reader.finish().end, HistoryEnd::CutOff, "the rest was not read");
}

#[test]
fn a_bad_line_is_told_with_its_number_and_the_file_proves_no_absence() {
    let half = line("m2", 5, json!({ "type": "txt" }), json!({})) + "\n";
    let text = [&text_line("m1"), "{\"msg_id\":\n", &half, "\u{0}\n", &text_line("m3")].concat();
    let (ids, summary) = read(&gzip(text.as_bytes()));
    assert_eq!(ids, ["m1", "m3"]);
    assert_eq!((summary.lines, summary.bad, &summary.end), (5, 3, &HistoryEnd::Whole));
    assert!(!summary.proves_absence());
    assert_eq!(summary.first_bad[1], BadLine { line: 3, error: RecordError::Field("msg") });
    let (_, summary) = read(&gzip("x\n".repeat(1000).as_bytes()));
    assert_eq!((summary.bad, summary.first_bad.len()), (1000, 10));
}

#[test]
fn a_small_file_cannot_expand_into_a_long_line() {
    let longest =
        format!("{}{}", text_line("m1").trim_end(), " ".repeat(1024 * 1024 - text_line("m1").len() + 1));
    assert_eq!(longest.len(), 1024 * 1024);
    assert!(read(&gzip(longest.as_bytes())).1.proves_absence());
    let text = [
        text_line("m1").into_bytes(),
        vec![b' '; 1024 * 1024 + 1],
        b"\n".to_vec(),
        text_line("m2").into_bytes(),
    ];
    let (ids, summary) = read(&gzip(&text.concat()));
    assert_eq!((ids, summary.end), (vec!["m1".to_owned()], HistoryEnd::LineTooLong(2)));
    let mut bomb = GzEncoder::new(Vec::new(), Compression::fast());
    std::io::copy(&mut std::io::repeat(b'0').take(64 * 1024 * 1024), &mut bomb).unwrap();
    assert_eq!(read(&bomb.finish().unwrap()).1.end, HistoryEnd::LineTooLong(1));
}

/// The same gzip stream many times over, as one file.
struct Repeated {
    part: Vec<u8>,
    at: usize,
    left: usize,
}

impl Read for Repeated {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.part.len() && self.left > 0 {
            (self.at, self.left) = (0, self.left - 1);
        }
        let count = buffer.len().min(self.part.len() - self.at);
        buffer[..count].copy_from_slice(&self.part[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// `MOONCAST_HISTORY_LINES` sets the thousands of lines, 20 by default.
#[test]
fn a_long_file_is_read_line_by_line() {
    let thousands = std::env::var("MOONCAST_HISTORY_LINES").map_or(20, |count| count.parse().unwrap());
    let part: String = (0..1000).map(|number| text_line(&format!("m{number}"))).collect();
    let file = Repeated { part: gzip(part.as_bytes()), at: 0, left: thousands - 1 };
    let mut reader = HistoryReader::new(BufReader::new(file));
    assert_eq!(reader.by_ref().count(), thousands * 1000);
    assert!(reader.finish().proves_absence());
}
