/// General categories that Go and the `regex` crate mean the same by. `C` is not among them: the
/// unassigned code points belong to it here, and not in Go.
const CATEGORIES: [&str; 33] = [
    "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N", "Nd", "Nl", "No", "P", "Pc",
    "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So", "Z", "Zl", "Zp", "Zs", "Cc",
    "Cf",
];

const DIGITS: &str = "0-9";
const SPACES: &str = r"\x{9}\x{A}\x{C}\x{D}\x{20}";
const WORD: &str = "0-9A-Za-z_";

/// Adds `character`, which stands for itself in and out of classes.
pub(super) fn push_char(out: &mut String, character: char) {
    if character.is_ascii() && !character.is_ascii_alphanumeric() {
        out.push_str(&format!(r"\x{{{:X}}}", u32::from(character)));
    } else {
        out.push(character);
    }
}

/// The class escape (`\d`, `\PL`) that `rest` starts with, as a class, and what follows it.
///
/// # Errors
/// What is wrong with it.
pub(super) fn class_escape(rest: &str) -> Result<Option<(String, &str)>, String> {
    let Some(escape) = rest.strip_prefix('\\') else {
        return Ok(None);
    };
    let mut characters = escape.chars();
    let (set, negated) = match characters.next() {
        Some('d') => (DIGITS, false),
        Some('D') => (DIGITS, true),
        Some('s') => (SPACES, false),
        Some('S') => (SPACES, true),
        Some('w') => (WORD, false),
        Some('W') => (WORD, true),
        Some('p') => return category(characters.as_str(), false).map(Some),
        Some('P') => return category(characters.as_str(), true).map(Some),
        _ => return Ok(None),
    };
    Ok(Some((class(set, negated), characters.as_str())))
}

/// The bracketed class that `rest` starts with, and what follows it.
///
/// # Errors
/// What is wrong with it.
pub(super) fn bracketed(rest: &str) -> Result<(String, &str), String> {
    let mut rest = rest.strip_prefix('[').unwrap_or(rest);
    let mut out = String::from("[");
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    // A `]` at the start is itself.
    let mut first = true;
    loop {
        if let Some(after) = rest.strip_prefix(']')
            && !first
        {
            out.push(']');
            return Ok((out, after));
        }
        first = false;
        if let Some((name, after)) = rest
            .strip_prefix("[:")
            .and_then(|named| named.split_once(":]"))
        {
            out.push_str(&named_class(name)?);
            rest = after;
            continue;
        }
        if let Some((class, after)) = class_escape(rest)? {
            out.push_str(&class);
            rest = after;
            continue;
        }
        let (low, after) = class_char(rest)?;
        rest = after;
        push_char(&mut out, low);
        // A `-` before the end is itself.
        let range = rest
            .strip_prefix('-')
            .filter(|after| !after.is_empty() && !after.starts_with(']'));
        if let Some(after) = range {
            let (high, after) = class_char(after)?;
            if high < low {
                return Err(format!("range `{low}-{high}` is empty"));
            }
            out.push('-');
            push_char(&mut out, high);
            rest = after;
        }
    }
}

/// The character that the escape at the start of `rest` stands for, and what follows it.
///
/// # Errors
/// What is wrong with it.
pub(super) fn escaped_char(rest: &str) -> Result<(char, &str), String> {
    let mut characters = rest.strip_prefix('\\').unwrap_or(rest).chars();
    let Some(character) = characters.next() else {
        return Err("backslash at the end".to_owned());
    };
    let after = characters.as_str();
    let refused = || format!("escape `\\{character}` is not supported");
    match character {
        '0'..='7' => octal(character, after).ok_or_else(refused),
        'x' => hexadecimal(after).ok_or_else(refused),
        'a' => Ok(('\u{7}', after)),
        'f' => Ok(('\u{c}', after)),
        'n' => Ok(('\n', after)),
        'r' => Ok(('\r', after)),
        't' => Ok(('\t', after)),
        'v' => Ok(('\u{b}', after)),
        _ if character.is_ascii() && !character.is_ascii_alphanumeric() => Ok((character, after)),
        _ => Err(refused()),
    }
}

fn class(set: &str, negated: bool) -> String {
    format!("[{}{set}]", if negated { "^" } else { "" })
}

fn class_char(rest: &str) -> Result<(char, &str), String> {
    let mut characters = rest.chars();
    match characters.next() {
        None => Err("missing closing `]`".to_owned()),
        Some('\\') => escaped_char(rest),
        Some(character) => Ok((character, characters.as_str())),
    }
}

