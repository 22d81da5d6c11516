//! Reads times of the day: `9:00`, `09:00`, `24:00`.

use jiff::civil::Time;

/// A time of the day, or the end of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayTime {
    /// A time from 00:00 on.
    At(Time),
    /// 24:00, the end of the day.
    End,
}

impl DayTime {
    /// Returns what a clock shows at this time.
    pub const fn time(self) -> Time {
        match self {
            Self::At(time) => time,
            Self::End => Time::midnight(),
        }
    }
}

/// Reads hours and minutes, and optional seconds. The hour may have one digit.
pub fn day_time(text: &str) -> Result<DayTime, String> {
    let wrong = || {
        format!(
            "`{}` is not a time of day; write it like \"09:00\", from \"00:00\" to \"24:00\"",
            text.escape_debug()
        )
    };
    let parts: Vec<&str> = text.trim().split(':').collect();
    let (hour, minute, second) = match parts.as_slice() {
        [hour, minute] => (*hour, *minute, "00"),
        [hour, minute, second] => (*hour, *minute, *second),
        _ => return Err(wrong()),
    };
    let number = |text: &str, digits: std::ops::RangeInclusive<usize>| {
        (digits.contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit()))
            .then(|| text.parse::<i8>().ok())?
    };
    let read = || Some((number(hour, 1..=2)?, number(minute, 2..=2)?, number(second, 2..=2)?));
    match read().ok_or_else(wrong)? {
        (24, 0, 0) => Ok(DayTime::End),
        (hour, minute, second) => Time::new(hour, minute, second, 0).map(DayTime::At).map_err(|_| wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let at = |hour, minute, second| Ok(DayTime::At(Time::new(hour, minute, second, 0).unwrap()));
        assert_eq!(day_time("9:00"), at(9, 0, 0));
        assert_eq!(day_time(" 09:05 "), at(9, 5, 0));
        assert_eq!(day_time("23:59:59"), at(23, 59, 59));
        assert_eq!(day_time("0:00"), at(0, 0, 0));
        assert_eq!(day_time("24:00"), Ok(DayTime::End));
        for wrong in [
            "",
            "9",
            "24:01",
            "25:00",
            "9:0",
            "9:60",
            "-1:00",
            "9:00am",
            "9.00",
            "09:00:60",
            "९:00",
            "9:00:00:00",
        ] {
            assert!(day_time(wrong).unwrap_err().contains("24:00"), "{wrong}");
        }
    }
}
