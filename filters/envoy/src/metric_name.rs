/// A metric's name with labels in the order given, as `name.label.value`: Envoy's tag extraction
/// makes labels of them (`stats_tags`), and without it the whole is one name. Values lose every
/// character that would end a part.
pub(crate) fn named(name: &str, labels: &[(&str, &str)]) -> String {
    let mut whole = name.to_owned();
    for (label, value) in labels {
        whole.push('.');
        whole.push_str(label);
        whole.push('.');
        whole.extend(value.chars().take(LONGEST).map(|character| {
            if character.is_ascii_alphanumeric() || character == '-' {
                character
            } else {
                '_'
            }
        }));
    }
    whole
}

/// What stands for an empty value.
pub(crate) fn value(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

/// Of a value, in characters.
const LONGEST: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_one_part_each() {
        let labels = [("rule", "site.csv:12"), ("decision", "allow")];
        assert_eq!(
            named("tokensmith_rule_decisions_total", &labels),
            "tokensmith_rule_decisions_total.rule.site_csv_12.decision.allow"
        );
        assert_eq!(named("n", &[("i", "https://é/")]), "n.i.https_____");
        assert_eq!(named("n", &[]), "n");
        assert_eq!(named("n", &[("v", &"x".repeat(500))]).len(), 4 + 128);
        assert_eq!((value(""), value("a")), ("none", "a"));
    }
}
