use regex::{Regex, RegexBuilder};

use super::PatternError;
use super::go_class::{bracketed, class_escape, escaped_char, push_char};
use super::go_flags::{Flags, Scope};
use super::go_repeat::counted;

/// What a compiled regular expression may take.
const COMPILED_BYTES: usize = 64 * 1024;
/// Go's limit for a repetition, and for the product of nested ones.
const COPIES: u32 = 1000;

/// Compiles a regular expression of Go; errors name `pattern`, which it was made from.
///
/// # Errors
/// [`PatternError::Regex`] for what Go refuses and for what has no equal here;
/// [`PatternError::RegexTooLarge`].
pub(super) fn compile(pattern: &str, expression: &str) -> Result<Regex, PatternError> {
    let refused = |message: String| PatternError::Regex {
        pattern: pattern.to_owned(),
        message,
    };
    let translated = translate(expression).map_err(refused)?;
    RegexBuilder::new(&translated)
        .size_limit(COMPILED_BYTES)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => PatternError::RegexTooLarge {
                pattern: pattern.to_owned(),
            },
            other => refused(last_line(&other.to_string())),
        })
}

/// `expression`, a regular expression of Go, with the same meaning for the `regex` crate.
///
/// Flags are carried out here, so that every atom of the result is complete in itself.
///
/// # Errors
/// What cannot be translated.
fn translate(expression: &str) -> Result<String, String> {
    let mut translator = Translator {
        rest: expression,
        out: String::with_capacity(2 * expression.len()),
        flags: Flags::default(),
        groups: Vec::new(),
        atom: None,
        repeated: false,
        copies: 1,
    };
    while let Some(character) = translator.rest.chars().next() {
        translator.step(character)?;
    }
    if translator.groups.is_empty() {
        Ok(translator.out)
    } else {
        Err("missing closing `)`".to_owned())
    }
}

struct Translator<'e> {
    rest: &'e str,
    out: String,
    flags: Flags,
    groups: Vec<Group>,
    /// How many copies of something the last atom makes; `None` where there is nothing to repeat.
    atom: Option<u32>,
    /// Whether the last atom is repeated already.
    repeated: bool,
    /// The most copies that an atom before the last one makes, within the group.
    copies: u32,
}

/// What to return to at the end of a group.
struct Group {
    flags: Flags,
    copies: u32,
}

