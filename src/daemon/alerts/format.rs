//! Posts for the robots of group chats, and what their answers say.
//!
//! All of them answer with the status 200 to posts that they refuse, except Slack. A robot takes 20 posts a minute, so several
//! alerts are one post.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::config::AlertFormat;
use crate::language::Language;

use super::alert::cut;
use super::text::AlertText;

/// One request to a receiver.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct AlertPost {
    pub(super) body: String,
    pub(super) headers: Vec<(&'static str, String)>,
    /// What its signature adds to the URL.
    pub(super) query: Vec<(&'static str, String)>,
}

/// What a robot shows of a stored alert.
#[derive(Debug, Deserialize)]
struct ShownAlert {
    project: String,
    at: String,
    text: String,
    next: Option<String>,
}

/// The most bytes of one text, by the vendors' pages: `WeCom` takes 2,048 bytes, `DingTalk` and Feishu requests of 20 KB, Slack
/// 40,000 characters.
const fn most_bytes(format: AlertFormat) -> usize {
    match format {
        AlertFormat::WeCom => 2048,
        AlertFormat::DingTalk | AlertFormat::Feishu => 12_000,
        AlertFormat::Slack | AlertFormat::Json => 30_000,
    }
}

/// How a receiver reads alerts.
#[derive(Debug)]
pub(super) struct AlertReading {
    pub(super) format: AlertFormat,
    pub(super) language: Language,
    /// The zone of the times in group chats.
    pub(super) zone: TimeZone,
}

/// The number of the first alerts that fit into one post, at least 1. A post of Mooncast's own JSON has one.
pub(super) fn group_size(reading: &AlertReading, bodies: &[&str]) -> usize {
    if reading.format == AlertFormat::Json {
        return 1;
    }
    let fits = |many: &usize| shown(&bodies[..*many], reading).len() <= most_bytes(reading.format);
    (2..=bodies.len()).take_while(fits).last().unwrap_or(1)
}

/// Makes the post of some stored alerts. `now` is the time since the Unix epoch.
pub(super) fn post_of(
    reading: &AlertReading,
    bodies: &[&str],
    secret: Option<&str>,
    now: Duration,
) -> AlertPost {
    let text = || shown_within(bodies, reading, most_bytes(reading.format));
    let mut post = AlertPost::default();
    let body: Value = match reading.format {
        AlertFormat::Json => {
            let body = bodies.first().copied().unwrap_or_default().to_owned();
            let signature = secret.map(|secret| data_encoding::HEXLOWER.encode(&hmac(secret, &body)));
            post.headers.extend(signature.map(|hex| ("x-mooncast-signature", format!("sha256={hex}"))));
            return AlertPost { body, ..post };
        }
        AlertFormat::DingTalk => {
            if let Some(secret) = secret {
                let timestamp = now.as_millis().to_string();
                let sign = STANDARD.encode(hmac(secret, &format!("{timestamp}\n{secret}")));
                post.query = vec![("timestamp", timestamp), ("sign", sign)];
            }
            json!({ "msgtype": "text", "text": { "content": text() } })
        }
        AlertFormat::Feishu => {
            let mut body = json!({ "msg_type": "text", "content": { "text": text() } });
            if let Some(secret) = secret {
                let timestamp = now.as_secs().to_string();
                body["sign"] = STANDARD.encode(hmac(&format!("{timestamp}\n{secret}"), "")).into();
                body["timestamp"] = timestamp.into();
            }
            body
        }
        AlertFormat::WeCom => json!({ "msgtype": "text", "text": { "content": text() } }),
        AlertFormat::Slack => {
            let escaped = text().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            json!({ "text": escaped })
        }
    };
    AlertPost { body: body.to_string(), ..post }
}

/// Why a receiver refused a post that it answered with 200; None if it took it.
pub(super) fn refusal(format: AlertFormat, answer: &str) -> Option<String> {
    let (codes, texts) = match format {
        AlertFormat::Json => return None,
        AlertFormat::Slack => {
            let is_taken = answer.trim() == "ok";
            return (!is_taken).then(|| format!("it answered {:?} in place of \"ok\"", beginning(answer)));
        }
        AlertFormat::DingTalk | AlertFormat::WeCom => (["errcode", "errcode"], ["errmsg", "errmsg"]),
        // The second ones are those of its older answers.
        AlertFormat::Feishu => (["code", "StatusCode"], ["msg", "StatusMessage"]),
    };
    let parsed: Value = serde_json::from_str(answer).unwrap_or_default();
    match codes.iter().find_map(|name| parsed.get(name)) {
        Some(code) if code == 0 => None,
        Some(code) => {
            let text = texts.iter().find_map(|name| parsed.get(name)?.as_str()).unwrap_or_default();
            Some(format!("it refused the post with the code {code}: {}", beginning(text)))
        }
        None => Some(format!("its answer has no {}: {:?}", codes[0], beginning(answer))),
    }
}

fn beginning(text: &str) -> String {
    cut(text.to_owned(), 200)
}

/// The text of a group chat's message: a heading, and each alert with what to do next.
fn shown(bodies: &[&str], reading: &AlertReading) -> String {
    text_of(&parsed(bodies), reading)
}

/// The same in at most so many bytes. Of a single alert, the middle is cut: what to do next stays.
fn shown_within(bodies: &[&str], reading: &AlertReading, most: usize) -> String {
    let mut alerts = parsed(bodies);
    let over = text_of(&alerts, reading).len().saturating_sub(most);
    if let ([alert], 1..) = (alerts.as_mut_slice(), over) {
        let room = alert.text.len().saturating_sub(over);
        alert.text = cut(std::mem::take(&mut alert.text), room);
    }
    cut(text_of(&alerts, reading), most)
}

fn parsed(bodies: &[&str]) -> Vec<ShownAlert> {
    let parsed = bodies.iter().filter_map(|body| serde_json::from_str::<ShownAlert>(body).ok());
    let shown = |ShownAlert { project, at, text, next }| ShownAlert {
        project: without_mentions(&project),
        at,
        text: without_mentions(&text),
        next: next.as_deref().map(without_mentions),
    };
    parsed.map(shown).collect()
}

/// The text without what mentions people: Feishu reads `<at user_id="all">` in a text, and `WeCom` reads `<@all>`. What a
/// script says must not call a whole group. `DingTalk` mentions only whom a post names beside its text.
fn without_mentions(text: &str) -> String {
    let mut parts = text.split('<');
    let mut safe = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let tag = part.trim_start().trim_start_matches('/').trim_start();
        let mentions =
            tag.starts_with('@') || tag.get(..2).is_some_and(|name| name.eq_ignore_ascii_case("at"));
        safe.push(if mentions { '＜' } else { '<' });
        safe.push_str(part);
    }
    safe
}

