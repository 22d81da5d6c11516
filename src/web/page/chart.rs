//! The chart of the last hour's messages per second.

use std::fmt::Write as _;

use serde::Serialize;

use crate::control::{ActivityView, rate_text};

use super::format;

/// The length of a span, in seconds.
const SPAN: u64 = 10;

/// The spans of an hour.
const SPANS: u64 = 360;

/// The height and the width of the drawing.
const HEIGHT: f64 = 120.0;
const WIDTH: u64 = 2 * SPANS;

/// The seconds in a row of the table with the same numbers.
const ROW: u64 = 300;

/// The chart of an hour.
#[derive(Debug, Serialize)]
pub(super) struct ActivityChart {
    height: f64,
    width: u64,
    /// The SVG paths of the sent and of the refused messages.
    sent: String,
    refused: String,
    quota: Option<ChartLine>,
    grid: Vec<ChartLine>,
    hours: Vec<ChartTick>,
    total: u64,
    throttled: u64,
    /// The highest rate of a span, per second.
    most: f64,
    rows: Vec<ChartRow>,
}

/// A horizontal line.
#[derive(Debug, Serialize)]
struct ChartLine {
    y: f64,
    text: String,
}

/// A time label on the horizontal axis.
#[derive(Debug, Serialize)]
struct ChartTick {
    x: u64,
    text: String,
    /// The time, for a browser in another time zone.
    at: String,
}

/// Five minutes as a table row.
#[derive(Debug, Serialize)]
struct ChartRow {
    at: String,
    sent: u64,
    throttled: u64,
    rate: f64,
}

impl ActivityChart {
    /// Draws the hour that ends at `now` (seconds since 1970), with the line of `quota`.
    pub(super) fn of(activity: &[ActivityView], quota: u32, now: u64, zone: &str) -> Self {
        let end = now / SPAN * SPAN + SPAN;
        let begin = end - SPANS * SPAN;
        let shown: Vec<&ActivityView> =
            activity.iter().filter(|one| one.at >= begin && one.at < end).collect();
        let a_second = |count: u64| count as f64 / SPAN as f64;
        let most = shown.iter().map(|one| a_second(one.sent)).fold(0.0, f64::max);
        let top = scale(most.max(f64::from(quota)));
        let y = |rate: f64| HEIGHT - rate / top * HEIGHT;
        let (mut sent, mut refused) = (String::new(), String::new());
        for one in &shown {
            let x = (one.at - begin) / SPAN * 2;
            let bar = |path: &mut String, count: u64| {
                if count > 0 {
                    let _ =
                        write!(path, "M{x} {HEIGHT}V{:.1}h2V{HEIGHT}", y(a_second(count)).min(HEIGHT - 1.0));
                }
            };
            bar(&mut sent, one.sent);
            bar(&mut refused, one.throttled);
        }
        let hour = |index: u64| {
            let at = begin.div_ceil(900) * 900 + index * 900;
            let there = format::instant_of(i64::try_from(at).ok()?, zone)?;
            let x = (at - begin) / SPAN * 2;
            let (text, at) = (there.strftime("%H:%M").to_string(), there.timestamp().to_string());
            (x <= WIDTH).then_some(ChartTick { x, text, at })
        };
        Self {
            height: HEIGHT,
            width: WIDTH,
            sent,
            refused,
            quota: (quota > 0).then(|| line(y(f64::from(quota)), f64::from(quota))),
            grid: [0.5, 1.0].into_iter().map(|part| line(y(top * part), top * part)).collect(),
            hours: (0..4).filter_map(hour).collect(),
            total: shown.iter().map(|one| one.sent).sum(),
            throttled: shown.iter().map(|one| one.throttled).sum(),
            most,
            rows: rows(&shown, begin),
        }
    }
}

fn line(y: f64, rate: f64) -> ChartLine {
    ChartLine { y, text: rate_text(rate) }
}

/// The next round number above `most`, with some room.
fn scale(most: f64) -> f64 {
    let wanted = (most * 1.15).max(1.0);
    let power = 10_f64.powf(wanted.log10().floor());
    let steps = [1.0, 1.2, 1.6, 2.0, 2.4, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    steps.into_iter().map(|step| step * power).find(|top| *top >= wanted).unwrap_or(wanted)
}

/// The table rows of five minutes each, without those in which nothing was sent.
fn rows(shown: &[&ActivityView], begin: u64) -> Vec<ChartRow> {
    let mut rows: Vec<(u64, u64, u64)> = Vec::new();
    for one in shown {
        let at = (one.at / ROW * ROW).max(begin);
        match rows.last_mut() {
            Some((last, sent, throttled)) if *last == at => {
                *sent += one.sent;
                *throttled += one.throttled;
            }
            _ => rows.push((at, one.sent, one.throttled)),
        }
    }
    let row = |(at, sent, throttled): (u64, u64, u64)| {
        let at = jiff::Timestamp::from_second(i64::try_from(at).ok()?).ok()?.to_string();
        Some(ChartRow { at, sent, throttled, rate: sent as f64 / ROW as f64 })
    };
    rows.into_iter().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_780_300_805;

    fn at(ago: u64, sent: u64, throttled: u64) -> ActivityView {
        ActivityView { at: NOW / SPAN * SPAN - ago, sent, throttled }
    }

    #[test]
    fn an_hour_is_drawn_below_its_quota() {
        let hour = [at(7_200, 5, 0), at(3_590, 100, 0), at(10, 200, 3), at(0, 50, 0)];
        let chart = ActivityChart::of(&hour, 20, NOW, "Asia/Shanghai");
        assert_eq!((chart.total, chart.throttled), (350, 3));
        assert!((chart.most - 20.0).abs() < 0.01);
        let quota = chart.quota.unwrap();
        assert!(quota.y > 0.0 && quota.text == "20", "{quota:?}");
        // The oldest span is at the left edge and the newest ends at the right one. Older spans are not drawn.
        assert!(chart.sent.starts_with("M0 120V") && chart.sent.contains("M718 120V"), "{}", chart.sent);
        assert_eq!(chart.sent.matches('M').count(), 3);
        assert_eq!(chart.refused.matches('M').count(), 1);
        assert!(chart.hours.iter().all(|hour| hour.text.starts_with("15:") || hour.text.starts_with("16:")));
        assert_eq!(chart.rows.len(), 3);
    }

    #[test]
    fn an_hour_without_messages_has_a_scale_all_the_same() {
        let chart = ActivityChart::of(&[], 0, NOW, "UTC");
        assert!(
            chart.quota.is_none() && chart.sent.is_empty() && chart.grid.iter().all(|line| line.y >= 0.0)
        );
        assert!([0.0, 1.0, 20.0, 95.0, 1_000_000.0].into_iter().all(|most| scale(most) > most));
    }
}
