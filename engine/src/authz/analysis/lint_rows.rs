use std::collections::{BTreeMap, HashMap};

use super::compared::{With, compared, policy_fields};
use super::covers::shadowed;
use super::lint::{Report, Severity};
use super::lint_patterns;
use super::lint_table::Table;
use crate::authz::compiled::{CompiledPolicy, Matcher};
use crate::authz::evaluate::Scope;
use crate::authz::functions::Function;
use crate::authz::role_graph::RoleGraph;
use crate::policy::Effect;

/// Looks at the rows of every kind. `deep` tells of each relation whether it has roles that are
/// out of reach.
pub(super) fn check(policy: &CompiledPolicy, deep: &[bool], report: &mut Report<'_>) {
    for (index, rows) in policy.tables.iter().enumerate() {
        let (kind, fields) = match policy.kinds.get(index) {
            Some((kind, fields)) => (kind.as_str(), fields.as_slice()),
            None => continue,
        };
        let table = Table {
            policy,
            rows,
            kind,
            fields,
        };
        table.duplicates(report);
        let mut matchers = policy.matchers.iter().enumerate();
        match matchers.find(|(_, matcher)| matcher.table == index) {
            Some((number, matcher)) if matcher.mentions_policy => {
                table.check_with(number, matcher, deep, report);
            }
            _ => {
                for row in 0..rows.len() {
                    let message = format!("no matcher looks at {}", table.shown(row));
                    table.add("dead_row", Severity::Warning, row, message, report);
                }
            }
        }
    }
}

impl<'p> Table<'p> {
    fn check_with(
        &self,
        number: usize,
        matcher: &'p Matcher,
        deep: &[bool],
        report: &mut Report<'_>,
    ) {
        let chosen = self.chosen(number, matcher);
        let mut dead = vec![false; self.rows.len()];
        for (row, (dead, chosen)) in dead.iter_mut().zip(&chosen).enumerate() {
            *dead = self.check_effect(matcher.effect, row, report);
            if *chosen == 0 && !*dead {
                *dead = true;
                let message = format!(
                    "a condition of matcher `{}` excludes {}",
                    matcher.key,
                    self.shown(row)
                );
                self.add("dead_row", self.weight(row), row, message, report);
            }
        }
        if !matcher.effect.is_first_match() {
            self.contradictions(report);
        }
        self.patterns(number, matcher, report);
        self.wildcards(number, matcher, report);
        shadowed(self, matcher, &chosen, &dead, deep, report);
    }

    /// A dead denial is an error: somebody may rely on it.
    fn weight(&self, row: usize) -> Severity {
        if self.rows.denies(row) {
            Severity::Error
        } else {
            Severity::Warning
        }
    }

    /// For each row the clauses that do not exclude it, a bit each.
    fn chosen(&self, number: usize, matcher: &'p Matcher) -> Vec<u32> {
        let mut chosen = vec![0; self.rows.len()];
        for (row, bits) in chosen.iter_mut().enumerate() {
            let scope = Scope {
                symbols: &self.policy.symbols,
                graphs: &self.policy.graphs,
                rows: self.rows,
                matcher: number,
                request: &[],
                row: Some(row),
            };
            for (clause, (own, _)) in matcher.clauses.iter().enumerate() {
                let mut filters = own.filters.iter();
                if !filters.any(|filter| scope.bool(filter, "&&") == Ok(false)) {
                    *bits |= 1 << clause;
                }
            }
        }
        chosen
    }

    /// Whether the effect makes nothing of a row, which then is reported.
    fn check_effect(&self, effect: Effect, row: usize, report: &mut Report<'_>) -> bool {
        let denies = self.rows.denies(row);
        let what = match (effect, denies) {
            (Effect::AllowOverride, true) => "denials",
            (Effect::DenyOverride, false) => "allowances",
            _ => return false,
        };
        let message = format!(
            "{} has no effect: `{}` makes nothing of {what}",
            self.shown(row),
            effect.name()
        );
        self.add("dead_row", self.weight(row), row, message, report);
        true
    }

    fn duplicates(&self, report: &mut Report<'_>) {
        let mut first: HashMap<&[u32], usize> = HashMap::new();
        for row in self.in_order() {
            let earlier = *first.entry(self.cells(row)).or_insert(row);
            if earlier != row {
                let message = format!("the same row as {}", self.placed(earlier));
                self.add("duplicate_row", Severity::Warning, row, message, report);
            }
        }
    }