impl Translator<'_> {
    fn step(&mut self, character: char) -> Result<(), String> {
        match character {
            '(' => return self.open(),
            ')' => return self.close(),
            '[' => {
                let (class, after) = bracketed(self.rest)?;
                self.rest = after;
                self.push_folding(&class);
                return Ok(());
            }
            '\\' => return self.escape(),
            '{' => {
                if let Some(counted) = counted(self.rest) {
                    self.rest = counted.after;
                    return self.repeat_counted(counted.least, counted.most);
                }
            }
            _ => {}
        }
        self.rest = self.rest.get(character.len_utf8()..).unwrap_or_default();
        match character {
            '*' | '+' | '?' => return self.repeat(&character.to_string(), Some(1)),
            '|' => {
                self.out.push('|');
                self.end_atom();
            }
            '^' if self.flags.multi_line => self.push("(?m:^)"),
            '^' => self.push(r"\A"),
            '$' if self.flags.multi_line => self.push("(?m:$)"),
            '$' => self.push(r"\z"),
            '.' if self.flags.dot_all => self.push("(?s:.)"),
            '.' => self.push(r"[^\x{A}]"),
            _ => self.literal(character),
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        for (escape, assertion) in [
            (r"\A", r"\A"),
            (r"\z", r"\z"),
            (r"\b", r"(?-u:\b)"),
            (r"\B", r"(?-u:\B)"),
        ] {
            if self.eat(escape) {
                self.push(assertion);
                return Ok(());
            }
        }
        if self.eat(r"\Q") {
            let (quoted, after) = self.rest.split_once(r"\E").unwrap_or((self.rest, ""));
            self.rest = after;
            self.end_atom();
            for character in quoted.chars() {
                self.literal(character);
            }
            return Ok(());
        }
        if let Some((class, after)) = class_escape(self.rest)? {
            self.rest = after;
            self.push_folding(&class);
            return Ok(());
        }
        let (character, after) = escaped_char(self.rest)?;
        self.rest = after;
        self.literal(character);
        Ok(())
    }

    fn open(&mut self) -> Result<(), String> {
        if self.eat("(?P<") || self.eat("(?<") {
            let (name, after) = self.rest.split_once('>').unwrap_or_default();
            let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            if name.is_empty() || !name.chars().all(is_word) {
                return Err("a group without a proper name".to_owned());
            }
            self.rest = after;
            // Nothing asks for groups by their names.
            self.enter("(", self.flags);
        } else if self.eat("(?") {
            let (flags, scope, after) = self.flags.changed(self.rest)?;
            self.rest = after;
            match scope {
                Scope::Group => self.enter("(?:", flags),
                Scope::Here => {
                    self.flags = flags;
                    self.end_atom();
                }
            }
        } else if self.eat("(") {
            self.enter("(", self.flags);
        }
        Ok(())
    }

    fn enter(&mut self, open: &str, flags: Flags) {
        self.end_atom();
        self.groups.push(Group {
            flags: self.flags,
            copies: self.copies,
        });
        self.out.push_str(open);
        self.flags = flags;
        self.copies = 1;
    }

    fn close(&mut self) -> Result<(), String> {
        let Some(group) = self.groups.pop() else {
            return Err("unexpected `)`".to_owned());
        };
        self.eat(")");
        self.out.push(')');
        self.end_atom();
        let inner = self.copies;
        self.flags = group.flags;
        self.copies = group.copies;
        self.atom = Some(inner);
        Ok(())
    }

    fn repeat_counted(&mut self, least: u32, most: Option<u32>) -> Result<(), String> {
        let operator = match most {
            Some(most) if most == least => format!("{{{least}}}"),
            Some(most) => format!("{{{least},{most}}}"),
            None => format!("{{{least},}}"),
        };
        if least > COPIES || most.is_some_and(|most| most > COPIES || most < least) {
            return Err(format!("repetition `{operator}` is not possible"));
        }
        let copies = match most {
            Some(0) => None,
            Some(most) => Some(most),
            None => Some(least.max(1)),
        };
        self.repeat(&operator, copies)
    }

    /// Repeats the last atom. `copies` is how many of it that makes, `None` for none at all.
    fn repeat(&mut self, operator: &str, copies: Option<u32>) -> Result<(), String> {
        let lazy = self.eat("?") != self.flags.lazy;
        if self.repeated {
            return Err(format!("`{operator}` after a repetition"));
        }
        let Some(inner) = self.atom else {
            return Err(format!("nothing to repeat before `{operator}`"));
        };
        let total = copies.map_or(1, |copies| inner.saturating_mul(copies));
        if total > COPIES {
            return Err(format!("nested repetition makes more than {COPIES} copies"));
        }
        self.out.push_str(operator);
        if lazy {
            self.out.push('?');
        }
        self.atom = Some(total);
        self.repeated = true;
        Ok(())
    }

    fn literal(&mut self, character: char) {
        let mut text = String::new();
        push_char(&mut text, character);
        if character.is_ascii() && !character.is_ascii_alphabetic() {
            self.push(&text);
        } else {
            self.push_folding(&text);
        }
    }

    /// Adds an atom that letter case matters to.
    fn push_folding(&mut self, atom: &str) {
        if self.flags.fold_case {
            self.push(&format!("(?i:{atom})"));
        } else {
            self.push(atom);
        }
    }

    fn push(&mut self, atom: &str) {
        self.end_atom();
        self.out.push_str(atom);
        self.atom = Some(1);
    }

    fn end_atom(&mut self) {
        self.copies = self.copies.max(self.atom.unwrap_or(1));
        self.atom = None;
        self.repeated = false;
    }

    fn eat(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(after) => {
                self.rest = after;
                true
            }
            None => false,
        }
    }
}

