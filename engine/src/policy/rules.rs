use super::{Location, Model, PolicyError, Source};

const SOURCE_BYTES: usize = 64 * 1024 * 1024;

/// A policy row: one value for each field of the policy definition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// The values, without the effect.
    pub values: Vec<String>,
    /// Whether the row denies.
    pub deny: bool,
}

/// The parsed rows of all sources, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// `p` rows.
    pub rows: Vec<Row>,
    /// `g` rows: member, role.
    pub groupings: Vec<(String, String)>,
}

impl Rules {
    /// Parses CSV rules. `#` starts a comment outside of quotes; a field in double quotes may
    /// contain commas and `#`, and `""` for a quote.
    ///
    /// # Errors
    /// [`PolicyError`]; a row of an unknown kind is an error, not a comment.
    pub fn parse(sources: &[Source<'_>], model: &Model) -> Result<Self, PolicyError> {
        let mut rules = Self::default();
        for source in sources {
            rules.read(*source, model)?;
        }
        Ok(rules)
    }

    fn read(&mut self, source: Source<'_>, model: &Model) -> Result<(), PolicyError> {
        if source.text.len() > SOURCE_BYTES {
            return Err(PolicyError::TooLarge {
                name: source.name.to_owned(),
                limit: "64 MiB",
            });
        }
        let text = source.text.strip_prefix('\u{feff}').unwrap_or(source.text);
        for (index, line) in text.lines().enumerate() {
            let syntax = |column: usize, message: String| PolicyError::Syntax {
                at: Location {
                    source: source.name.to_owned(),
                    line: index + 1,
                    column,
                },
                message,
            };
            let start = line
                .chars()
                .take_while(|character| character.is_whitespace())
                .count()
                + 1;
            let fields =
                split(line).map_err(|(column, message)| syntax(column, message.to_owned()))?;
            let Some((kind, values)) = fields.split_first() else {
                continue;
            };
            match kind.as_str() {
                "p" => self
                    .rows
                    .push(row(values, model).map_err(|why| syntax(start, why))?),
                "g" if model.has_roles => match values {
                    [member, role] => self.groupings.push((member.clone(), role.clone())),
                    _ => {
                        return Err(syntax(
                            start,
                            format!(
                                "grouping row needs 2 values after `g` (member, role), found {}",
                                values.len()
                            ),
                        ));
                    }
                },
                "g" => {
                    return Err(syntax(
                        start,
                        "grouping row, but the model has no section `role_definition`".to_owned(),
                    ));
                }
                kind => {
                    return Err(syntax(
                        start,
                        format!("unknown kind of row `{kind}`: expected `p` or `g`"),
                    ));
                }
            }
        }
        Ok(())
    }
}

fn row(values: &[String], model: &Model) -> Result<Row, String> {
    let expected = model.policy.len();
    let (values, deny) = match values.split_at_checked(expected) {
        Some((values, [])) => (values, false),
        Some((values, [effect])) if model.effect_column.is_some() => match effect.as_str() {
            "allow" => (values, false),
            "deny" => (values, true),
            other => return Err(format!("effect `{other}` is neither `allow` nor `deny`")),
        },
        _ => {
            return Err(format!(
                "policy row needs {expected} values after `p` ({}), found {}",
                model.policy.join(", "),
                values.len()
            ));
        }
    };
    Ok(Row {
        values: values.to_vec(),
        deny,
    })
}

/// Splits one line into trimmed fields; no field for a blank or comment line.
fn split(line: &str) -> Result<Vec<String>, (usize, &'static str)> {
    let mut fields = Vec::new();
    let mut characters = line.chars().enumerate().peekable();
    loop {
        while characters
            .next_if(|(_, character)| character.is_whitespace())
            .is_some()
        {}
        let mut field = String::new();
        if let Some((opened, _)) = characters.next_if(|(_, character)| *character == '"') {
            loop {
                match characters.next() {
                    None => return Err((opened + 1, "quoted field is not closed")),
                    Some((_, '"')) => {
                        if characters
                            .next_if(|(_, character)| *character == '"')
                            .is_none()
                        {
                            break;
                        }
                        field.push('"');
                    }
                    Some((_, character)) => field.push(character),
                }
            }
            while characters
                .next_if(|(_, character)| character.is_whitespace())
                .is_some()
            {}
            if let Some((column, character)) = characters.peek()
                && !matches!(character, ',' | '#')
            {
                return Err((column + 1, "expected `,` after a quoted field"));
            }
        } else {
            while let Some((_, character)) =
                characters.next_if(|(_, character)| !matches!(character, ',' | '#'))
            {
                field.push(character);
            }
            field.truncate(field.trim_end().len());
        }
        match characters.next() {
            Some((_, ',')) => fields.push(field),
            _ => {
                if !(fields.is_empty() && field.is_empty()) {
                    fields.push(field);
                }
                return Ok(fields);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitting() {
        let cases: [(&str, &[&str]); 7] = [
            ("", &[]),
            ("  # comment", &[]),
            ("p, a , b,c # note", &["p", "a", "b", "c"]),
            ("p, \"a, \"\"b\"\" #\", c", &["p", "a, \"b\" #", "c"]),
            ("p,,", &["p", "", ""]),
            ("g, a, b\r", &["g", "a", "b"]),
            ("p, a b, c", &["p", "a b", "c"]),
        ];
        for (line, fields) in cases {
            assert_eq!(split(line).unwrap(), fields, "{line}");
        }
        assert_eq!(split("p, \"a").unwrap_err().0, 4);
        assert_eq!(split("p, \"a\" b").unwrap_err().0, 8);
    }
}