    /// Rows of which one allows what the other denies.
    fn contradictions(&self, report: &mut Report<'_>) {
        let mut first: HashMap<Vec<u32>, [Option<usize>; 2]> = HashMap::new();
        for row in self.in_order() {
            let values: Vec<u32> = self
                .cells(row)
                .iter()
                .zip(self.fields)
                .filter(|(_, field)| !matches!(field.as_str(), "eft" | "priority"))
                .map(|(cell, _)| *cell)
                .collect();
            let [allow, deny] = first.entry(values).or_default();
            let (own, other) = if self.rows.denies(row) {
                (deny, allow)
            } else {
                (allow, deny)
            };
            own.get_or_insert(row);
            if let Some(other) = *other {
                let message = format!("{} contradicts {}", self.shown(row), self.placed(other));
                self.add(
                    "contradicting_rows",
                    Severity::Warning,
                    row,
                    message,
                    report,
                );
            }
        }
    }

    fn patterns(&self, number: usize, matcher: &'p Matcher, report: &mut Report<'_>) {
        let mut fields: Vec<(Function, usize)> = Vec::new();
        for (_, with) in self.policy.comparisons(number, matcher) {
            if let With::Pattern { function, policy } = with
                && !fields.contains(&(function, policy))
            {
                fields.push((function, policy));
            }
        }
        for row in 0..self.rows.len() {
            for (function, field) in &fields {
                let Some(cell) = self.rows.cell(row, *field) else {
                    continue;
                };
                if let Some(pattern) = self.rows.patterns.get(&(*function, cell)) {
                    let text = self.policy.symbols.text(cell);
                    let (deny, origin) = (self.rows.denies(row), self.origin(row));
                    lint_patterns::check(*function, text, pattern, deny, origin, report);
                }
            }
        }
    }

    fn wildcards(&self, number: usize, matcher: &'p Matcher, report: &mut Report<'_>) {
        let Some(star) = self.policy.symbols.get("*") else {
            return;
        };
        let literal = self.literal_fields(number, matcher);
        for row in 0..self.rows.len() {
            for (field, name) in self.fields.iter().enumerate() {
                if literal.contains(&field) && self.rows.cell(row, field) == Some(star) {
                    let message = format!(
                        "`*` in {} is compared as it is, with `{name}`: it stands for nothing else",
                        self.shown(row)
                    );
                    self.add("wildcard_literal", Severity::Warning, row, message, report);
                }
            }
        }
    }

    /// The fields whose values are compared as they are, wherever the matcher mentions them.
    fn literal_fields(&self, number: usize, matcher: &'p Matcher) -> Vec<usize> {
        // How often each field is mentioned, less how often it is compared as it is.
        let mut others: BTreeMap<usize, isize> = BTreeMap::new();
        for node in self.policy.expressions(number, matcher) {
            for field in policy_fields(node) {
                *others.entry(field).or_default() += 1;
            }
            for (_, with) in compared(node) {
                let field = match with {
                    With::Field(field) => field,
                    With::Role { graph, policy, .. } if self.is_literal(graph) => policy,
                    _ => continue,
                };
                *others.entry(field).or_default() -= 1;
            }
        }
        others
            .into_iter()
            .filter(|(_, others)| *others == 0)
            .map(|(field, _)| field)
            .collect()
    }

