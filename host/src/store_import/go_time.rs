use std::time::UNIX_EPOCH;

/// What Go writes for a time that is not set.
pub(super) const NOT_SET: &str = "0001-01-01T00:00:00Z";

/// Unix seconds of a time as Go writes it: RFC 3339 with up to nine decimals and any offset.
/// Parts of a second are left out. Nothing for what is no such time, or before 1970.
pub(super) fn unix_seconds(text: &str) -> Option<i64> {
    let (local, offset) = match text.strip_suffix('Z') {
        Some(local) => (local, 0),
        None => {
            let (local, zone) = text.split_at_checked(text.len().checked_sub(6)?)?;
            (local, zone_seconds(zone)?)
        }
    };
    let (whole, fraction) = local.split_once('.').unwrap_or((local, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() != 19 || whole.as_bytes().get(10) != Some(&b'T') || !digits(fraction) {
        return None;
    }
    let time = humantime::parse_rfc3339_weak(whole).ok()?;
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
    i64::try_from(seconds).ok()?.checked_sub(offset)
}

/// `+02:00` in seconds.
fn zone_seconds(zone: &str) -> Option<i64> {
    let (sign, rest) = match zone.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let number = |text: &str, below: i64| {
        let number = (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<i64>().ok())??;
        (number < below).then_some(number)
    };
    Some(sign * (number(hours, 24)? * 3600 + number(minutes, 60)? * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let cases = [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-01-02T01:04:05Z", Some(1_767_315_845)),
            ("2026-01-02T03:04:05.999999999+02:00", Some(1_767_315_845)),
            ("2026-01-01T20:34:05.5-04:30", Some(1_767_315_845)),
            (NOT_SET, None),
            ("2026-01-02T03:04:05", None),
            ("2026-01-02 03:04:05Z", None),
            ("2026-01-02T03:04:05.Z", None),
            ("2026-01-02T03:04:05.1x+02:00", None),
            ("2026-02-30T03:04:05Z", None),
            ("2026-01-02T03:04:05+2:000", None),
            ("2026-01-02T03:04:05+24:00", None),
            ("2026-01-02T03:04:05ZZ", None),
            ("\u{fffd}\u{fffd}\u{fffd}", None),
            ("Z", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(unix_seconds(text), expected, "{text}");
        }
    }
}
