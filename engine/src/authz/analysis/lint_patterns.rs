use super::lint::{Report, Severity};
use crate::authz::functions::{Function, Part, Pattern};
use crate::policy::Origin;

/// Keys that have nothing in common.
const ANYTHING: [&str; 5] = ["", "/", "zq9", "/zq9/x7?y=1", "Zq:9.#"];
/// Paths that have nothing in common.
const PATHS: [&str; 4] = ["/", "/zq9", "/zq9/x7", "/Zq.9/-_/~"];
/// Addresses of one kind that have nothing in common.
const ADDRESSES: [[&str; 2]; 2] = [["1.2.3.4", "254.9.8.7"], ["1234:5::6", "fedc:a9::8"]];

/// Looks at one pattern of a row, or of a role relation.
pub(super) fn check(
    function: Function,
    text: &str,
    pattern: &Pattern,
    deny: bool,
    origin: Option<Origin>,
    report: &mut Report<'_>,
) {
    let name = function.name();
    if let Some(what) = breadth(function, pattern) {
        // Too broad a denial locks out, which does not stay unnoticed.
        let severity = if deny {
            Severity::Note
        } else {
            Severity::Warning
        };
        report.add(
            "broad_pattern",
            severity,
            origin,
            format!("pattern `{text}` of `{name}` matches {what}"),
        );
    }
    if let (Function::KeyMatch, Some((start, ignored))) = (function, text.split_once('*'))
        && !ignored.is_empty()
    {
        report.add(
            "unreachable_pattern_text",
            Severity::Warning,
            origin,
            format!(
                "`{name}` looks at `{text}` up to its first `*`: all that begins with `{start}` \
                 matches, whatever stands for `{ignored}`"
            ),
        );
    }
    let is_path = matches!(
        function,
        Function::KeyMatch2 | Function::KeyMatch3 | Function::KeyMatch4 | Function::KeyMatch5
    );
    if is_path
        && pattern
            .parts()
            .is_some_and(|own| own.contains(&Part::AnyChar))
    {
        report.add(
            "dot_in_pattern",
            Severity::Warning,
            origin,
            format!("`.` in pattern `{text}` of `{name}` stands for any character: write `\\.`"),
        );
    }
}

/// What a pattern matches that matches too much.
fn breadth(function: Function, pattern: &Pattern) -> Option<&'static str> {
    let all = |keys: &[&str]| keys.iter().all(|key| pattern.matches(key) == Ok(true));
    if function == Function::IpMatch {
        let every = ADDRESSES.iter().any(|addresses| all(addresses));
        return every.then_some("every address");
    }
    if all(&ANYTHING) {
        return Some("everything");
    }
    all(&PATHS).then_some("every path")
}
