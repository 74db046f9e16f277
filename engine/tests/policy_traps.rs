//! Policies whose first reading is wrong, each a case that was wrong once.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use serde_json::{Value, json};
use tokensmith_engine::authz::{CompileOptions, CompiledPolicy, RequestValue};
use tokensmith_engine::policy::{PolicyError, Source, compile_with};

fn load(
    fields: &str,
    effect: &str,
    matcher: &str,
    rules: &str,
    options: &str,
) -> Result<CompiledPolicy, PolicyError> {
    let (request, policy) = fields.split_once(" / ").unwrap();
    let places = if request.contains("dom") {
        "_, _, _"
    } else {
        "_, _"
    };
    let model = format!(
        "[request_definition]\nr = {request}\n[policy_definition]\np = {policy}\n\
         [role_definition]\ng = {places}\ng2 = {places}\n[policy_effect]\ne = {effect}\n[matchers]\nm = {matcher}\n"
    );
    let options: CompileOptions = serde_json::from_str(options).unwrap();
    let source = |name, text| Source { name, text };
    compile_with(
        source("model", &model),
        &[source("policy", rules)],
        &options,
    )
}

fn ask(policy: &CompiledPolicy, request: Value) -> Option<bool> {
    let values: Vec<RequestValue<'_>> = request
        .as_array()
        .unwrap()
        .iter()
        .map(RequestValue::from)
        .collect();
    policy.evaluate(&values).ok()
}

const ALLOW: &str = "some(where (p.eft == allow))";

#[test]
fn definitions_are_known_by_their_number_not_their_place() {
    let model = "[request_definition]\nr2 = a, b\nr = sub, obj\n[policy_definition]\np2 = a\np = sub, obj, eft\n\
        [role_definition]\ng = _, _\n[policy_effect]\ne2 = some(where (p.eft == allow))\ne = subjectPriority(p.eft) || deny\n\
        [matchers]\nm2 = r2.a == p2.a\nm = g(r.sub, p.sub) && r.obj == p.obj\n";
    let rules = "p, top, o, allow\np, alice, o, deny\ng, alice, top\n";
    let source = |name, text| Source { name, text };
    let options = CompileOptions::default();
    let policy = compile_with(source("m", model), &[source("p", rules)], &options).unwrap();
    assert_eq!(policy.request_names(), ["sub", "obj"]);
    assert_eq!(
        policy.enforce(&["alice", "o"]),
        Ok(false),
        "the more special row decides"
    );
}

#[test]
fn numbers_are_no_operands_of_or() {
    let load = |matcher| {
        load(
            "sub, usr / sub, rule",
            ALLOW,
            matcher,
            "p, alice, r.usr.Level\n",
            "{}",
        )
    };
    let policy = load("eval(p.rule) || r.sub == p.sub").unwrap();
    assert_eq!(ask(&policy, json!(["bob", {"Level": 5}])), None);
    assert_eq!(ask(&policy, json!(["alice", {"Level": 0}])), None);
    let policy = load("eval(p.rule)").unwrap();
    assert_eq!(ask(&policy, json!(["bob", {"Level": 5}])), Some(true));
    assert_eq!(ask(&policy, json!(["bob", {"Level": 0}])), Some(false));
}

#[test]
fn without_rows_patterns_are_empty_ones() {
    for (matcher, expected) in [
        ("r.obj !~ p.obj", Some(false)),
        ("!regexMatch(r.obj, p.obj)", Some(false)),
        ("!ipMatch(r.obj, p.obj)", None),
        ("!keyMatch(r.obj, p.obj)", Some(true)),
    ] {
        let policy = load("sub, obj / sub, obj", ALLOW, matcher, "", "{}").unwrap();
        assert_eq!(
            ask(&policy, json!(["a", "10.0.0.1"])),
            expected,
            "{matcher}"
        );
    }
}

#[test]
fn domain_patterns_are_on_where_casbin_turns_them_on() {
    let rules = "p, admin, *, o\ng, alice, admin, *\ng2, o, things, *\np, admin, *, things\n";
    for (matcher, expected) in [
        (
            "g(r.sub, p.sub, r.dom) && keyMatch(r.dom, p.dom) && r.obj == p.obj",
            Some(true),
        ),
        (
            "g(r.sub, p.sub, r.dom) && keyMatch(r.dom,p.dom) && r.obj == p.obj",
            Some(false),
        ),
    ] {
        let policy = load("sub, dom, obj / sub, dom, obj", ALLOW, matcher, rules, "{}").unwrap();
        assert_eq!(
            ask(&policy, json!(["alice", "d1", "o"])),
            expected,
            "{matcher}"
        );
    }
    let matcher = "g(r.sub, p.sub, r.dom) && keyMatch(r.dom, p.dom) && g2(r.obj, p.obj, r.dom)";
    let rules = "p, admin, *, things\ng, alice, admin, *\ng2, o, things, *\n";
    let policy = load("sub, dom, obj / sub, dom, obj", ALLOW, matcher, rules, "{}").unwrap();
    assert_eq!(ask(&policy, json!(["alice", "d1", "o"])), Some(true));
}

#[test]
fn what_casbin_reads_otherwise_or_a_caller_chooses_is_refused() {
    let refused = |matcher: &str, options: &str| {
        let loaded = load(
            "sub, group_id / sub, obj",
            ALLOW,
            matcher,
            "p, a, b\n",
            options,
        );
        loaded.unwrap_err().code()
    };
    assert_eq!(refused("r.group_id == \"x\"", "{}"), "policy_unsupported");
    let options = r#"{"role_matching": {"g2": "regexMatch"}}"#;
    let callers = "g2(p.obj, r.group_id) && r.sub == p.sub";
    assert_eq!(refused(callers, options), "policy_unsupported");
    let plain = load(
        "sub, group_id / sub, obj",
        ALLOW,
        callers,
        "p, a, b\n",
        "{}",
    )
    .unwrap();
    assert_eq!(ask(&plain, json!(["a", ".*"])), Some(false));
}

#[test]
fn arrays_are_elements_of_nothing() {
    let policy = load(
        "sub, obj / sub",
        ALLOW,
        "r.sub.Tags in (r.obj.Lists)",
        "",
        "{}",
    )
    .unwrap();
    let ask = |element: Value| ask(&policy, json!([{"Tags": ["a"]}, {"Lists": [element]}]));
    assert_eq!(ask(json!(["a"])), None);
    assert_eq!(ask(json!("a")), Some(false));
}

#[test]
fn errors_behind_the_row_that_decides_are_not_seen() {
    let matcher = "g(r.sub, p.sub) && (p.kind == \"any\" || r.obj.Owner == p.owner)";
    let rules = "p, admin, any, x, allow\np, admin, own, bob, deny\n";
    for (effect, expected) in [
        ("priority(p.eft) || deny", Some(true)),
        (ALLOW, Some(true)),
        ("!some(where (p.eft == deny))", None),
    ] {
        let policy = load(
            "sub, obj / sub, kind, owner, eft",
            effect,
            matcher,
            rules,
            "{}",
        )
        .unwrap();
        assert_eq!(ask(&policy, json!(["admin", {}])), expected, "{effect}");
        assert_eq!(
            ask(&policy, json!(["nobody", {}])).unwrap_or(false),
            effect.starts_with('!')
        );
    }
}
