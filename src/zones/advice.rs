//! Suggests a time zone for a text that is not one.

use jiff::tz::{TimeZone, db};

use super::{FURTHEST, shown};
use crate::core::nearest;

const EXAMPLE: &str =
    "write an IANA name such as \"Asia/Shanghai\" or \"UTC\", or an offset such as \"+08:00\"";

/// Words that are not zones, and the zones that they probably mean, the likeliest first.
const MEANT: &[(&str, &[&str])] = &[
    ("beijing", &["Asia/Shanghai"]),
    ("peking", &["Asia/Shanghai"]),
    ("china", &["Asia/Shanghai"]),
    ("china standard time", &["Asia/Shanghai"]),
    ("cst", &["Asia/Shanghai", "America/Chicago"]),
    ("bjt", &["Asia/Shanghai"]),
    ("shenzhen", &["Asia/Shanghai"]),
    ("guangzhou", &["Asia/Shanghai"]),
    ("hangzhou", &["Asia/Shanghai"]),
    ("chengdu", &["Asia/Shanghai"]),
    ("wuhan", &["Asia/Shanghai"]),
    ("北京", &["Asia/Shanghai"]),
    ("北京时间", &["Asia/Shanghai"]),
    ("上海", &["Asia/Shanghai"]),
    ("中国", &["Asia/Shanghai"]),
    ("香港", &["Asia/Hong_Kong"]),
    ("台北", &["Asia/Taipei"]),
    ("东京", &["Asia/Tokyo"]),
    ("hkt", &["Asia/Hong_Kong"]),
    ("jst", &["Asia/Tokyo"]),
    ("tokyo standard time", &["Asia/Tokyo"]),
    ("osaka", &["Asia/Tokyo"]),
    ("kyoto", &["Asia/Tokyo"]),
    ("kst", &["Asia/Seoul"]),
    ("korea", &["Asia/Seoul"]),
    ("busan", &["Asia/Seoul"]),
    ("sgt", &["Asia/Singapore"]),
    ("myt", &["Asia/Kuala_Lumpur"]),
    ("ict", &["Asia/Bangkok"]),
    ("hanoi", &["Asia/Ho_Chi_Minh"]),
    ("wib", &["Asia/Jakarta"]),
    ("pht", &["Asia/Manila"]),
    ("ist", &["Asia/Kolkata", "Europe/Dublin", "Asia/Jerusalem"]),
    ("mumbai", &["Asia/Kolkata"]),
    ("bombay", &["Asia/Kolkata"]),
    ("delhi", &["Asia/Kolkata"]),
    ("bangalore", &["Asia/Kolkata"]),
    ("india", &["Asia/Kolkata"]),
    ("gst", &["Asia/Dubai"]),
    ("abu_dhabi", &["Asia/Dubai"]),
    ("msk", &["Europe/Moscow"]),
    ("bst", &["Europe/London"]),
    ("cest", &["Europe/Berlin"]),
    ("eest", &["Europe/Helsinki"]),
    ("west", &["Europe/Lisbon"]),
    ("munich", &["Europe/Berlin"]),
    ("frankfurt", &["Europe/Berlin"]),
    ("hamburg", &["Europe/Berlin"]),
    ("geneva", &["Europe/Zurich"]),
    ("milan", &["Europe/Rome"]),
    ("barcelona", &["Europe/Madrid"]),
    ("edt", &["America/New_York"]),
    ("eastern standard time", &["America/New_York"]),
    ("washington", &["America/New_York"]),
    ("boston", &["America/New_York"]),
    ("cdt", &["America/Chicago"]),
    ("mdt", &["America/Denver"]),
    ("pst", &["America/Los_Angeles"]),
    ("pdt", &["America/Los_Angeles"]),
    ("pacific standard time", &["America/Los_Angeles"]),
    ("san_francisco", &["America/Los_Angeles"]),
    ("seattle", &["America/Los_Angeles"]),
    ("aest", &["Australia/Sydney"]),
    ("aedt", &["Australia/Sydney"]),
    ("awst", &["Australia/Perth"]),
    ("canberra", &["Australia/Sydney"]),
    ("nzst", &["Pacific/Auckland"]),
    ("nzdt", &["Pacific/Auckland"]),
    ("z", &["UTC"]),
    ("zulu time", &["UTC"]),
    ("coordinated universal time", &["UTC"]),
];

/// The zone that `UTC+8` probably means, by minutes from UTC. Whole countries use these offsets.
const COMMON: &[(i32, &str)] =
    &[(480, "Asia/Shanghai"), (540, "Asia/Tokyo"), (330, "Asia/Kolkata"), (420, "Asia/Bangkok")];

/// Returns what to write in place of `name`.
pub(super) fn on(name: &str) -> String {
    let wanted = name.trim();
    let lower = wanted.to_lowercase();
    if let Some(said) = of_offset(&lower) {
        return said;
    }
    let city = lower.rsplit('/').next().unwrap_or_default();
    let underscored = city.replace([' ', '-'], "_");
    let meant = MEANT.iter().find(|(word, _)| [city, &lower, &underscored].contains(word));
    if let Some((_, zones)) = meant {
        let zones: Vec<String> = zones.iter().map(|zone| format!("\"{zone}\"")).collect();
        return format!("did you mean {}?", zones.join(" or "));
    }
    if TimeZone::get(wanted).is_ok() && !wanted.is_empty() {
        return format!("did you mean \"{wanted}\"?");
    }
    let known: Vec<String> = db()
        .available()
        .map(|known| known.as_str().to_owned())
        .filter(|known| known.contains('/') && !known.starts_with("Etc/"))
        .collect();
    let names = || known.iter().map(String::as_str);
    let is_city =
        |full: &&str| full.rsplit('/').next().is_some_and(|last| last.eq_ignore_ascii_case(&underscored));
    // Zones far apart on the map may differ in few letters, so at most two slips count as near.
    let near =
        || nearest(wanted, names()).filter(|near| strsim::osa_distance(&lower, &near.to_lowercase()) <= 2);
    match names().find(is_city).or_else(near) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => EXAMPLE.to_owned(),
    }
}

/// Returns the advice for an offset written in another form: `+8`, `UTC+8`, `Foo-3:30`.
fn of_offset(lower: &str) -> Option<String> {
    let (word, rest) = lower.split_at(lower.find(['+', '-'])?);
    if !word.chars().all(|letter| letter.is_ascii_alphabetic() || letter == ' ') {
        return None;
    }
    let (sign, digits) = rest.split_at(1);
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) => (hours, minutes),
        None if digits.len() > 2 => digits.split_at_checked(digits.len() - 2)?,
        None => (digits, "0"),
    };
    let number =
        |text: &str| text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse::<i32>().ok())?;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let all = hours.checked_mul(60)?.checked_add(minutes)?;
    if minutes > 59 || all > FURTHEST {
        return None;
    }
    let minutes = if sign == "-" { -all } else { all };
    let offset = shown(minutes);
    if matches!(word.trim(), "" | "utc" | "gmt" | "z") {
        let common = COMMON.iter().find(|(at, _)| *at == minutes && !word.is_empty());
        let or = common.map_or_else(String::new, |(_, zone)| format!(" or \"{zone}\""));
        return Some(format!("did you mean \"{offset}\"{or}?"));
    }
    let (ahead, behind) = (shown(all), shown(-all));
    Some(format!(
        "POSIX strings are refused, because their sign has the opposite meaning; write \"{ahead}\" for clocks ahead of UTC or \"{behind}\" for clocks behind it, or an IANA name such as \"Asia/Shanghai\""
    ))
}