    fn is_literal(&self, graph: usize) -> bool {
        let graph = self.policy.graphs.get(graph);
        graph.is_some_and(RoleGraph::is_literal)
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::{BASELINE_MODEL, Source, compile};

    fn lint(model: &str, rules: &str) -> Vec<String> {
        let model = Source {
            name: "m",
            text: model,
        };
        let rules = Source {
            name: "r",
            text: rules,
        };
        compile(model, &[rules])
            .unwrap()
            .lint(&[])
            .into_iter()
            .map(|own| {
                format!(
                    "{} {} {} {}",
                    own.line,
                    own.severity.name(),
                    own.code,
                    own.message
                )
            })
            .collect()
    }

    fn with_effect(effect: &str) -> String {
        BASELINE_MODEL
            .replace("p = sub, obj, act", "p = sub, obj, act, eft")
            .replace("some(where (p.eft == allow))", effect)
    }

    fn with_paths(function: &str) -> String {
        BASELINE_MODEL.replace("r.obj == p.obj", &format!("{function}(r.obj, p.obj)"))
    }

    #[test]
    fn duplicates_and_roles_that_cover() {
        let rules = "p, ann, doc, read\np, ann, doc, read\np, team, doc, read\n\
            p, reader, doc, read\np, ann, doc, write\ng, ann, team\ng, team, reader\n";
        assert_eq!(
            lint(BASELINE_MODEL, rules),
            [
                "1 warning shadowed_row `p, ann, doc, read` adds nothing: `p, team, doc, read` \
                 (r:3) covers it",
                "2 warning duplicate_row the same row as `p, ann, doc, read` (r:1)",
                "2 warning shadowed_row `p, ann, doc, read` adds nothing: `p, team, doc, read` \
                 (r:3) covers it",
                "3 warning shadowed_row `p, team, doc, read` adds nothing: `p, reader, doc, read` \
                 (r:4) covers it",
            ]
        );
        // What the matcher does not look at makes no difference.
        let model = BASELINE_MODEL.replace("p = sub, obj, act", "p = sub, obj, act, note");
        assert_eq!(
            lint(&model, "p, ann, doc, read, one\np, ann, doc, read, two\n"),
            [
                "2 warning shadowed_row `p, ann, doc, read, two` adds nothing: `p, ann, doc, read, \
              one` (r:1) covers it"
            ]
        );
    }

    #[test]
    fn roles_of_other_domains_do_not_cover() {
        let model = BASELINE_MODEL
            .replace("sub, obj, act", "sub, dom, obj, act")
            .replace("g = _, _", "g = _, _, _")
            .replace(
                "g(r.sub, p.sub)",
                "g(r.sub, p.sub, r.dom) && r.dom == p.dom",
            );
        let rules = "p, ann, d1, doc, read\np, ann, d2, doc, read\np, team, d1, doc, read\n\
            p, team, d2, doc, read\ng, ann, team, d1\n";
        let found = lint(&model, rules);
        assert_eq!(
            found,
            [
                "1 warning shadowed_row `p, ann, d1, doc, read` adds nothing: `p, team, d1, doc, \
              read` (r:3) covers it"
            ]
        );
    }

    #[test]
    fn patterns_that_cover() {
        // Function, the narrow pattern, the wide one, whether it covers.
        let cases = [
            ("keyMatch", "/a/b", "/a/*", true),
            ("keyMatch", "/a/b/*", "/a/*", true),
            ("keyMatch", "/a*", "/a/*", false),
            ("keyMatch2", "/a/:x", "/a/*", true),
            ("keyMatch2", "/a/:x/b", "/a/:x/:y", true),
            ("keyMatch2", "/a/:x", "/a/b", false),
            ("keyMatch2", "/a/:x/*", "/a/*", true),
            ("keyMatch2", "/a", "/a/*", false),
            ("keyMatch2", "/:x/b", "/a/*", false),
            ("keyMatch5", "/a/b", "/a/{x}", true),
            ("keyMatch4", "/a/b", "/a/{x}", true),
            ("keyMatch4", "/a/{x}/b", "/a/{x}/{x}", false),
            ("regexMatch", "^/a$", "^/a", true),
            ("regexMatch", "^/a[bc]", "^/a", false),
            ("ipMatch", "10.0.0.1", "10.0.0.0/8", true),
            ("ipMatch", "10.1.0.0/16", "10.0.0.0/8", false),
        ];
        for (function, narrow, wide, covers) in cases {
            let rules = format!("p, ann, {narrow}, read\np, ann, {wide}, read\n");
            let found = lint(&with_paths(function), &rules);
            let shadowed = found
                .iter()
                .filter(|own| own.starts_with("1 warning shadowed_row"));
            assert_eq!(
                shadowed.count(),
                usize::from(covers),
                "{narrow} {wide}: {found:?}"
            );
        }
        // A line feed is no part of what `/*` stands for: the denial says more.
        let model = with_effect("!some(where (p.eft == deny))")
            .replace("r.obj == p.obj", "keyMatch2(r.obj, p.obj)");
        let rules = "p, ann, /a/:x, read, deny\np, ann, /a/*, read, deny\n";
        assert_eq!(lint(&model, rules), [""; 0]);
    }

    #[test]
    fn rows_without_effect() {
        let rules = "p, ann, doc, read, allow\np, ann, doc, read, deny\n";
        assert_eq!(
            lint(&with_effect("some(where (p.eft == allow))"), rules),
            [
                "2 warning contradicting_rows `p, ann, doc, read, deny` contradicts `p, ann, doc, \
                 read, allow` (r:1)",
                "2 error dead_row `p, ann, doc, read, deny` has no effect: `allow-override` makes \
                 nothing of denials",
            ]
        );
        let found = lint(&with_effect("!some(where (p.eft == deny))"), rules);
        assert!(found[0].starts_with("1 warning dead_row "), "{found:?}");
        let both = "some(where (p.eft == allow)) && !some(where (p.eft == deny))";
        let found = lint(&with_effect(both), rules);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("2 warning contradicting_rows "),
            "{found:?}"
        );

        let filtered = BASELINE_MODEL.replace("m = g(", "m = p.obj != \"old\" && g(");
        assert_eq!(
            lint(&filtered, "p, ann, old, read\np, ann, new, read\n"),
            ["1 warning dead_row a condition of matcher `m` excludes `p, ann, old, read`"]
        );
        let second = BASELINE_MODEL.replace("p = sub, obj, act", "p = sub, obj, act\np2 = sub");
        assert_eq!(
            lint(&second, "p2, ann\n"),
            ["1 warning dead_row no matcher looks at `p2, ann`"]
        );
    }

