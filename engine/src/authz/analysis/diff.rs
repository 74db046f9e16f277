use std::collections::BTreeMap;

use serde::Serialize;

use super::AnalysisError;
use super::diff_search::compare;
use super::side::Side as Policy;
use crate::authz::AuthzError;
use crate::authz::compiled::CompiledPolicy;
use crate::authz::explain::ExplainedRow;

/// What a change of policy changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyDiff {
    /// The version of the old policy.
    pub version_old: String,
    /// That of the new one.
    pub version_new: String,
    /// The requests with another answer, sorted.
    pub changes: Vec<Change>,
    /// How many requests both policies were asked.
    pub examined: usize,
    /// Whether there is no other change: every request whose answer changes is in the list, or is
    /// one of the list with other values in place of those that no policy mentions. With other
    /// effects this is said of the requests that a row of either policy matches; what no row
    /// matches is in the list as one request.
    pub complete: bool,
}

/// A request that the policies answer differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The context it is asked in, as `2` for the matcher `m2`; empty for `m`.
    pub context: String,
    /// The request's values; those with attributes as JSON.
    pub request: Vec<String>,
    /// The old policy's answer.
    pub before: Answer,
    /// The new policy's answer.
    pub after: Answer,
    /// The rows that decide.
    pub because: Vec<Reason>,
}

/// What a policy answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Allowed.
    Allow,
    /// Denied.
    Deny,
    /// The policy cannot be evaluated on it.
    Error,
}

/// A row that decides a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Whose row it is.
    pub policy: Side,
    /// The row.
    pub row: ExplainedRow,
}

/// One of two policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The one before the change.
    Old,
    /// The one after it.
    New,
}

impl CompiledPolicy {
    /// The requests that `old` and `new` answer differently, found by asking both at most `limit`
    /// requests for each matcher: those that rows of either match, for the subjects that rows
    /// name and for all who have their roles.
    ///
    /// # Errors
    /// [`AnalysisError::Requests`] when the policies have different request definitions.
    ///
    /// ```
    /// use tokensmith_engine::authz::CompiledPolicy;
    /// use tokensmith_engine::policy::{BASELINE_MODEL, Source, compile};
    /// let policy = |rules: &str| {
    ///     let model = Source { name: "model.conf", text: BASELINE_MODEL };
    ///     compile(model, &[Source { name: "policy.csv", text: rules }]).unwrap()
    /// };
    /// let (old, new) = (policy("p, ann, doc, read"), policy("p, ann, doc, write"));
    /// let diff = CompiledPolicy::diff(&old, &new, 1000).unwrap();
    /// assert!(diff.complete);
    /// let requests: Vec<String> = diff.changes.iter().map(|own| own.request.join(" ")).collect();
    /// assert_eq!(requests, ["ann doc read", "ann doc write"]);
    /// ```
    pub fn diff(
        old: &CompiledPolicy,
        new: &CompiledPolicy,
        limit: usize,
    ) -> Result<PolicyDiff, AnalysisError> {
        let (before, after) = (definitions(old), definitions(new));
        if before != after {
            return Err(AnalysisError::Requests {
                old: shown_definitions(&before),
                new: shown_definitions(&after),
            });
        }
        let mut diff = PolicyDiff {
            version_old: old.version.clone(),
            version_new: new.version.clone(),
            changes: Vec::new(),
            examined: 0,
            complete: true,
        };
        // Equal versions are equal policies.
        if old.version == new.version {
            return Ok(diff);
        }
        for (number, matcher) in old.matchers.iter().enumerate() {
            let mut others = new.matchers.iter().enumerate();
            if let Some((other, new_matcher)) = others.find(|(_, own)| own.key == matcher.key) {
                let sides = [
                    Policy::new(old, number, matcher),
                    Policy::new(new, other, new_matcher),
                ];
                compare(sides, limit, &mut diff);
            }
        }
        diff.changes.sort_by(|own, other| {
            (&own.context, &own.request).cmp(&(&other.context, &other.request))
        });
        Ok(diff)
    }
}

impl Answer {
    /// `allow`, `deny` or `error`.
    pub fn name(self) -> &'static str {
        match self {
            Answer::Allow => "allow",
            Answer::Deny => "deny",
            Answer::Error => "error",
        }
    }

    pub(super) fn of(answer: Result<bool, AuthzError>) -> Self {
        match answer {
            Ok(true) => Answer::Allow,
            Ok(false) => Answer::Deny,
            Err(_) => Answer::Error,
        }
    }
}

impl Side {
    /// `old` or `new`.
    pub fn name(self) -> &'static str {
        match self {
            Side::Old => "old",
            Side::New => "new",
        }
    }
}