/// What the errors of the `regex` crate end in; the lines before draw the expression.
fn last_line(message: &str) -> String {
    let line = message.lines().next_back().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_the_same_as_in_go() {
        // Expression, keys it is found in, keys it is not found in.
        let cases: [(&str, &[&str], &[&str]); 38] = [
            ("", &["", "a"], &[]),
            ("a", &["bab"], &["", "A"]),
            ("^a$", &["a"], &["a\n", "\na", "ab"]),
            ("(?m)^a$", &["b\na\nc"], &["ab\r\na\r"]),
            ("^.$", &["\u{e9}", "\r"], &["\n", ""]),
            ("(?s)^.$", &["\n"], &["", "ab"]),
            ("(?s:^.)x.", &["\nxy"], &["\nx\n"]),
            (r"^\d+$", &["09"], &["\u{663}", ""]),
            (r"^\w$", &["_", "a"], &["\u{e9}", "\u{17f}"]),
            (r"(?i)^\w$", &["\u{17f}", "\u{212a}"], &["\u{e9}"]),
            (r"^\W$", &["\u{e9}", "-"], &["a"]),
            (r"^\s$", &["\t", "\u{c}"], &["\u{b}", "\u{a0}"]),
            (r"^[\s\d]$", &[" ", "1"], &["\u{b}"]),
            (r"a\b", &["a\u{e9}", "a b", "a"], &["ab"]),
            (r"a\B", &["ab"], &["a\u{e9}", "a"]),
            ("(?i)^k$", &["K", "k", "\u{212a}"], &["\u{e9}"]),
            ("(?i)^\u{e9}$", &["\u{c9}"], &["e"]),
            ("(?i)^[^k]$", &["a"], &["K", "\u{212a}"]),
            ("a(?i)b|c", &["aB", "C"], &["AB"]),
            ("(a(?i)b)c", &["aBc"], &["aBC"]),
            ("(?i-i:a)b", &["ab"], &["Ab"]),
            ("(?i:a)b", &["Ab"], &["AB"]),
            ("(?)a", &["a"], &[]),
            ("^[[]$", &["["], &["]"]),
            ("^[a&&b]$", &["&", "a", "b"], &["c"]),
            ("^[a~~b]$", &["~"], &["c"]),
            ("^a{,2}$", &["a{,2}"], &["aa"]),
            ("^a{01}$", &["a{01}"], &["a"]),
            (
                "^a{2}b{1,2}c{2,}$",
                &["aabcc", "aabbccc"],
                &["abcc", "aabc"],
            ),
            ("^{}]$", &["{}]"], &[]),
            (r"^\Qa.b*\E+$", &["a.b**"], &["axb"]),
            (r"^\Q[", &["["], &[]),
            (r"^\<\>\#\_$", &["<>#_"], &[]),
            (r"^\pZ\p{Nd}\P{Zs}$", &[" 1a"], &["a1a", "  a", " 1 "]),
            (r"^\Aa\z$", &["a"], &["a\n"]),
            ("^(?P<x1>a)(?<_>b)$", &["ab"], &["a"]),
            ("^*a|", &["", "b"], &[]),
            ("^(a|b|)$", &["a", ""], &["ab"]),
        ];
        for (expression, found, not_found) in cases {
            let regex = compile(expression, expression).unwrap();
            for key in found {
                assert!(regex.is_match(key), "{expression} {key:?}");
            }
            for key in not_found {
                assert!(!regex.is_match(key), "{expression} {key:?}");
            }
        }
    }

    #[test]
    fn groups_take_what_they_do_in_go() {
        let taken = |expression: &str, key: &str| {
            let regex = compile(expression, expression).unwrap();
            let captures = regex.captures(key).unwrap();
            captures.get(1).map(|group| group.as_str().to_owned())
        };
        assert_eq!(taken("(a+)", "aaa").as_deref(), Some("aaa"));
        assert_eq!(taken("(a+?)", "aaa").as_deref(), Some("a"));
        assert_eq!(taken("(?U)(a+)", "aaa").as_deref(), Some("a"));
        assert_eq!(taken("(?U)(a{1,}?)", "aaa").as_deref(), Some("aaa"));
        assert_eq!(taken("(?U:x)?(a*)", "aa").as_deref(), Some("aa"));
        assert_eq!(taken("a|(b)", "a"), None);
    }

    #[test]
    fn refuses_what_go_refuses() {
        for expression in [
            "[",
            "(",
            ")",
            "a)",
            "(a",
            "*",
            "+a",
            "a|*",
            "(*a)",
            "a**",
            "a*+",
            "a{2}{3}",
            "a*??",
            "(?=a)",
            "(?!a)",
            "(?<=a)",
            "(?<!a)",
            "(?>a)",
            "(?x)a",
            "(?i",
            "(?P=a)",
            "(?P<a)",
            "(?P<>a)",
            "(?P<a-b>c)",
            r"\C",
            r"\Z",
            r"\h",
            r"\1",
            r"\q",
            r"\p",
            r"\p{Cn}",
            r"\Q\E*",
            "a{1001}",
            "a{2,1}",
            "a{99999999999}",
            "(a{100}){11}",
            "((a{10}){10}){11}",
            r"\",
            "(?i)*",
        ] {
            assert!(translate(expression).is_err(), "{expression}");
        }
        for expression in [
            "(a{100}){10}",
            "((a{500}){0}){3}",
            "(a{1000}){0,1}",
            "(a{1000})*",
            "a{500}b{500}",
        ] {
            assert!(translate(expression).is_ok(), "{expression}");
        }
    }

    #[test]
    fn refuses_what_is_too_large() {
        let error = compile("p", r"(\pL{100}){10}").unwrap_err();
        let message = "pattern `p` compiles to more than 64 KiB";
        assert_eq!(error.to_string(), message);
        let deep = format!("{}a{}", "(".repeat(400), ")".repeat(400));
        let error = compile("p", &deep).unwrap_err();
        assert!(matches!(error, PatternError::Regex { .. }), "{error}");
    }
}
