use std::str::CharIndices;

/// How many patterns the `{}` of one may stand for.
const ALTERNATIVES: usize = 64;

/// Checks that every bracket of a pattern is closed.
///
/// # Errors
/// What is not, and classes that doublestar trips over.
pub(super) fn check(pattern: &str) -> Result<(), String> {
    let mut depth = 0_usize;
    let mut characters = pattern.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' if characters.next().is_none() => {
                return Err("backslash at the end".to_owned());
            }
            '[' => {
                if !skip_class(&mut characters) {
                    return Err("missing closing `]`".to_owned());
                }
                let class = pattern.get(at + 1..characters.offset()).unwrap_or_default();
                check_class(class, depth > 0)?;
            }
            '{' => depth += 1,
            '}' => {
                depth = depth
                    .checked_sub(1)
                    .ok_or_else(|| "unexpected `}`".to_owned())?;
            }
            _ => {}
        }
    }
    match depth {
        0 => Ok(()),
        _ => Err("missing closing `}`".to_owned()),
    }
}

/// The patterns without `{}` that a checked one stands for.
///
/// # Errors
/// Too many of them, and those that do not mean the same as the original.
pub(super) fn expand(pattern: &str) -> Result<Vec<String>, String> {
    let mut pending = vec![Expanded {
        text: pattern.to_owned(),
        starts: Vec::new(),
    }];
    let mut done = Vec::new();
    while let Some(next) = pending.pop() {
        match first_group(&next.text) {
            Some(group) => {
                for alternative in &group.alternatives {
                    let mut starts = next.starts.clone();
                    starts.push(group.before.len());
                    pending.push(Expanded {
                        text: format!("{}{alternative}{}", group.before, group.after),
                        starts,
                    });
                }
            }
            None => {
                next.check()?;
                done.push(next.text);
            }
        }
        if pending.len() + done.len() > ALTERNATIVES {
            return Err(format!("it stands for more than {ALTERNATIVES} patterns"));
        }
    }
    Ok(done)
}

struct Expanded {
    text: String,
    /// Where in the text groups began.
    starts: Vec<usize>,
}

impl Expanded {
    /// Doublestar replaces a group when it comes to it, and forgets at that point what stands
    /// before it; and it does not look into a group when it asks whether the key may end. Both
    /// make a difference to `*` only.
    fn check(&self) -> Result<(), String> {
        let refused = "`*` next to `{}` is not supported here";
        for start in &self.starts {
            let (before, after) = self.text.split_at_checked(*start).unwrap_or_default();
            if after.starts_with("**") && !before.is_empty() && !before.ends_with('/') {
                return Err(refused.to_owned());
            }
        }
        let last = self.starts.iter().copied().max().unwrap_or(0);
        let may_end_before = |end: &str| {
            self.text
                .strip_suffix(end)
                .is_some_and(|before| before.len() < last)
        };
        if ["*", "**", "/**"].into_iter().any(may_end_before) {
            return Err(refused.to_owned());
        }
        if self.text.ends_with("**/") {
            return Err("versions of Casbin disagree about `**/` at the end".to_owned());
        }
        Ok(())
    }
}

struct Alternation<'t> {
    before: &'t str,
    alternatives: Vec<&'t str>,
    after: &'t str,
}

fn first_group(text: &str) -> Option<Alternation<'_>> {
    let mut before = "";
    let mut alternatives = Vec::new();
    let mut start = 0;
    let mut depth = 0_usize;
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => {
                characters.next();
            }
            '[' => {
                skip_class(&mut characters);
            }
            '{' => {
                depth += 1;
                if depth == 1 {
                    before = text.get(..at)?;
                    start = at + 1;
                }
            }
            ',' if depth == 1 => {
                alternatives.push(text.get(start..at)?);
                start = at + 1;
            }
            '}' if depth == 1 => {
                alternatives.push(text.get(start..at)?);
                return Some(Alternation {
                    before,
                    alternatives,
                    after: text.get(at + 1..)?,
                });
            }
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// Goes on to behind the `]`; `false` when there is none.
fn skip_class(characters: &mut CharIndices<'_>) -> bool {
    while let Some((_, character)) = characters.next() {
        match character {
            '\\' => {
                characters.next();
            }
            ']' => return true,
            _ => {}
        }
    }
    false
}

/// `class` is what follows the `[`, the `]` included.
fn check_class(class: &str, in_group: bool) -> Result<(), String> {
    let inside = class.strip_suffix(']').unwrap_or(class);
    let positive = inside.strip_prefix(['^', '!']);
    if positive.unwrap_or(inside).is_empty() {
        return Err("empty class".to_owned());
    }
    // What follows the matching character of a negated class is checked as a pattern of its own,
    // and groups are cut without regard to classes.
    if inside.contains(['{', '}'])
        || (positive.is_some() && inside.contains('['))
        || (in_group && inside.contains(','))
    {
        return Err(format!("class `[{class}` has brackets or commas in it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pattern: &str) -> Result<Vec<String>, String> {
        check(pattern)?;
        let mut all = expand(pattern)?;
        all.sort();
        Ok(all)
    }

    #[test]
    fn expansions() {
        let cases: &[(&str, &[&str])] = &[
            ("a", &["a"]),
            ("{a,b}", &["a", "b"]),
            ("x{a,b{1,2},}y", &["xay", "xb1y", "xb2y", "xy"]),
            ("{a,b}{c,d}", &["ac", "ad", "bc", "bd"]),
            (r"\{a,b\}", &[r"\{a,b\}"]),
            (r"{a\,b,c}", &[r"a\,b", "c"]),
            ("[,]", &["[,]"]),
            ("/{**,a}/b", &["/**/b", "/a/b"]),
        ];
        for (pattern, expected) in cases {
            assert_eq!(all(pattern).unwrap(), *expected, "{pattern}");
        }
        assert_eq!(all(&"{a,b}".repeat(6)).unwrap().len(), 64);
        assert!(all(&"{a,b}".repeat(7)).is_err());
        assert!(all(&"{a}".repeat(300)).is_ok());
    }

    #[test]
    fn mistakes() {
        for pattern in [
            "[", "[]", "[^]", "[!]", "[a", r"[a\]", "{", "}", "{a", "a}", "{{a}", r"\", r"a\",
            "[{]", "[}]", "{[a,b]}", "[^[]",
        ] {
            assert!(check(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn stars_next_to_groups() {
        for pattern in [
            "a{**,b}",
            "a{,b}**",
            "a*{*,b}",
            "a*{,b}",
            "/a/**{,x}",
            "a/{b,**/}",
            "**/",
        ] {
            assert!(all(pattern).is_err(), "{pattern}");
        }
        for pattern in [
            "/{**,b}/c",
            "{a,b}*",
            "{a,b}/**",
            "*.{a,b}",
            "/{*,a}/b",
            "a{*b,c}",
        ] {
            assert!(all(pattern).is_ok(), "{pattern}");
        }
    }
}