/// The request definition of each matcher.
fn definitions(policy: &CompiledPolicy) -> BTreeMap<&str, &[String]> {
    policy
        .matchers
        .iter()
        .map(|own| {
            let number = own.key.get(1..).unwrap_or_default();
            (number, own.request_names.as_slice())
        })
        .collect()
}

fn shown_definitions(definitions: &BTreeMap<&str, &[String]>) -> String {
    let shown: Vec<String> = definitions
        .iter()
        .map(|(number, names)| format!("r{number} = {}", names.join(", ")))
        .collect();
    shown.join("; ")
}

#[cfg(test)]
mod tests {
    use super::super::compiled as policy;
    use super::*;
    use crate::policy::BASELINE_MODEL;

    fn changes(diff: &PolicyDiff) -> Vec<String> {
        diff.changes
            .iter()
            .map(|own| {
                let lines: Vec<String> = own
                    .because
                    .iter()
                    .map(|reason| format!("{}:{}", reason.policy.name(), reason.row.line))
                    .collect();
                format!(
                    "{} {}>{} {}",
                    own.request.join(" "),
                    own.before.name(),
                    own.after.name(),
                    lines.join(",")
                )
            })
            .collect()
    }

    /// Numbers that only look random.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, end: usize) -> usize {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % end
        }

        fn one<'t>(&mut self, texts: &[&'t str]) -> &'t str {
            texts[self.below(texts.len())]
        }
    }

    const SUBJECTS: [&str; 7] = ["s0", "s1", "s2", "r0", "r1", "r2", "root"];
    const OBJECTS: [&str; 3] = ["o0", "o1", "o2"];
    const ACTIONS: [&str; 3] = ["a0", "a1", "a2"];
    const MATCHERS: [&str; 6] = [
        "g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act",
        "g(r.sub, p.sub) && r.obj == p.obj",
        "r.sub == p.sub && r.obj == p.obj || g(r.sub, p.sub) && r.act == p.act",
        "r.sub == 'root' || g(r.sub, p.sub) && p.obj == r.obj && r.act == p.act",
        "g(r.sub, p.sub) && (r.obj == p.obj || r.act == p.act) && r.obj == 'o1'",
        "r.act == p.act && p.obj == 'o0' && r.sub == p.sub",
    ];
    const EFFECTS: [&str; 4] = [
        "some(where (p.eft == allow))",
        "!some(where (p.eft == deny))",
        "some(where (p.eft == allow)) && !some(where (p.eft == deny))",
        "priority(p.eft) || deny",
    ];

    fn generated(numbers: &mut Numbers, effect: &str) -> CompiledPolicy {
        let matcher = numbers.one(&MATCHERS);
        let model = BASELINE_MODEL
            .replace("p = sub, obj, act", "p = sub, obj, act, eft")
            .replace("some(where (p.eft == allow))", effect)
            .replace(MATCHERS[0], matcher);
        let mut rules = String::new();
        for _ in 0..numbers.below(5) {
            let (subject, object) = (numbers.one(&SUBJECTS[..6]), numbers.one(&OBJECTS));
            let (action, deny) = (numbers.one(&ACTIONS), numbers.below(3) == 0);
            let effect = if deny { "deny" } else { "allow" };
            rules.push_str(&format!("p, {subject}, {object}, {action}, {effect}\n"));
        }
        for _ in 0..numbers.below(5) {
            let (member, role) = (numbers.one(&SUBJECTS[..6]), numbers.one(&SUBJECTS[3..6]));
            rules.push_str(&format!("g, {member}, {role}\n"));
        }
        policy(&model, &rules)
    }

    /// The full cross product of all names, with one that no policy has, against the difference.
    #[test]
    fn finds_exactly_what_differs() {
        let every = |names: &[&'static str]| -> Vec<&'static str> {
            names.iter().copied().chain(["", "none"]).collect()
        };
        let (subjects, objects, actions) = (every(&SUBJECTS), every(&OBJECTS), every(&ACTIONS));
        let mut numbers = Numbers(20);
        let mut differences = 0;
        for round in 0..600 {
            let effect = EFFECTS[round % EFFECTS.len()];
            let old = generated(&mut numbers, effect);
            let new = generated(&mut numbers, effect);
            let diff = CompiledPolicy::diff(&old, &new, 100_000).unwrap();
            assert!(diff.complete);
            for change in &diff.changes {
                let request: Vec<&str> = change.request.iter().map(String::as_str).collect();
                assert_ne!(old.enforce(&request), new.enforce(&request), "{change:?}");
                assert_eq!(change.before, Answer::of(old.enforce(&request)));
            }
            for subject in &subjects {
                for object in &objects {
                    for action in &actions {
                        let request = [*subject, *object, *action];
                        let differs = old.enforce(&request) != new.enforce(&request);
                        differences += usize::from(differs);
                        let listed = diff.changes.iter().any(|change| {
                            let mut values = change.request.iter().zip(request);
                            values.all(|(own, name)| own == name || own.starts_with("other-"))
                        });
                        let exactly = diff.changes.iter().any(|change| change.request == request);
                        assert!(!differs || listed, "{request:?} {diff:?}");
                        assert!(differs || !exactly, "{request:?} {diff:?}");
                    }
                }
            }
        }
        assert!(differences > 1000, "{differences}");
    }

    #[test]
    fn reasons() {
        let old = policy(
            BASELINE_MODEL,
            "p, reader, doc, read\np, ann, doc, write\ng, ann, reader\ng, bob, reader\n",
        );
        let new = policy(
            BASELINE_MODEL,
            "p, reader, doc, read\np, bob, doc, write\ng, ann, reader\n",
        );
        let diff = CompiledPolicy::diff(&old, &new, 1000).unwrap();
        assert_eq!(
            changes(&diff),
            [
                "ann doc write allow>deny old:2",
                "bob doc read allow>deny old:1",
                "bob doc write deny>allow new:2",
            ]
        );
        assert_eq!(diff.changes[1].because[0].row.roles, [["bob", "reader"]]);
        assert!(diff.complete);
        let same = CompiledPolicy::diff(&old, &old, 1000).unwrap();
        assert!(same.complete && same.changes.is_empty());
        let short = CompiledPolicy::diff(&old, &new, 2).unwrap();
        assert!(!short.complete && short.examined == 2);
    }

    #[test]
    fn patterns_attributes_and_domains() {
        let paths = BASELINE_MODEL
            .replace("r.obj == p.obj", "keyMatch2(r.obj, p.obj)")
            .replace("r.act == p.act", "regexMatch(r.act, p.act)");
        let old = policy(&paths, "p, ann, /nodes/:id, ^(GET|PUT)$\n");
        let new = policy(&paths, "p, ann, /nodes/*, GET\n");
        let diff = CompiledPolicy::diff(&old, &new, 1000).unwrap();
        let found = changes(&diff);
        assert!(!diff.complete);
        for expected in [
            "ann /nodes/x PUT allow>deny old:1",
            "ann /nodes/x/y GET deny>allow new:1",
        ] {
            assert!(found.iter().any(|own| own == expected), "{found:?}");
        }

        let ages = "[request_definition]\nr = sub, obj\n[policy_definition]\np = obj\n\
            [policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\n\
            m = r.sub.Age > 18 && r.obj == p.obj\n";
        let old = policy(ages, "p, bar\n");
        let new = policy(&ages.replace("18", "21"), "p, bar\n");
        let diff = CompiledPolicy::diff(&old, &new, 1000).unwrap();
        let requests: Vec<&str> = diff.changes.iter().map(|own| &*own.request[0]).collect();
        assert_eq!(
            requests,
            ["{\"Age\":19.0}", "{\"Age\":20.0}", "{\"Age\":21.0}"]
        );

        let domains = BASELINE_MODEL
            .replace("sub, obj, act", "sub, dom, obj, act")
            .replace("g = _, _", "g = _, _, _")
            .replace(
                "g(r.sub, p.sub)",
                "g(r.sub, p.sub, r.dom) && r.dom == p.dom",
            );
        let rules = "p, admin, d1, doc, read\np, admin, d2, doc, read\n";
        let old = policy(&domains, &format!("{rules}g, ann, admin, d1\n"));
        let new = policy(&domains, &format!("{rules}g, ann, admin, d2\n"));
        let diff = CompiledPolicy::diff(&old, &new, 1000).unwrap();
        assert_eq!(
            changes(&diff),
            [
                "ann d1 doc read allow>deny old:1",
                "ann d2 doc read deny>allow new:2"
            ]
        );
        assert!(diff.complete);
    }

    #[test]
    fn effects_and_request_definitions() {
        let deny = BASELINE_MODEL.replace(
            "some(where (p.eft == allow))",
            "!some(where (p.eft == deny))",
        );
        let (old, new) = (
            policy(BASELINE_MODEL, "p, a, b, c"),
            policy(&deny, "p, a, b, c"),
        );
        let diff = CompiledPolicy::diff(&old, &new, 1000).unwrap();
        assert_eq!(
            changes(&diff),
            ["other-sub other-obj other-act deny>allow "]
        );
        let renamed = BASELINE_MODEL.replace("act", "verb");
        let error = CompiledPolicy::diff(&old, &policy(&renamed, ""), 1000).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the policies answer different requests: `r = sub, obj, act` and `r = sub, obj, verb`"
        );
    }
}
