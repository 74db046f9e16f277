use std::hint::black_box;
use std::time::Instant;

use casbin::{CoreApi as _, DefaultModel, Enforcer, MemoryAdapter, MgmtApi as _};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicySet, Request as CedarRequest,
};
use serde_json::json;
use tokensmith_bench::{Contestant, Report, take_turns};
use tokensmith_engine::authz::{CompiledPolicy, RequestValue};
use tokensmith_engine::policy::{BASELINE_MODEL, Source, baseline_rules, compile};

/// More than this many rules take others too long to be worth the wait.
const OTHERS: usize = 10_000;

/// Decisions by policies of several kinds and sizes, allowed and denied.
pub(crate) fn compare(report: &mut Report) {
    let baseline: Vec<[String; 3]> = baseline_rules()
        .lines()
        .map(|line| {
            let mut values = line.split(", ").skip(1).map(str::to_owned);
            [(); 3].map(|()| values.next().unwrap())
        })
        .collect();
    roles(report, "58 rules (baseline)", &baseline, 0);
    for (count, members) in [(10_000, 0), (100_000, 0), (100_000, 100_000)] {
        let rules: Vec<[String; 3]> = (0..count)
            .map(|number| {
                [
                    format!("role:r{}", number % 100),
                    format!("object:{number}"),
                    "read".to_owned(),
                ]
            })
            .collect();
        let what = match members {
            0 => format!("{count} rules"),
            _ => format!("{count} rules, {members} groupings"),
        };
        roles(report, &what, &rules, members);
    }
    paths(report);
    expressions(report);
    attributes(report);
}

fn roles(report: &mut Report, what: &str, rules: &[[String; 3]], members: usize) {
    let mut text: String = rules
        .iter()
        .map(|rule| format!("p, {}\n", rule.join(", ")))
        .collect();
    for number in 0..members {
        text.push_str(&format!("g, user:{number}, role:r{}\n", number % 100));
    }
    let started = Instant::now();
    let policy = compiled(BASELINE_MODEL, &text);
    let taken = started.elapsed();
    let count = rules.len() + members;
    report.note(
        &format!("{what}: compile"),
        &format!(
            "{:.3} s, {} bytes a row",
            taken.as_secs_f64(),
            policy.bytes() / count
        ),
    );
    let casbin = (count <= OTHERS).then(|| enforcer(rules));
    let cedar = (count <= OTHERS).then(|| Cedar::new(rules));
    let last = rules.last().unwrap();
    let subject = match members {
        0 => last[0].clone(),
        _ => format!("user:{}", members - 1),
    };
    for (verdict, action) in [("allow", last[2].as_str()), ("deny", "none")] {
        let allowed = verdict == "allow";
        let request = [subject.as_str(), last[1].as_str(), action];
        let mut contestants = vec![Contestant::new("tokensmith-engine", || {
            assert_eq!(policy.enforce(black_box(&request)).unwrap(), allowed);
        })];
        if let Some(enforcer) = &casbin {
            let [subject, object, _] = request;
            contestants.push(Contestant::new("casbin-rs 2.20", move || {
                assert_eq!(
                    enforcer
                        .enforce(black_box((subject, object, action)))
                        .unwrap(),
                    allowed
                );
            }));
        }
        if let Some(cedar) = &cedar {
            let request = cedar.request(request);
            contestants.push(Contestant::new("cedar-policy 4.14", move || {
                assert_eq!(cedar.allows(black_box(&request)), allowed);
            }));
        }
        report.compare(&format!("{what}, {verdict}"), &take_turns(contestants));
    }
}

/// A thousand path patterns: each of its own, and all of one shape.
fn paths(report: &mut Report) {
    let model = BASELINE_MODEL.replace("r.obj == p.obj", "keyMatch2(r.obj, p.obj)");
    for (what, pattern, key) in [
        (
            "1,000 keyMatch2 rules, /resource/:id",
            "/res{}/:id",
            "/res999/x1000c0s0b0n0",
        ),
        (
            "1,000 keyMatch2 rules, /:tenant/resource/*",
            "/:tenant/res{}/*",
            "/site-a/res999/x1000/c0",
        ),
    ] {
        let text: String = (0..1000)
            .map(|number| {
                let pattern = pattern.replace("{}", &number.to_string());
                format!("p, role:viewer, {pattern}, GET\n")
            })
            .collect();
        let policy = compiled(&model, &text);
        let other = key.replace("999", "1000");
        report.compare(
            what,
            &take_turns(vec![
                Contestant::new("tokensmith-engine, allow", || {
                    let request = ["role:viewer", key, "GET"];
                    assert!(policy.enforce(black_box(&request)).unwrap());
                }),
                Contestant::new("tokensmith-engine, deny", || {
                    let request = ["role:viewer", other.as_str(), "GET"];
                    assert!(!policy.enforce(black_box(&request)).unwrap());
                }),
            ]),
        );
    }
}

