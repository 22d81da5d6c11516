//! Random edits of valid files: a message never goes to an id that the file did not have. An independent server
//! counts the messages.
//!
//! An edit may change anything except single digits of an id: no reader can detect a missing or doubled digit.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng as _, SeedableRng as _};

use super::QUICK;
use crate::support::Project;
use crate::support::service::Service;

/// Sends to each file in turn, whatever the result. The text names the file.
const SCRIPT: &str = r#"
    local refused, sent = 0, 0
    for _, name in ipairs(require("fs").list("edits")) do
      local ok, report = pcall(im.broadcast, {
        name = name, to = "edits/" .. name, message = { type = "txt", body = { msg = name } },
      })
      if ok then sent = sent + report.sent else refused = refused + 1 end
    end
    print(("refused %d sent %d"):format(refused, sent))
"#;

struct Valid {
    ending: &'static str,
    text: String,
    ids: BTreeSet<String>,
    gbk: bool,
}

fn valid(random: &mut StdRng) -> Valid {
    let names = ["Ann", "跑步群", "B \"b\" b", "a, b", "a; b", "two\nlines", "", "O'Neil", "李 雷", "-"];
    let mut ids: Vec<String> = (0..random.random_range(2..7))
        .map(|_| random.random_range(100_000_000_000_000_u64..999_999_999_999_999).to_string())
        .collect();
    ids.shuffle(random);
    let gbk = random.random_bool(0.3);
    let set = ids.iter().cloned().collect();
    if random.random_bool(0.25) {
        let items: Vec<String> = ids
            .iter()
            .map(|id| {
                format!("{{\"group_id\": \"{id}\", \"name\": \"{}\"}}", names[random.random_range(0..2)])
            })
            .collect();
        let list = random.random_bool(0.5);
        let text =
            if list { format!("[\n{}\n]\n", items.join(",\n")) } else { format!("{}\n", items.join("\n")) };
        return Valid { ending: if list { "json" } else { "jsonl" }, text, ids: set, gbk: false };
    }
    let end = *["\n", "\r\n", "\r"].choose(random).unwrap();
    let separator = *[",", ";", "\t"].choose(random).unwrap();
    let columns: &[&str] = [
        &["group_id"][..],
        &["group_id", "name"],
        &["name", "group_id", "city"],
        &["city", "name", "group_id"],
    ]
    .choose(random)
    .unwrap();
    let quote_all = random.random_bool(0.2);
    let cell = |text: &str| {
        if quote_all || text.contains(['"', '\n', ',', ';', '\t']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.to_owned()
        }
    };
    let mut text = format!("{}{end}", columns.join(separator));
    for id in &ids {
        let row: Vec<String> = columns
            .iter()
            .map(|column| if *column == "group_id" { cell(id) } else { cell(names.choose(random).unwrap()) })
            .collect();
        text.push_str(&row.join(separator));
        text.push_str(end);
    }
    Valid { ending: "csv", text, ids: set, gbk }
}

/// Returns the positions of the ids' digits.
fn digits(bytes: &[u8], ids: &BTreeSet<String>) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    for id in ids {
        let at = bytes.windows(id.len()).position(|part| part == id.as_bytes()).unwrap();
        ranges.push(at..at + id.len());
    }
    ranges
}

/// Drops, doubles or swaps cells of one row.
fn column(text: &str, random: &mut StdRng) -> String {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let at = random.random_range(0..lines.len());
    let separator = *[',', ';', '\t'].choose(random).unwrap();
    let mut cells: Vec<&str> = lines[at].split(separator).collect();
    let (one, two) = (random.random_range(0..cells.len()), random.random_range(0..cells.len()));
    match random.random_range(0..3) {
        0 => drop(cells.remove(one)),
        1 => cells.insert(one, cells[one]),
        _ => cells.swap(one, two),
    }
    lines[at] = cells.join(&separator.to_string());
    lines.join("\n")
}

fn edit(valid: &Valid, random: &mut StdRng) -> Vec<u8> {
    let encoded = |text: &str| {
        if valid.gbk { encoding_rs::GB18030.encode(text).0.into_owned() } else { text.as_bytes().to_vec() }
    };
    let mut bytes = encoded(&valid.text);
    let ids = digits(&bytes, &valid.ids);
    let within = |at: usize| ids.iter().any(|range| range.contains(&at));
    let places = |bytes: &[u8], what: u8| -> Vec<usize> {
        bytes.iter().enumerate().filter(|(_, byte)| **byte == what).map(|(at, _)| at).collect()
    };
    match random.random_range(0..4) {
        0 => return encoded(&column(&valid.text, random)),
        kind @ (1 | 2) => {
            let what = if kind == 1 { b'"' } else { b'\n' };
            let known = places(&bytes, what);
            match known.choose(random) {
                Some(at) if random.random_bool(0.5) => drop(bytes.remove(*at)),
                _ => {
                    let at = random.random_range(0..=bytes.len());
                    bytes.insert(at, what);
                }
            }
        }
        _ => loop {
            let at = random.random_range(0..bytes.len() - 1);
            if within(at) || within(at + 1) {
                continue;
            }
            match random.random_range(0..3) {
                0 => drop(bytes.remove(at)),
                1 => bytes.insert(at, bytes[at]),
                _ => bytes.swap(at, at + 1),
            }
            break;
        },
    }
    bytes
}

#[test]
fn an_edited_file_never_reaches_an_id_that_it_did_not_have() {
    let many = if std::env::var_os("MOONCAST_SOAK").is_some() { 5_000 } else { 200 };
    let seed = std::env::var("MOONCAST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(13);
    let mut random = StdRng::seed_from_u64(seed);
    let service = Service::accepting();
    let project = Project::with_script(SCRIPT).file("mooncast.toml", QUICK);
    let mut known: HashMap<String, (BTreeSet<String>, String)> = HashMap::new();
    for number in 0..many {
        let valid = valid(&mut random);
        let name = format!("{number:05}.{}", valid.ending);
        let bytes = edit(&valid, &mut random);
        project.write(&format!("edits/{name}"), &bytes);
        known.insert(name, (valid.ids, String::from_utf8_lossy(&bytes).into_owned()));
    }
    let ran = project.run_against(&service);
    assert!(matches!(ran.status, Some(0 | 3)), "{ran:#?}");
    let messages = service.messages();
    for message in &messages {
        let (ids, text) = &known[message["body"]["msg"].as_str().unwrap()];
        for group in message["to"].as_array().unwrap() {
            assert!(ids.contains(group.as_str().unwrap()), "seed {seed}: {group} is not of {ids:?}\n{text}");
        }
    }
    // Edits that do not change the table are sent. Most others are refused.
    assert!(messages.len() > many / 4, "{} messages: {ran:#?}", messages.len());
    println!("{many} edits, {} messages, {}", messages.len(), ran.stdout.trim());
}
