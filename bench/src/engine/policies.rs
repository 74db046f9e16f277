use std::hint::black_box;

use casbin::{CoreApi as _, DefaultModel, Enforcer, MemoryAdapter, MgmtApi as _};
use tokensmith_bench::{Contestant, Report, take_turns};
use tokensmith_engine::policy::{BASELINE_MODEL, Source, baseline_rules, compile};

/// Decisions by role, for policies of several sizes; the last rule allows, no rule denies.
pub(crate) fn compare(report: &mut Report) {
    let baseline: Vec<Vec<String>> = baseline_rules()
        .lines()
        .map(|line| line.split(", ").skip(1).map(str::to_owned).collect())
        .collect();
    one(report, "58 rules (baseline)", &baseline, true);
    for count in [10_000, 100_000] {
        let rules: Vec<Vec<String>> = (0..count)
            .map(|number| {
                vec![
                    format!("role:r{}", number % 100),
                    format!("object:{number}"),
                    "read".to_owned(),
                ]
            })
            .collect();
        // Linear scans of 100,000 rules take too long to be worth the wait.
        one(report, &format!("{count} rules"), &rules, count <= 10_000);
    }
}

fn one(report: &mut Report, what: &str, rules: &[Vec<String>], casbin: bool) {
    let text: String = rules
        .iter()
        .map(|rule| format!("p, {}\n", rule.join(", ")))
        .collect();
    let model = Source {
        name: "model",
        text: BASELINE_MODEL,
    };
    let source = Source {
        name: "rules",
        text: &text,
    };
    let policy = compile(model, &[source]).unwrap();
    let enforcer = casbin.then(|| enforcer(rules));
    let last = rules.last().unwrap();
    for (verdict, action) in [("allow", last[2].as_str()), ("deny", "none")] {
        let allowed = verdict == "allow";
        let request = [last[0].as_str(), last[1].as_str(), action];
        let [subject, object, _] = request;
        let mut contestants = vec![Contestant::new("tokensmith-engine", || {
            assert_eq!(policy.enforce(black_box(&request)).unwrap(), allowed);
        })];
        if let Some(enforcer) = &enforcer {
            contestants.push(Contestant::new("casbin-rs 2.20", || {
                assert_eq!(
                    enforcer
                        .enforce(black_box((subject, object, action)))
                        .unwrap(),
                    allowed
                );
            }));
        }
        report.compare(&format!("{what}, {verdict}"), &take_turns(contestants));
    }
}

fn enforcer(rules: &[Vec<String>]) -> Enforcer {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let model = DefaultModel::from_str(BASELINE_MODEL).await.unwrap();
        let mut enforcer = Enforcer::new(model, MemoryAdapter::default())
            .await
            .unwrap();
        enforcer.add_policies(rules.to_vec()).await.unwrap();
        enforcer
    })
}