/// A thousand regular expressions that may be found anywhere.
fn expressions(report: &mut Report) {
    let model = BASELINE_MODEL.replace("r.obj == p.obj", "regexMatch(r.obj, p.obj)");
    let text: String = (0..1000)
        .map(|number| format!("p, role:viewer, \"rack-{number}/[a-z]+[0-9]+$\", GET\n"))
        .collect();
    let policy = compiled(&model, &text);
    report.compare(
        "1,000 regexMatch rules",
        &take_turns(vec![
            Contestant::new("tokensmith-engine, allow", || {
                let request = ["role:viewer", "/site-a/rack-999/node17", "GET"];
                assert!(policy.enforce(black_box(&request)).unwrap());
            }),
            Contestant::new("tokensmith-engine, deny", || {
                let request = ["role:viewer", "/site-a/rack-1000/node17", "GET"];
                assert!(!policy.enforce(black_box(&request)).unwrap());
            }),
        ]),
    );
}

/// A condition on attributes, evaluated on ten rows.
fn attributes(report: &mut Report) {
    const MODEL: &str = "\
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub_rule, obj, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.obj == p.obj && r.act == p.act && eval(p.sub_rule)
";
    let mut text = String::new();
    for number in 0..1000 {
        for rule in 0..10 {
            text.push_str(&format!(
                "p, \"r.sub.Level > {} && r.sub.Site == 'site-{rule}'\", object:{number}, read\n",
                rule + 1
            ));
        }
    }
    let policy = compiled(MODEL, &text);
    let allowed = json!({"Level": 99, "Site": "site-9"});
    let denied = json!({"Level": 99, "Site": "site-x"});
    let request = |subject| {
        [
            RequestValue::from(subject),
            RequestValue::Text("object:500"),
            RequestValue::Text("read"),
        ]
    };
    let (allowed, denied) = (request(&allowed), request(&denied));
    report.compare(
        "attributes, 10 candidate rows of 10,000",
        &take_turns(vec![
            Contestant::new("tokensmith-engine, allow by the last", || {
                assert!(policy.evaluate(black_box(&allowed)).unwrap());
            }),
            Contestant::new("tokensmith-engine, deny", || {
                assert!(!policy.evaluate(black_box(&denied)).unwrap());
            }),
        ]),
    );
}

fn compiled(model: &str, rules: &str) -> CompiledPolicy {
    let model = Source {
        name: "model",
        text: model,
    };
    let rules = Source {
        name: "rules",
        text: rules,
    };
    compile(model, &[rules]).unwrap()
}

fn enforcer(rules: &[[String; 3]]) -> Enforcer {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let model = DefaultModel::from_str(BASELINE_MODEL).await.unwrap();
        let mut enforcer = Enforcer::new(model, MemoryAdapter::default())
            .await
            .unwrap();
        let rules = rules.iter().map(|rule| rule.to_vec()).collect();
        enforcer.add_policies(rules).await.unwrap();
        enforcer
    })
}

/// One permit for each rule, as Cedar's templates would be linked.
struct Cedar {
    policies: PolicySet,
    entities: Entities,
    authorizer: Authorizer,
}

impl Cedar {
    fn new(rules: &[[String; 3]]) -> Self {
        let text: String = rules
            .iter()
            .map(|[subject, object, action]| {
                format!(
                    "permit(principal == Subject::\"{subject}\", action == Action::\"{action}\", \
                     resource == Object::\"{object}\");\n"
                )
            })
            .collect();
        Self {
            policies: text.parse().unwrap(),
            entities: Entities::from_entities(std::iter::empty::<Entity>(), None).unwrap(),
            authorizer: Authorizer::new(),
        }
    }

    fn request(&self, [subject, object, action]: [&str; 3]) -> CedarRequest {
        let uid = |kind: &str, name: &str| -> EntityUid {
            format!("{kind}::\"{name}\"").parse().unwrap()
        };
        CedarRequest::new(
            uid("Subject", subject),
            uid("Action", action),
            uid("Object", object),
            Context::empty(),
            None,
        )
        .unwrap()
    }

    fn allows(&self, request: &CedarRequest) -> bool {
        let answer = self
            .authorizer
            .is_authorized(request, &self.policies, &self.entities);
        answer.decision() == Decision::Allow
    }
}