/// A time of an alert in the zone of its reader: `2026-05-01 09:00:00 Asia/Shanghai`.
fn time_of(at: &str, zone: &TimeZone) -> String {
    let told = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:Q").to_string();
    at.parse().map_or_else(|_| at.to_owned(), told)
}

fn text_of(alerts: &[ShownAlert], reading: &AlertReading) -> String {
    let language = reading.language;
    let project = alerts.first().map(|alert| alert.project.clone()).unwrap_or_default();
    let heading = AlertText::named("heading", [("project", project), ("n", alerts.len().to_string())]);
    let mut text = heading.say(language);
    for ShownAlert { at, text: what, next, .. } in alerts {
        let _ = write!(text, "\n\n{}\n{what}", time_of(at, &reading.zone));
        if let Some(next) = next {
            text.push('\n');
            text.push_str(&AlertText::named("next", [("next", next.clone())]).say(language));
        }
    }
    text
}

fn hmac(key: &str, message: &str) -> Vec<u8> {
    // HMAC accepts a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else { return Vec::new() };
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_alert_what_to_do_next_stays() {
        let alert = json!({
            "project": "shop", "at": "2026-01-05T09:00:00Z", "text": "错".repeat(1300), "next": "mooncast jobs show 'a'",
        });
        let reading =
            AlertReading { format: AlertFormat::WeCom, language: Language::English, zone: TimeZone::UTC };
        let post = post_of(&reading, &[&alert.to_string()], None, Duration::ZERO);
        let text = serde_json::from_str::<Value>(&post.body).unwrap()["text"]["content"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!((2000..=2048).contains(&text.len()), "{}", text.len());
        assert!(text.ends_with("错 ...\nNext: mooncast jobs show 'a'"), "{text}");
    }

    #[test]
    fn nobody_is_mentioned_and_times_are_those_of_the_reader() {
        let evil = "<at user_id=\"all\">x</at> < AT id=all></ at> <@all> <@ann> a<b @all <b>";
        let alert = json!({
            "project": "<@all>", "at": "2026-01-05T09:00:00.123Z", "text": evil, "next": "mooncast jobs show '<@all>'",
        });
        for format in [AlertFormat::Feishu, AlertFormat::WeCom, AlertFormat::DingTalk] {
            let zone = TimeZone::get("Asia/Shanghai").unwrap();
            let reading = AlertReading { format, language: Language::English, zone };
            let post = post_of(&reading, &[&alert.to_string()], None, Duration::ZERO);
            let body: Value = serde_json::from_str(&post.body).unwrap();
            let text = body.pointer("/text/content").or(body.pointer("/content/text")).unwrap();
            let text = text.as_str().unwrap();
            let lower = text.to_lowercase();
            assert!(!["<at", "< at", "</at", "</ at", "<@"].iter().any(|tag| lower.contains(tag)), "{text}");
            assert!(text.contains("a<b @all <b>") && text.contains("＜at user_id"), "{text}");
            assert!(text.contains("\n2026-01-05 17:00:00 Asia/Shanghai\n"), "{text}");
            let mentions = ["/at", "/text/mentioned_list", "/text/mentioned_mobile_list"];
            assert!(mentions.iter().all(|place| body.pointer(place).is_none()), "{body}");
        }
    }
}
