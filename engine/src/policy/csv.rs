/// A field of a row, and the column it begins in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) text: String,
    pub(super) column: usize,
}

/// Splits one line into trimmed fields; no field for a blank or comment line.
///
/// `#` starts a comment outside of quotes. A field in double quotes may contain commas and `#`,
/// and `""` for a quote. A row ends with its line.
///
/// # Errors
/// The column, from 1, and what is wrong.
pub(super) fn split(line: &str) -> Result<Vec<Field>, (usize, &'static str)> {
    let line = line.strip_suffix('\r').unwrap_or(line);
    if let Some((_, at)) = line.chars().zip(1..).find(|(own, _)| *own == '\r') {
        return Err((
            at,
            "a carriage return inside a line: end lines with a line feed",
        ));
    }
    let mut fields = Vec::new();
    let mut characters = line.chars().zip(1..).peekable();
    loop {
        while characters
            .next_if(|(character, _)| character.is_whitespace())
            .is_some()
        {}
        let column = characters
            .peek()
            .map_or_else(|| line.chars().count() + 1, |(_, column)| *column);
        let mut text = String::new();
        if characters
            .next_if(|(character, _)| *character == '"')
            .is_some()
        {
            loop {
                match characters.next() {
                    None => return Err((column, "quoted field is not closed in its line")),
                    Some(('"', _)) => {
                        if characters
                            .next_if(|(character, _)| *character == '"')
                            .is_none()
                        {
                            break;
                        }
                        text.push('"');
                    }
                    Some((character, _)) => text.push(character),
                }
            }
            // Casbin's reader takes no white space here either.
            if let Some((character, at)) = characters.peek()
                && *character != ','
            {
                return Err((*at, "expected `,` after a quoted field"));
            }
        } else {
            while let Some((character, at)) =
                characters.next_if(|(character, _)| !matches!(character, ',' | '#'))
            {
                if character == '"' {
                    return Err((at, "a quote inside a field that is not quoted"));
                }
                text.push(character);
            }
            text.truncate(text.trim_end().len());
        }
        let end = characters.next();
        let last = !matches!(end, Some((',', _)));
        if !(last && fields.is_empty() && text.is_empty()) {
            fields.push(Field { text, column });
        }
        if last {
            return Ok(fields);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitting() {
        let cases: [(&str, &[(&str, usize)]); 8] = [
            ("", &[]),
            ("  # comment", &[]),
            (
                "p, a , b,c # note",
                &[("p", 1), ("a", 4), ("b", 8), ("c", 10)],
            ),
            (
                "p, \"a, \"\"b\"\" #\", c",
                &[("p", 1), ("a, \"b\" #", 4), ("c", 18)],
            ),
            ("p,,", &[("p", 1), ("", 3), ("", 4)]),
            ("g, a, b\r", &[("g", 1), ("a", 4), ("b", 7)]),
            ("p, a b, c", &[("p", 1), ("a b", 4), ("c", 9)]),
            ("p, \"\"", &[("p", 1), ("", 4)]),
        ];
        for (line, fields) in cases {
            let found = split(line).unwrap();
            let found: Vec<(&str, usize)> = found
                .iter()
                .map(|field| (field.text.as_str(), field.column))
                .collect();
            assert_eq!(found, fields, "{line}");
        }
        for (line, column) in [
            ("p, \"a", 4),
            ("p, \"a\" b", 7),
            ("p, a\"b", 5),
            ("p, \"a\"\r, deny", 7),
            ("p, a\rp, b", 5),
        ] {
            assert_eq!(split(line).unwrap_err().0, column, "{line}");
        }
    }
}
