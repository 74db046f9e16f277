use std::ops::RangeInclusive;

/// The layouts that govaluate tries, with the lengths it tries them for. It has another one, that
/// of `date`, which it tries for no length.
///
/// `Y`, `m`, `d`: year, month and day of two digits; `D`: day of one or two; `W`, `B`: names of
/// weekday and month; `H`, `I`: hour of 24 and of 12; `M`, `S`: minute and second; `P`: `AM` or
/// `PM`; `z`, `c`: offset without and with a colon; `Z`, `C`: the same, or `Z`.
const LAYOUTS: [(RangeInclusive<usize>, &str); 13] = [
    (23..=24, "W B D H:M:S Y"),
    (30..=30, "W B d H:M:S z Y"),
    (6..=7, "I:MP"),
    (25..=25, "Y-m-dTH:M:SC"),
    (35..=35, "Y-m-dTH:M:SC"),
    (10..=10, "Y-m-d"),
    (16..=16, "Y-m-d H:M"),
    (19..=19, "Y-m-d H:M:S"),
    (25..=25, "Y-m-d H:M:Sc"),
    (18..=18, "Y-m-dTHZ"),
    (21..=21, "Y-m-dTH:MZ"),
    (24..=24, "Y-m-dTH:M:SZ"),
    (34..=34, "Y-m-dTH:M:SZ"),
];

const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Whether govaluate takes a string literal for a date, which makes it a number.
pub(super) fn is_date(text: &str) -> bool {
    LAYOUTS
        .iter()
        .any(|(lengths, layout)| lengths.contains(&text.len()) && follows(text, layout).is_some())
}

/// Reads `text` as `time.Parse` of Go does.
fn follows(text: &str, layout: &str) -> Option<()> {
    let mut rest = text.as_bytes();
    let (mut year, mut month, mut day) = (0, 1, 1);
    for item in layout.chars() {
        match item {
            'Y' => year = number(&mut rest, true)? * 100 + number(&mut rest, true)?,
            'm' => month = within(number(&mut rest, true)?, 1..=12)?,
            'B' => month = name(&mut rest, &MONTHS)? + 1,
            'W' => {
                name(&mut rest, &WEEKDAYS)?;
            }
            'd' => day = number(&mut rest, true)?,
            'D' => day = number(&mut rest, false)?,
            'H' => {
                within(number(&mut rest, false)?, 0..=23)?;
            }
            'I' => {
                within(number(&mut rest, false)?, 0..=12)?;
            }
            'M' => {
                within(number(&mut rest, true)?, 0..=59)?;
            }
            'S' => {
                within(number(&mut rest, true)?, 0..=59)?;
                fraction(&mut rest);
            }
            'P' => rest = rest.strip_prefix(b"AM").or(rest.strip_prefix(b"PM"))?,
            'z' | 'c' | 'Z' | 'C' => zone(&mut rest, item)?,
            ' ' => {
                // Any number of blanks, but not none.
                rest = rest.strip_prefix(b" ")?;
                while let Some(after) = rest.strip_prefix(b" ") {
                    rest = after;
                }
            }
            _ => match rest.split_first() {
                Some((byte, after)) if char::from(*byte) == item => rest = after,
                _ => return None,
            },
        }
    }
    within(day, 1..=days_in(month, year))?;
    rest.is_empty().then_some(())
}

/// A number of two digits, or of one when `fixed` does not ask for two.
fn number(rest: &mut &[u8], fixed: bool) -> Option<u32> {
    let digit = |byte: &u8| char::from(*byte).to_digit(10);
    let (first, after) = rest.split_first()?;
    let tens = digit(first)?;
    let second = after
        .split_first()
        .and_then(|(second, after)| Some((digit(second)?, after)));
    match second {
        Some((ones, after)) => {
            *rest = after;
            Some(tens * 10 + ones)
        }
        None if fixed => None,
        None => {
            *rest = after;
            Some(tens)
        }
    }
}

fn within(number: u32, range: RangeInclusive<u32>) -> Option<u32> {
    range.contains(&number).then_some(number)
}

fn name(rest: &mut &[u8], names: &[&str]) -> Option<u32> {
    let (own, after) = rest.split_at_checked(3)?;
    let index = names
        .iter()
        .position(|name| name.as_bytes().eq_ignore_ascii_case(own))?;
    *rest = after;
    u32::try_from(index).ok()
}

/// Passes over a fraction of a second, which may stand after seconds in every layout.
fn fraction(rest: &mut &[u8]) {
    let [b'.' | b',', digits @ ..] = *rest else {
        return;
    };
    let end = digits.iter().position(|byte| !byte.is_ascii_digit());
    let end = end.unwrap_or(digits.len());
    if end > 0 {
        *rest = digits.get(end..).unwrap_or_default();
    }
}

fn zone(rest: &mut &[u8], item: char) -> Option<()> {
    let (sign, after) = rest.split_first()?;
    let mut after = after;
    match sign {
        b'Z' if matches!(item, 'Z' | 'C') => {}
        b'+' | b'-' => {
            within(number(&mut after, true)?, 0..=24)?;
            if matches!(item, 'c' | 'C') {
                after = after.strip_prefix(b":")?;
            }
            within(number(&mut after, true)?, 0..=60)?;
        }
        _ => return None,
    }
    *rest = after;
    Some(())
}

fn days_in(month: u32, year: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for text in [
            "Mon Jan  2 15:04:05 2006",
            "Mon Jan 2 15:04:05 2006",
            "mon JAN 02 15:04:05 2006",
            "Mon Jan 02 15:04:05 -0700 2006",
            "3:04PM",
            "10:30AM",
            "2006-01-02",
            "2024-02-29",
            "2006-01-02 15:04",
            "2006-01-02  5:04",
            "2006-01-02 15:04:05",
            "2006-01-02 15:04:05+01:00",
            "2006-01-02T15:04:05+01:00",
            "2006-01-02T15:04:05.1234Z",
            "2006-01-02T15:04:05.123456789+01:00",
            "2006-01-02T15+0100",
            "2006-01-02T15:04+0100",
            "2006-01-02T15:04:05+0100",
            "2006-01-02T15:04:05,123456789+0100",
        ] {
            assert!(is_date(text), "{text}");
        }
    }

    #[test]
    fn other_texts() {
        for text in [
            "",
            "-",
            ":",
            "2006-13-02",
            "2006-01-32",
            "2023-02-29",
            "2006-00-02",
            "2006-1-02",
            "2006/01/02",
            "3:04pm",
            "3:4PM",
            "13:04PM",
            "2006-01-02 24:04",
            "2006-01-02 15:60",
            "2006-01-02T15:04:05Z",
            "2006-01-02T15Z",
            "2006-01-02 15:04:05*01:00",
            "Mon Jan  2 15:04:05 UTC 2006",
            "Xyz Jan  2 15:04:05 2006",
            "user-name1",
            "urn:user:1",
        ] {
            assert!(!is_date(text), "{text}");
        }
    }
}
