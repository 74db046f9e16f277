use serde_json::Value;

/// A value as TOML writes it on one line; `null` has no such form and becomes an empty string.
pub(super) fn inline(value: &Value) -> String {
    match value {
        Value::Null => "\"\"".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(inline).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| format!("{} = {}", key(name), inline(value)))
                .collect();
            if members.is_empty() {
                "{}".to_owned()
            } else {
                format!("{{ {} }}", members.join(", "))
            }
        }
    }
}

/// A key, quoted where it has to be.
pub(super) fn key(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !name.is_empty() && name.bytes().all(bare) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// JSON's escapes are TOML's too; only this one character JSON leaves as it is.
fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for value in [
            json!({"a": 1, "b": [true, "x"], "c d": {"e": 1.5}, "": {}}),
            json!({"text": "\" \\ \n \t \u{1} \u{7f} é = # '"}),
            json!({"list": [{"a": "b"}, {}]}),
        ] {
            let text = format!("value = {}", inline(&value));
            assert_eq!(text.lines().count(), 1);
            let read: Value = toml::from_str(&text).unwrap();
            assert_eq!(read["value"], value, "{text}");
        }
    }
}