    #[test]
    fn rows_behind_others() {
        let model = with_effect("priority(p.eft) || deny");
        let rules = "p, team, doc, read, allow\np, ann, doc, read, deny\n\
            p, ann, doc, read, allow\np, ann, doc, write, deny\ng, ann, team\n";
        assert_eq!(
            lint(&model, rules),
            [
                "2 error dead_row `p, ann, doc, read, deny` never decides: `p, team, doc, read, \
                 allow` (r:1) comes before, with another effect",
                "3 warning dead_row `p, ann, doc, read, allow` never decides: `p, ann, doc, read, \
                 deny` (r:2) comes before, with another effect",
            ]
        );
        let prioritised =
            model.replace("p = sub, obj, act, eft", "p = priority, sub, obj, act, eft");
        let rules = "p, 2, ann, doc, read, allow\np, 1, ann, doc, read, allow\n";
        assert_eq!(
            lint(&prioritised, rules),
            [
                "1 warning shadowed_row `p, 2, ann, doc, read, allow` never decides: `p, 1, ann, doc, \
              read, allow` (r:2) covers it and comes before"
            ]
        );
    }

    #[test]
    fn suspicious_values() {
        assert_eq!(
            lint(BASELINE_MODEL, "p, ann, *, read\n"),
            [
                "1 warning wildcard_literal `*` in `p, ann, *, read` is compared as it is, with \
              `obj`: it stands for nothing else"
            ]
        );
        let meant = BASELINE_MODEL.replace("r.obj == p.obj", "(r.obj == p.obj || p.obj == \"*\")");
        assert_eq!(lint(&meant, "p, ann, *, read\n"), [""; 0]);
        // Function, pattern, code.
        let cases = [
            ("keyMatch", "*", "broad_pattern"),
            ("keyMatch", "/*", "broad_pattern"),
            ("keyMatch2", "/*", "broad_pattern"),
            ("regexMatch", ".*", "broad_pattern"),
            ("regexMatch", "^/", "broad_pattern"),
            ("globMatch", "/**", "broad_pattern"),
            ("ipMatch", "0.0.0.0/0", "broad_pattern"),
            ("ipMatch", "::/0", "broad_pattern"),
            ("keyMatch", "/a/*/b", "unreachable_pattern_text"),
            ("keyMatch2", "/a.b/*", "dot_in_pattern"),
            ("keyMatch5", "/a/{x}.json", "dot_in_pattern"),
        ];
        for (function, pattern, code) in cases {
            let found = lint(&with_paths(function), &format!("p, ann, {pattern}, read\n"));
            assert_eq!(found.len(), 1, "{pattern}: {found:?}");
            assert!(
                found[0].starts_with(&format!("1 warning {code} ")),
                "{found:?}"
            );
        }
        for (function, pattern) in [
            ("keyMatch2", "/a\\.b"),
            ("keyMatch2", "/:x.json"),
            ("keyMatch", "/a/*"),
            ("regexMatch", "^/a.b$"),
            ("ipMatch", "10.0.0.0/8"),
            ("globMatch", "/a/**"),
        ] {
            let found = lint(&with_paths(function), &format!("p, ann, {pattern}, read\n"));
            assert_eq!(found, [""; 0], "{pattern}");
        }
    }
}
