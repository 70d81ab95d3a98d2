//! Points in time as text. No value of a clock is an error.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Five cycles of the Gregorian calendar, which repeats itself exactly every 400 years of 146,097 days.
const CYCLES: Duration = Duration::from_secs(5 * 146_097 * 86_400);
const CYCLES_YEARS: u16 = 5 * 400;

/// From 0000-01-01T00:00:00Z to 1970-01-01T00:00:00Z, in seconds.
const YEAR_0: Duration = Duration::from_secs(62_167_219_200);

/// From 1970-01-01T00:00:00Z to 9999-12-31T23:59:59.999999Z.
const END_OF_9999: Duration = Duration::from_micros(253_402_300_799_999_999);

/// UTC in the format of RFC 3339 with seconds.
pub(crate) fn rfc3339_seconds(time: SystemTime) -> String {
    let micros = rfc3339_micros(time);
    match micros.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => micros,
    }
}

/// UTC in the format of RFC 3339 with milliseconds.
pub(super) fn rfc3339_millis(time: SystemTime) -> String {
    let micros = rfc3339_micros(time);
    // The last three digits and the Z.
    let end = micros.len().saturating_sub(4);
    micros.get(..end).map_or_else(|| micros.clone(), |millis| format!("{millis}Z"))
}

/// UTC in the format of RFC 3339 with microseconds. That format has four digits for the year, so a time
/// before the year 0 or after 9999 becomes the first or the last one that it can express.
pub(crate) fn rfc3339_micros(time: SystemTime) -> String {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => humantime(since.min(END_OF_9999)),
        Err(before) => before_1970(before.duration().min(YEAR_0)),
    }
}

/// humantime knows no time before 1970. It gets one five cycles later, which differs in the year only.
fn before_1970(before: Duration) -> String {
    let later = humantime(CYCLES.saturating_sub(before));
    let earlier = |later: &str| {
        let (year, rest) = later.split_once('-')?;
        let year = year.parse::<u16>().ok()?.checked_sub(CYCLES_YEARS)?;
        Some(format!("{year:04}-{rest}"))
    };
    // There is always such a year: that of `later` is between 2000 and 3970.
    earlier(&later).unwrap_or(later)
}

fn humantime(since_1970: Duration) -> String {
    humantime::format_rfc3339_micros(UNIX_EPOCH + since_1970).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A time this many seconds and microseconds after 1970.
    fn at(seconds: i64, micros: u64) -> SystemTime {
        let whole = Duration::from_secs(seconds.unsigned_abs());
        let whole = if seconds < 0 { UNIX_EPOCH - whole } else { UNIX_EPOCH + whole };
        whole + Duration::from_micros(micros)
    }

    #[test]
    fn formats_times_of_any_year_with_four_digits() {
        for (time, expected) in [
            (at(1_767_323_045, 678_901), "2026-01-02T03:04:05.678901Z"),
            (at(0, 0), "1970-01-01T00:00:00.000000Z"),
            (at(-1, 0), "1969-12-31T23:59:59.000000Z"),
            (at(-1, 999_999), "1969-12-31T23:59:59.999999Z"),
            // The leap day of a year that is divisible by 400, and its absence in another century.
            (at(-11_670_998_400, 0), "1600-02-29T00:00:00.000000Z"),
            (at(-2_203_891_200, 0), "1900-03-01T00:00:00.000000Z"),
            (at(-2_203_891_201, 0), "1900-02-28T23:59:59.000000Z"),
            (at(-62_167_219_200, 0), "0000-01-01T00:00:00.000000Z"),
            (at(253_402_300_799, 999_999), "9999-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(rfc3339_micros(time), expected);
        }
    }

    #[test]
    fn clamps_times_outside_the_years_0_to_9999() {
        for seconds in [-62_167_219_201, -(1 << 55), i64::MIN + 1] {
            assert_eq!(rfc3339_micros(at(seconds, 0)), "0000-01-01T00:00:00.000000Z");
        }
        for seconds in [253_402_300_800, 1 << 55, i64::MAX - 1] {
            assert_eq!(rfc3339_micros(at(seconds, 0)), "9999-12-31T23:59:59.999999Z");
        }
    }

    proptest! {
        /// A text that is parsed again 400 years later gives the time 400 years later.
        #[test]
        fn agrees_with_the_calendar_of_later_centuries(
            seconds in -62_167_219_200_i64..0,
            micros in 0_u64..1_000_000,
        ) {
            let time = at(seconds, micros);
            let text = rfc3339_micros(time);
            let (year, rest) = text.split_once('-').unwrap();
            let later = format!("{}-{rest}", year.parse::<u16>().unwrap() + 2000);
            prop_assert_eq!(humantime::parse_rfc3339(&later).unwrap(), time + CYCLES);
        }

        #[test]
        fn every_time_has_the_same_length(seconds in (i64::MIN + 1)..(i64::MAX - 1)) {
            prop_assert_eq!(rfc3339_micros(at(seconds, 0)).len(), 27);
        }
    }
}
