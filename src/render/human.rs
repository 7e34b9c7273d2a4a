//! Numbers as people read them: times, sizes, shares.

use bytesize::ByteSize;
use chrono::{Local, SecondsFormat, TimeZone};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A time span in milliseconds, for a narrow column: its largest unit alone, `59s`, `3m`, `7h`, `400d`.
pub fn age(ms: u64) -> String {
    match ms {
        DAY.. => format!("{}d", ms / DAY),
        HOUR.. => format!("{}h", ms / HOUR),
        MINUTE.. => format!("{}m", ms / MINUTE),
        _ => format!("{}s", ms / SECOND),
    }
}

/// A time span in milliseconds, in a sentence: its two largest units, `250ms`, `5s`, `3m 20s`, `1h 5m`, `2d 3h`.
pub fn span(ms: u64) -> String {
    let two = |large: u64, larger: &str, small: u64, smaller: &str| match ms % large / small {
        0 => format!("{}{larger}", ms / large),
        rest => format!("{}{larger} {rest}{smaller}", ms / large),
    };
    match ms {
        DAY.. => two(DAY, "d", HOUR, "h"),
        HOUR.. => two(HOUR, "h", MINUTE, "m"),
        MINUTE.. => two(MINUTE, "m", SECOND, "s"),
        SECOND.. => format!("{}s", ms / SECOND),
        _ => format!("{ms}ms"),
    }
}

/// A size in bytes, in units of 1024: `512B`, `12.3M`, `1.0G`.
pub fn bytes(count: u64) -> String {
    ByteSize(count).display().iec_short().to_string()
}

/// A share of one processor in percent: `0.3%`, `99.9%`, `250%`.
pub fn percent(value: f64) -> String {
    // 99.96 would become the five letters of 100.0%.
    if value < 99.95 { format!("{:.1}%", value.max(0.0)) } else { format!("{value:.0}%") }
}

/// A point in time in milliseconds since the Unix epoch, as ISO 8601 in local time with its zone:
/// `2026-08-01T09:30:00+02:00`.
pub fn time(ms: u64) -> String {
    time_in(&Local, ms)
}

fn time_in<Zone: TimeZone>(zone: &Zone, ms: u64) -> String
where
    Zone::Offset: std::fmt::Display,
{
    let moment = i64::try_from(ms).ok().and_then(|ms| zone.timestamp_millis_opt(ms).single());
    moment.map_or_else(|| "unknown".into(), |moment| moment.to_rfc3339_opts(SecondsFormat::Secs, false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::FixedOffset;

    #[test]
    fn spans_of_time() {
        for (ms, short, long) in [
            (0, "0s", "0ms"),
            (999, "0s", "999ms"),
            (5_400, "5s", "5s"),
            (59_999, "59s", "59s"),
            (60_000, "1m", "1m"),
            (200_000, "3m", "3m 20s"),
            (3_599_999, "59m", "59m 59s"),
            (3_900_000, "1h", "1h 5m"),
            (3_600_000 + 59_000, "1h", "1h"),
            (90_000_000, "1d", "1d 1h"),
            (400 * DAY, "400d", "400d"),
        ] {
            assert_eq!((age(ms).as_str(), span(ms).as_str()), (short, long), "{ms}");
        }
        assert_eq!(age(u64::MAX), "213503982334d");
    }

    #[test]
    fn sizes() {
        for (count, text) in [
            (0, "0B"),
            (512, "512B"),
            (1023, "1023B"),
            (1024, "1.0K"),
            (12_897_484, "12.3M"),
            (1 << 30, "1.0G"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn shares() {
        for (value, text) in [
            (0.0, "0.0%"),
            (-0.01, "0.0%"),
            (0.34, "0.3%"),
            (99.94, "99.9%"),
            (99.96, "100%"),
            (250.4, "250%"),
        ] {
            assert_eq!(percent(value), text);
        }
    }

    #[test]
    fn points_in_time_carry_their_zone() {
        let zone = FixedOffset::east_opt(2 * 3600).unwrap();
        assert_eq!(time_in(&zone, 1_785_569_400_123), "2026-08-01T09:30:00+02:00");
        assert_eq!(time_in(&zone, u64::MAX), "unknown");
        let local = time(1_785_569_400_123);
        let parsed = chrono::DateTime::parse_from_rfc3339(&local).unwrap();
        assert_eq!(parsed.timestamp(), 1_785_569_400);
    }
}
