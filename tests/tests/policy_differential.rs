//! Generated models, policies and requests: the compiled policy beside a naive evaluation of
//! every row by what the model was made from, and beside casbin-rs where that has the feature.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    missing_docs
)]

use std::cell::Cell;
use std::collections::HashSet;

use casbin::{CoreApi as _, DefaultModel, Enforcer, MemoryAdapter, MgmtApi as _};
use proptest::prelude::*;
use regex::Regex;
use serde_json::{Value, json};
use tokensmith_engine::authz::{CompiledPolicy, RequestValue};
use tokensmith_engine::policy::{Source, compile};

/// Policies, and requests to each.
const POLICIES: u32 = 2500;
const REQUESTS: usize = 50;

/// A term of a matcher over the fields sub, dom, obj, act of request and policy.
#[derive(Clone, Debug)]
enum Term {
    Equal(usize),
    NotEqual(usize),
    Role(usize, usize),
    KeyMatch(&'static str),
    Constant(usize, &'static str),
    PolicyConstant(usize, &'static str),
    In(usize, [&'static str; 2]),
    Level(u8),
    Owner,
    Rule,
    Not(Box<Term>),
    All(Vec<Term>),
    Any(Vec<Term>),
    If(Box<Term>, Box<Term>, Box<Term>),
}

const FIELDS: [&str; 4] = ["sub", "dom", "obj", "act"];
const RULES: [&str; 4] = [
    "r.act == 'read'",
    "r.sub != 'alice' || r.obj == '/a'",
    "r.usr.Level > 2",
    "r.usr.Name == r.sub",
];
const SUBJECTS: [&str; 6] = ["alice", "bob", "carol", "role:x", "role:y", "role:z"];
const DOMAINS: [&str; 3] = ["d1", "d2", "*"];
const OBJECTS: [&str; 10] = [
    "/{x}/{y}/{x}",
    "/a",
    "/a/b",
    "/a/:x",
    "/a/*",
    "/:x/b",
    "data",
    "*",
    "/a/{x}/c",
    "/a/b/c",
];
const ACTIONS: [&str; 3] = ["read", "write", "*"];
const EFFECTS: [&str; 4] = [
    "some(where (p.eft == allow))",
    "!some(where (p.eft == deny))",
    "some(where (p.eft == allow)) && !some(where (p.eft == deny))",
    "priority(p.eft) || deny",
];

#[derive(Clone, Debug)]
struct Policy {
    matcher: Term,
    effect: usize,
    domains: bool,
    /// sub, dom, obj, act, rule, deny.
    rows: Vec<([&'static str; 4], usize, bool)>,
    /// g: member, role, domain. g2: objects.
    links: Vec<(&'static str, &'static str, &'static str)>,
    object_links: Vec<(&'static str, &'static str)>,
}

#[derive(Clone, Debug)]
struct Request {
    values: [&'static str; 4],
    user: Value,
}

/// What a term says of a row; an error says nothing.
type Verdict = Option<bool>;

impl Term {
    fn text(&self) -> String {
        match self {
            Term::Equal(field) => format!("r.{0} == p.{0}", FIELDS[*field]),
            Term::NotEqual(field) => format!("r.{0} != p.{0}", FIELDS[*field]),
            Term::Role(0, 3) => "g(r.sub, p.sub, r.dom)".to_owned(),
            Term::Role(0, _) => "g(r.sub, p.sub)".to_owned(),
            Term::Role(_, _) => "g2(r.obj, p.obj)".to_owned(),
            Term::KeyMatch(function) => format!("{function}(r.obj, p.obj)"),
            Term::Constant(field, text) => format!("r.{} == \"{text}\"", FIELDS[*field]),
            Term::PolicyConstant(field, text) => format!("p.{} == \"{text}\"", FIELDS[*field]),
            Term::In(field, [one, two]) => {
                format!("r.{} in (\"{one}\", \"{two}\")", FIELDS[*field])
            }
            Term::Level(level) => format!("r.usr.Level >= {level}"),
            Term::Owner => "r.usr.Name == r.sub".to_owned(),
            Term::Rule => "eval(p.rule)".to_owned(),
            Term::Not(term) => format!("!({})", term.text()),
            Term::All(terms) => joined(terms, " && "),
            Term::Any(terms) => joined(terms, " || "),
            Term::If(condition, then, otherwise) => format!(
                "({}) ? ({}) : ({})",
                condition.text(),
                then.text(),
                otherwise.text()
            ),
        }
    }

    fn uses(&self, is: &dyn Fn(&Term) -> bool) -> bool {
        is(self)
            || match self {
                Term::Not(term) => term.uses(is),
                Term::All(terms) | Term::Any(terms) => terms.iter().any(|term| term.uses(is)),
                Term::If(one, two, three) => one.uses(is) || two.uses(is) || three.uses(is),
                _ => false,
            }
    }
}

fn joined(terms: &[Term], operator: &str) -> String {
    let texts: Vec<String> = terms
        .iter()
        .map(|term| match term {
            Term::All(_) | Term::Any(_) | Term::If(..) => format!("({})", term.text()),
            other => other.text(),
        })
        .collect();
    texts.join(operator)
}

impl Policy {
    fn model(&self) -> String {
        let relation = if self.domains { "_, _, _" } else { "_, _" };
        format!(
            "[request_definition]\nr = sub, dom, obj, act, usr\n\
             [policy_definition]\np = sub, dom, obj, act, rule, eft\n\
             [role_definition]\ng = {relation}\ng2 = _, _\n\
             [policy_effect]\ne = {}\n[matchers]\nm = {}\n",
            EFFECTS[self.effect],
            self.matcher.text()
        )
    }

    fn rules(&self) -> String {
        let mut text = String::new();
        for (values, rule, deny) in &self.rows {
            let effect = if *deny { "deny" } else { "allow" };
            text.push_str(&format!(
                "p, {}, \"{}\", {effect}\n",
                values.join(", "),
                RULES[*rule]
            ));
        }
        for (member, role, domain) in &self.links {
            match self.domains {
                true => text.push_str(&format!("g, {member}, {role}, {domain}\n")),
                false => text.push_str(&format!("g, {member}, {role}\n")),
            }
        }
        for (member, role) in &self.object_links {
            text.push_str(&format!("g2, {member}, {role}\n"));
        }
        text
    }
}

/// Evaluates by the structure the text was made from; `erred` notes any error met.
struct Naive<'n> {
    policy: &'n Policy,
    request: &'n Request,
    erred: &'n Cell<bool>,
}

impl Naive<'_> {
    fn term(&self, term: &Term, row: &[&str; 4], rule: usize) -> Verdict {
        let request = &self.request.values;
        match term {
            Term::Equal(field) => Some(request[*field] == row[*field]),
            Term::NotEqual(field) => Some(request[*field] != row[*field]),
            Term::Role(0, _) => {
                let links: Vec<(&str, &str)> = self
                    .policy
                    .links
                    .iter()
                    .filter(|(_, _, domain)| !self.policy.domains || *domain == request[1])
                    .map(|(member, role, _)| (*member, *role))
                    .collect();
                Some(reaches(request[0], row[0], &links))
            }
            Term::Role(..) => Some(reaches(request[2], row[2], &self.policy.object_links)),
            Term::KeyMatch(function) => Some(key_match(function, request[2], row[2])),
            Term::Constant(field, text) => Some(request[*field] == *text),
            Term::PolicyConstant(field, text) => Some(row[*field] == *text),
            Term::In(field, texts) => Some(texts.contains(&request[*field])),
            Term::Level(level) => {
                let own = self.attribute("Level")?;
                match own.as_f64() {
                    Some(own) => Some(own >= f64::from(*level)),
                    None => self.error(),
                }
            }
            Term::Owner => Some(self.attribute("Name")?.as_str() == Some(request[0])),
            Term::Rule => match rule {
                0 => Some(request[3] == "read"),
                1 => Some(request[0] != "alice" || request[2] == "/a"),
                2 => match self.attribute("Level")?.as_f64() {
                    Some(own) => Some(own > 2.0),
                    None => self.error(),
                },
                _ => Some(self.attribute("Name")?.as_str() == Some(request[0])),
            },
            Term::Not(term) => Some(!self.term(term, row, rule)?),
            Term::All(terms) => {
                let verdicts: Vec<Verdict> =
                    terms.iter().map(|own| self.term(own, row, rule)).collect();
                if verdicts.contains(&Some(false)) {
                    Some(false)
                } else if verdicts.contains(&None) {
                    None
                } else {
                    Some(true)
                }
            }
            Term::Any(terms) => {
                let verdicts: Vec<Verdict> =
                    terms.iter().map(|own| self.term(own, row, rule)).collect();
                if verdicts.contains(&Some(true)) {
                    Some(true)
                } else if verdicts.contains(&None) {
                    None
                } else {
                    Some(false)
                }
            }
            Term::If(condition, then, otherwise) => {
                // Both sides are looked at, so that every error is noted.
                let (then, otherwise) =
                    (self.term(then, row, rule), self.term(otherwise, row, rule));
                if self.term(condition, row, rule)? {
                    then
                } else {
                    otherwise
                }
            }
        }
    }

    fn attribute(&self, name: &str) -> Option<&Value> {
        match self.request.user.get(name) {
            Some(value) => Some(value),
            None => {
                self.erred.set(true);
                None
            }
        }
    }

    fn error(&self) -> Verdict {
        self.erred.set(true);
        None
    }
}

/// At most ten links.
fn reaches<'l>(member: &'l str, role: &str, links: &[(&'l str, &'l str)]) -> bool {
    let mut names = HashSet::from([member]);
    for _ in 0..10 {
        let next: Vec<&str> = links
            .iter()
            .filter(|(own, _)| names.contains(own))
            .map(|(_, role)| *role)
            .collect();
        names.extend(next);
    }
    names.contains(role)
}

fn key_match(function: &str, key: &str, pattern: &str) -> bool {
    let path = |pattern: &str, placeholder: &str| {
        let text = pattern.replace("/*", "/.*");
        let text = Regex::new(placeholder).unwrap().replace_all(&text, "[^/]+");
        // A brace that opens no repetition is itself in Go.
        let text = text.replace('{', r"\{").replace('}', r"\}");
        Regex::new(&format!("^{text}$")).is_ok_and(|regex| regex.is_match(key))
    };
    match function {
        "keyMatch" => match pattern.split_once('*') {
            Some((prefix, _)) => key.starts_with(prefix),
            None => key == pattern,
        },
        "keyMatch2" => path(pattern, ":[^/]+"),
        "keyMatch3" => path(pattern, r"\{[^/]+\}"),
        "keyMatch5" => path_of(key.split('?').next().unwrap_or_default(), pattern),
        "keyMatch4" => equal_names(key, pattern),
        "regexMatch" => {
            let text = pattern.replace('{', r"\{").replace('}', r"\}");
            Regex::new(&text).unwrap().is_match(key)
        }
        other => panic!("{other}"),
    }
}

fn path_of(key: &str, pattern: &str) -> bool {
    key_match("keyMatch3", key, pattern)
}

/// `keyMatch4` for patterns whose placeholders are whole segments.
fn equal_names(key: &str, pattern: &str) -> bool {
    if !path_of(key, pattern) {
        return false;
    }
    let mut bound: Vec<(&str, &str)> = Vec::new();
    for (own, text) in pattern.split('/').zip(key.split('/')) {
        if !own.starts_with('{') {
            continue;
        }
        match bound.iter().find(|(name, _)| *name == own) {
            Some((_, first)) if *first != text => return false,
            Some(_) => {}
            None => bound.push((own, text)),
        }
    }
    true
}

/// What the effect makes of the rows, each matching or not.
fn decide(effect: usize, rows: &[(bool, bool)]) -> bool {
    let any = |deny: bool| rows.iter().any(|(matches, own)| *matches && *own == deny);
    match effect {
        0 => any(false),
        1 => !any(true),
        2 => any(false) && !any(true),
        _ => rows
            .iter()
            .find(|(matches, _)| *matches)
            .is_some_and(|(_, deny)| !deny),
    }
}

/// Every answer that is right: more than one only where an error leaves a row open.
fn right_answers(policy: &Policy, request: &Request, erred: &Cell<bool>) -> HashSet<bool> {
    let naive = Naive {
        policy,
        request,
        erred,
    };
    // As Casbin: without rows, and for a matcher that asks for none, one look with empty values.
    let asks = policy.matcher.uses(&|term| {
        !matches!(
            term,
            Term::Constant(..)
                | Term::In(..)
                | Term::Level(_)
                | Term::Owner
                | Term::Not(_)
                | Term::All(_)
                | Term::Any(_)
                | Term::If(..)
        )
    });
    let verdicts: Vec<(Verdict, bool)> = if policy.rows.is_empty() || !asks {
        vec![(naive.term(&policy.matcher, &[""; 4], 0), false)]
    } else {
        policy
            .rows
            .iter()
            .map(|(row, rule, deny)| (naive.term(&policy.matcher, row, *rule), *deny))
            .collect()
    };
    let open = verdicts.iter().filter(|(own, _)| own.is_none()).count();
    (0..1_u32 << open.min(10))
        .map(|assumed| {
            let mut bit = 0;
            let rows: Vec<(bool, bool)> = verdicts
                .iter()
                .map(|(verdict, deny)| {
                    let matches = verdict.unwrap_or_else(|| {
                        bit += 1;
                        assumed >> (bit - 1) & 1 == 1
                    });
                    (matches, *deny)
                })
                .collect();
            decide(policy.effect, &rows)
        })
        .collect()
}

fn terms() -> impl Strategy<Value = Term> {
    let key_match = prop::sample::select(
        &[
            "keyMatch",
            "keyMatch2",
            "keyMatch3",
            "keyMatch4",
            "keyMatch5",
            "regexMatch",
        ][..],
    );
    let leaf = prop_oneof![
        4 => (0..4usize).prop_map(Term::Equal),
        1 => (0..4usize).prop_map(Term::NotEqual),
        3 => Just(Term::Role(0, 2)),
        1 => Just(Term::Role(2, 2)),
        2 => key_match.prop_map(Term::KeyMatch),
        1 => prop::sample::select(&SUBJECTS[..]).prop_map(|text| Term::Constant(0, text)),
        1 => prop::sample::select(&ACTIONS[..]).prop_map(|text| Term::PolicyConstant(3, text)),
        1 => prop::sample::select(&DOMAINS[..]).prop_map(|text| Term::PolicyConstant(1, text)),
        1 => Just(Term::In(3, ["read", "write"])),
        1 => (0..4u8).prop_map(Term::Level),
        1 => Just(Term::Owner),
        1 => Just(Term::Rule),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            6 => prop::collection::vec(inner.clone(), 2..5).prop_map(Term::All),
            2 => prop::collection::vec(inner.clone(), 2..4).prop_map(Term::Any),
            1 => inner.clone().prop_map(|term| Term::Not(Box::new(term))),
            1 => (inner.clone(), inner.clone(), inner).prop_map(|(one, two, three)| {
                Term::If(Box::new(one), Box::new(two), Box::new(three))
            }),
        ]
    })
}

fn policies() -> impl Strategy<Value = Policy> {
    let name = || prop::sample::select(&SUBJECTS[..]);
    let domain = || prop::sample::select(&DOMAINS[..]);
    let object = || prop::sample::select(&OBJECTS[..]);
    let action = prop::sample::select(&ACTIONS[..]);
    let row = (
        (name(), domain(), object(), action).prop_map(|(sub, dom, obj, act)| [sub, dom, obj, act]),
        0..RULES.len(),
        prop::bool::weighted(0.3),
    );
    (
        terms(),
        0..EFFECTS.len(),
        any::<bool>(),
        prop::collection::vec(row, 0..14),
        prop::collection::vec((name(), name(), domain()), 0..8),
        prop::collection::vec((object(), object()), 0..4),
    )
        .prop_map(|(matcher, effect, domains, rows, links, object_links)| {
            let mut policy = Policy {
                matcher,
                effect,
                domains,
                rows,
                links,
                object_links,
            };
            set_domains(&mut policy.matcher, domains);
            // `*` alone is no regular expression: refused when it is loaded.
            if policy
                .matcher
                .uses(&|term| matches!(term, Term::KeyMatch(own) if *own != "keyMatch"))
            {
                policy.rows.retain(|(row, _, _)| row[2] != "*");
            }
            policy
        })
}

fn set_domains(term: &mut Term, domains: bool) {
    match term {
        Term::Role(0, places) => *places = if domains { 3 } else { 2 },
        Term::Not(term) => set_domains(term, domains),
        Term::All(terms) | Term::Any(terms) => {
            terms.iter_mut().for_each(|own| set_domains(own, domains));
        }
        Term::If(one, two, three) => [one, two, three]
            .into_iter()
            .for_each(|own| set_domains(own, domains)),
        _ => {}
    }
}

fn requests() -> impl Strategy<Value = Request> {
    let user = prop_oneof![
        Just(json!({"Level": 3, "Name": "alice"})),
        Just(json!({"Level": 0.5, "Name": "bob"})),
        Just(json!({"Name": "carol"})),
        Just(json!({"Level": "high", "Name": null})),
    ];
    let objects: Vec<&str> = OBJECTS
        .into_iter()
        .chain([
            "/a/",
            "/q/r/q",
            "/q/r/s",
            "/a/b?x=/c",
            "/z/b",
            "/a/b/d",
            "",
            "/é/b",
            "nothing",
        ])
        .collect();
    (
        prop::sample::select(&SUBJECTS[..]),
        prop::sample::select(&DOMAINS[..]),
        prop::sample::select(objects),
        prop::sample::select(&ACTIONS[..]),
        user,
    )
        .prop_map(|(sub, dom, obj, act, user)| Request {
            values: [sub, dom, obj, act],
            user,
        })
}

fn compiled(policy: &Policy) -> CompiledPolicy {
    let (model, rules) = (policy.model(), policy.rules());
    let source = |name, text| Source { name, text };
    match compile(source("model", &model), &[source("rules", &rules)]) {
        Ok(compiled) => compiled,
        Err(error) => panic!("{error}\n{model}\n{rules}"),
    }
}

fn check(
    policy: &Policy,
    compiled: &CompiledPolicy,
    request: &Request,
) -> Result<(), TestCaseError> {
    let [sub, dom, obj, act] = request.values.map(RequestValue::Text);
    let values = [sub, dom, obj, act, RequestValue::from(&request.user)];
    let erred = Cell::new(false);
    let right = right_answers(policy, request, &erred);
    let about = || format!("{request:?}\n{}\n{}", policy.model(), policy.rules());
    match compiled.evaluate(&values) {
        Ok(answer) => {
            prop_assert_eq!(right, HashSet::from([answer]), "{}", about());
        }
        Err(error) => {
            let no_rows = error.code() == "policy_no_rows";
            prop_assert!(erred.get() || no_rows, "{error}\n{}", about());
        }
    }
    // Row by row, as Casbin does it.
    match (compiled.evaluate(&values), compiled.explain("", &values)) {
        (Ok(answer), Ok(explained)) => {
            prop_assert_eq!(answer, explained.allowed, "{}", about());
        }
        (Err(_), Ok(_)) | (_, Err(_)) => prop_assert!(erred.get() || policy.rows.is_empty()),
    }
    Ok(())
}

#[test]
fn compiled_answers_are_those_of_every_row() {
    let config = ProptestConfig {
        cases: POLICIES,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    };
    let strategy = (
        policies(),
        prop::collection::vec(requests(), REQUESTS..=REQUESTS),
    );
    let asked = Cell::new(0);
    proptest::test_runner::TestRunner::new(config)
        .run(&strategy, |(policy, requests)| {
            let compiled = compiled(&policy);
            asked.set(asked.get() + requests.len());
            requests
                .iter()
                .try_for_each(|request| check(&policy, &compiled, request))
        })
        .unwrap();
    assert!(asked.get() >= 100_000, "{}", asked.get());
}

/// What casbin-rs has and answers as Casbin does: no attributes, no `eval`, no conditions.
fn is_shared(policy: &Policy) -> bool {
    let unshared = |term: &Term| {
        matches!(
            term,
            Term::Level(_)
                | Term::Owner
                | Term::Rule
                | Term::If(..)
                | Term::In(..)
                | Term::KeyMatch("keyMatch3" | "keyMatch4" | "keyMatch5")
        )
    };
    let asks = policy
        .matcher
        .uses(&|term| matches!(term, Term::Equal(_) | Term::Role(..) | Term::KeyMatch(_)));
    // casbin-rs panics on these.
    let braces = policy.rows.iter().any(|(row, _, _)| row[2].contains('{'))
        && policy
            .matcher
            .uses(&|term| matches!(term, Term::KeyMatch("keyMatch2" | "regexMatch")));
    !policy.rows.is_empty() && asks && !braces && !policy.matcher.uses(&unshared)
}

async fn enforcer(policy: &Policy) -> Enforcer {
    // casbin-rs has no JSON request values in this form: the fifth is a name.
    let model = DefaultModel::from_str(&policy.model()).await.unwrap();
    let mut enforcer = Enforcer::new(model, MemoryAdapter::default())
        .await
        .unwrap();
    let mut seen = HashSet::new();
    for (values, rule, deny) in &policy.rows {
        let mut row: Vec<String> = values.iter().map(|own| (*own).to_owned()).collect();
        row.push(RULES[*rule].to_owned());
        row.push(if *deny { "deny" } else { "allow" }.to_owned());
        // It refuses a row it has.
        if seen.insert(row.clone()) {
            enforcer.add_policy(row).await.unwrap();
        }
    }
    let mut seen = HashSet::new();
    for (member, role, domain) in &policy.links {
        let mut link = vec![(*member).to_owned(), (*role).to_owned()];
        if policy.domains {
            link.push((*domain).to_owned());
        }
        if seen.insert(link.clone()) {
            enforcer.add_grouping_policy(link).await.unwrap();
        }
    }
    let mut seen = HashSet::new();
    for (member, role) in &policy.object_links {
        let link = vec![(*member).to_owned(), (*role).to_owned()];
        if seen.insert(link.clone()) {
            enforcer
                .add_named_grouping_policy("g2", link)
                .await
                .unwrap();
        }
    }
    enforcer
}

#[test]
fn compiled_answers_are_those_of_casbin_rs() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let config = ProptestConfig {
        cases: 600,
        failure_persistence: None,
        max_shrink_iters: 5_000,
        max_global_rejects: 100_000,
        ..ProptestConfig::default()
    };
    let strategy = (
        policies().prop_filter("a feature that casbin-rs does not share", is_shared),
        prop::collection::vec(requests(), 20..=20),
    );
    let asked = Cell::new(0);
    proptest::test_runner::TestRunner::new(config)
        .run(&strategy, |(policy, requests)| {
            let compiled = compiled(&policy);
            let enforcer = runtime.block_on(enforcer(&policy));
            for request in requests.iter().filter(|own| own.values[2].is_ascii()) {
                let [sub, dom, obj, act] = request.values;
                let own = compiled.enforce(&[sub, dom, obj, act, "u"]);
                let theirs = enforcer.enforce((sub, dom, obj, act, "u"));
                let theirs = theirs.expect("casbin-rs answers");
                prop_assert_eq!(
                    own,
                    Ok(theirs),
                    "{:?}\n{}\n{}",
                    request,
                    policy.model(),
                    policy.rules()
                );
                asked.set(asked.get() + 1);
            }
            Ok(())
        })
        .unwrap();
    assert!(asked.get() > 10_000, "{}", asked.get());
}
