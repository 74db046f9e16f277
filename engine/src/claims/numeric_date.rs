use serde_json::{Map, Value};

use super::ClaimError;

/// Reads a NumericDate (RFC 7519 section 2): seconds since the epoch, a fraction cut off.
///
/// A string is an error, never "absent".
pub(super) fn numeric_date(
    map: &Map<String, Value>,
    name: &'static str,
) -> Result<Option<i64>, ClaimError> {
    /// Far beyond any date, and exact in a double.
    const BOUND: f64 = 9_007_199_254_740_992.0;

    match map.get(name) {
        None => Ok(None),
        Some(Value::Number(number)) => {
            if let Some(seconds) = number.as_i64() {
                return Ok(Some(seconds));
            }
            match number.as_f64() {
                Some(seconds) if seconds.abs() < BOUND => Ok(Some(seconds.floor() as i64)),
                _ => Err(ClaimError::Type(name)),
            }
        }
        Some(_) => Err(ClaimError::Type(name)),
    }
}
