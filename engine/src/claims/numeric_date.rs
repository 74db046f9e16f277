use serde_json::Number;

/// Reads a NumericDate (RFC 7519 section 2): seconds since the epoch, a fraction cut off.
///
/// `None` for what is no date that anyone could mean.
pub(crate) fn numeric_date(number: &Number) -> Option<i64> {
    /// Far beyond any date, and exact in a double.
    const BOUND: f64 = 9_007_199_254_740_992.0;

    if let Some(seconds) = number.as_i64() {
        return Some(seconds);
    }
    let seconds = number.as_f64()?;
    (seconds.abs() < BOUND).then_some(seconds.floor() as i64)
}
