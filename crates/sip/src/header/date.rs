//! Date: when a message was sent, in GMT and in one form (RFC 3261 §20.17, RFC 1123). A clock that is wrong is found by it.

use super::text::trim;

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
/// Months with the days before them in a year that is no leap year.
const MONTHS: [(&str, u32); 12] = [
    ("Jan", 0),
    ("Feb", 31),
    ("Mar", 59),
    ("Apr", 90),
    ("May", 120),
    ("Jun", 151),
    ("Jul", 181),
    ("Aug", 212),
    ("Sep", 243),
    ("Oct", 273),
    ("Nov", 304),
    ("Dec", 334),
];

/// Seconds since 1970 of such a date; `None` where it is none, or lies before. Whether the day of the week fits is not asked.
#[must_use]
pub fn date_seconds(text: &str) -> Option<u64> {
    let (weekday, rest) = trim(text).split_once(", ")?;
    if !WEEKDAYS.iter().any(|known| known.eq_ignore_ascii_case(weekday)) {
        return None;
    }
    let mut words = rest.split(' ');
    let day = number(words.next()?, 2)?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|(known, _)| known.eq_ignore_ascii_case(name))?;
    let year = number(words.next()?, 4)?;
    let mut clock = words.next()?.split(':').map(|part| number(part, 2));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let whole = clock.next().is_none() && words.next()?.eq_ignore_ascii_case("GMT") && words.next().is_none();
    let fits = hour < 24 && minute < 60 && second <= 60;
    let days = days_since_1970(year, month, day).filter(|_| whole && fits)?;
    Some(u64::from(days) * 86_400 + u64::from(hour * 3_600 + minute * 60 + second))
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// `month` counts from 0.
fn days_since_1970(year: u32, month: usize, day: u32) -> Option<u32> {
    let before = |month: usize| MONTHS.get(month).map_or(365, |(_, days)| *days) + u32::from(month > 1 && is_leap(year));
    if year < 1970 || day == 0 || day > before(month + 1) - before(month) {
        return None;
    }
    let leaps = |year: u32| year / 4 - year / 100 + year / 400;
    Some((year - 1970) * 365 + leaps(year - 1) - leaps(1969) + before(month) + day - 1)
}

fn number(text: &str, digits: usize) -> Option<u32> {
    let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn test_a_date_is_read_as_seconds() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Tue, 14 Nov 2023 22:13:20 GMT", 1_700_000_000),
            ("thu, 29 feb 2024 12:00:00 gmt", 1_709_208_000),
            (" Tue, 29 Feb 2000 00:00:00 GMT ", 951_782_400),
            ("Fri, 31 Dec 2100 23:59:59 GMT", 4_133_980_799),
        ] {
            assert_eq!(date_seconds(text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn test_what_is_no_date_is_none() {
        for text in [
            "",
            "Sat, 13 Nov 2010 23:29:00",
            "Sat, 13 Nov 2010 23:29:00 EST",
            "Sat, 13 Nov 2010 24:00:00 GMT",
            "Sat, 13 Nov 2010 23:60:00 GMT",
            "Sat, 13 Nov 2010 23:29:61 GMT",
            "Sat, 13 Nov 2010 23:29:00:00 GMT",
            "Sat, 13 Nov 2010 23:29:00 GMT x",
            "Sat, 31 Nov 2010 23:29:00 GMT",
            "Sat, 29 Feb 2100 23:29:00 GMT",
            "Sat, 00 Nov 2010 23:29:00 GMT",
            "Sat, 3 Nov 2010 23:29:00 GMT",
            "Sat, 13 Foo 2010 23:29:00 GMT",
            "Sam, 13 Nov 2010 23:29:00 GMT",
            "Wed, 31 Dec 1969 23:59:59 GMT",
            "13 Nov 2010 23:29:00 GMT",
            "Sat, 1\u{b2} Nov 2010 23:29:00 GMT",
        ] {
            assert_eq!(date_seconds(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn test_the_next_day_is_a_day_later(year in 1970_u32..9_999, month in 0_usize..12, day in 1_u32..32) {
            let at = |year, month: usize, day: u32| {
                let (name, _) = MONTHS[month];
                date_seconds(&format!("Mon, {day:02} {name} {year} 00:00:00 GMT"))
            };
            let Some(seconds) = at(year, month, day) else { return Ok(()) };
            let next = at(year, month, day + 1).or_else(|| at(year + (month as u32) / 11, (month + 1) % 12, 1));
            prop_assert_eq!(next, Some(seconds + 86_400));
        }
    }
}