fn named_class(name: &str) -> Result<String, String> {
    let (negated, positive) = match name.strip_prefix('^') {
        Some(positive) => (true, positive),
        None => (false, name),
    };
    let set = match positive {
        "alnum" => "0-9A-Za-z",
        "alpha" => "A-Za-z",
        "ascii" => r"\x{0}-\x{7F}",
        "blank" => r"\x{9}\x{20}",
        "cntrl" => r"\x{0}-\x{1F}\x{7F}",
        "digit" => DIGITS,
        "graph" => r"\x{21}-\x{7E}",
        "lower" => "a-z",
        "print" => r"\x{20}-\x{7E}",
        "punct" => r"\x{21}-\x{2F}\x{3A}-\x{40}\x{5B}-\x{60}\x{7B}-\x{7E}",
        "space" => r"\x{9}-\x{D}\x{20}",
        "upper" => "A-Z",
        "word" => WORD,
        "xdigit" => "0-9A-Fa-f",
        _ => return Err(format!("unknown class `[:{name}:]`")),
    };
    Ok(class(set, negated))
}

/// A category: what follows `\p` or `\P`.
fn category(rest: &str, negated: bool) -> Result<(String, &str), String> {
    let single = || rest.split_at_checked(rest.chars().next()?.len_utf8());
    let named = match rest.strip_prefix('{') {
        Some(braced) => braced.split_once('}'),
        None => single(),
    };
    let Some((name, after)) = named else {
        return Err("unicode class without a name".to_owned());
    };
    let (negated, positive) = match name.strip_prefix('^') {
        Some(positive) => (!negated, positive),
        None => (negated, name),
    };
    if !CATEGORIES.contains(&positive) {
        return Err(format!("unicode class `{name}` is not supported"));
    }
    let letter = if negated { 'P' } else { 'p' };
    Ok((format!(r"\{letter}{{gc={positive}}}"), after))
}

fn octal(first: char, after: &str) -> Option<(char, &str)> {
    let is_octal = |character: char| character.is_digit(8);
    // One digit other than zero would be a back-reference.
    if first != '0' && !after.starts_with(is_octal) {
        return None;
    }
    let mut value = first.to_digit(8)?;
    let mut rest = after;
    for _ in 0..2 {
        let Some(digit) = rest.chars().next().and_then(|digit| digit.to_digit(8)) else {
            break;
        };
        value = value * 8 + digit;
        rest = rest.get(1..)?;
    }
    Some((char::from_u32(value)?, rest))
}

fn hexadecimal(after: &str) -> Option<(char, &str)> {
    let (digits, rest) = match after.strip_prefix('{') {
        Some(braced) => braced.split_once('}')?,
        None => after.split_at_checked(2)?,
    };
    if digits.is_empty() {
        return None;
    }
    let value = digits.chars().try_fold(0_u32, |value, digit| {
        value.checked_mul(16)?.checked_add(digit.to_digit(16)?)
    })?;
    Some((char::from_u32(value)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        let cases = [
            ("[a-c]x", "[a-c]"),
            ("[^]a]x", r"[^\x{5D}a]"),
            ("[[]x", r"[\x{5B}]"),
            ("[a&&b]x", r"[a\x{26}\x{26}b]"),
            ("[+--b]x", r"[\x{2B}-\x{2D}b]"),
            ("[~~-]x", r"[\x{7E}\x{7E}\x{2D}]"),
            ("[-a]x", r"[\x{2D}a]"),
            (r"[\d-z]x", r"[[0-9]\x{2D}z]"),
            (r"[\D\]]x", r"[[^0-9]\x{5D}]"),
            ("[[:^alpha:]0]x", "[[^A-Za-z]0]"),
            (r"[\x41-\x{5a}\101\n]x", r"[A-ZA\x{A}]"),
            (r"[\pL\P{Lu}\p{^N}]x", r"[\p{gc=L}\P{gc=Lu}\P{gc=N}]"),
            ("[\u{e9}-\u{ea}]x", "[\u{e9}-\u{ea}]"),
            ("[[:a]x", r"[\x{5B}\x{3A}a]"),
        ];
        for (text, expected) in cases {
            assert_eq!(bracketed(text), Ok((expected.to_owned(), "x")), "{text}");
        }
        for text in [
            "[",
            "[]",
            "[^",
            "[a",
            "[z-a]",
            "[a--b]",
            "[[:foo:]]",
            "[a-",
            r"[\Q]",
            r"[\b]",
            r"[\8]",
            r"[\pC]",
            r"[\p{Greek}]",
            r"[\p{L",
            r"[\xg0]",
            r"[\x{110000}]",
            r"[\x{d800}]",
            r"[\x{}]",
        ] {
            assert!(bracketed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn escapes() {
        let cases = [
            (r"\0x", '\0', "x"),
            (r"\1234", 'S', "4"),
            (r"\x{00000041}z", 'A', "z"),
            (r"\/z", '/', "z"),
            (r"\_", '_', ""),
            (r"\v", '\u{b}', ""),
        ];
        for (text, character, after) in cases {
            assert_eq!(escaped_char(text), Ok((character, after)), "{text}");
        }
        for text in [
            r"\", r"\1", r"\19", r"\8", r"\q", r"\x4", r"\xg", "\\\u{e9}",
        ] {
            assert!(escaped_char(text).is_err(), "{text}");
        }
    }
}
