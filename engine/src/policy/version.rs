use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use super::{Effect, MatchTerm, Model, Rules};

/// The name of what a policy means: `v2:` and the SHA-256 of its canonical form in lower-case
/// hex. Comments, white space, the order of files and rows, and repeated rows do not change it.
pub fn policy_version(model: &Model, rules: &Rules) -> String {
    let mut hash = Sha256::new();
    // Every value goes in behind its length, so that no two policies have one canonical form.
    let mut put = |value: &str| {
        hash.update((value.len() as u64).to_be_bytes());
        hash.update(value.as_bytes());
    };
    let mut list = |tag: &str, values: &[&str]| {
        put(tag);
        put(&values.len().to_string());
        values.iter().for_each(|value| put(value));
    };
    list(
        "r",
        &model.request.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    list(
        "p",
        &model.policy.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    list("g", if model.has_roles { &["_", "_"] } else { &[] });
    let effect = match model.effect {
        Effect::AllowOverride => "allow-override",
        Effect::DenyOverride => "deny-override",
        Effect::AllowAndDeny => "allow-and-deny",
    };
    list("e", &[effect]);
    let terms: BTreeSet<String> = model.terms.iter().map(canonical_term).collect();
    list("m", &terms.iter().map(String::as_str).collect::<Vec<_>>());
    for row in rules.rows.iter().collect::<BTreeSet<_>>() {
        let effect = if row.deny { "deny" } else { "allow" };
        let values = row.values.iter().map(String::as_str).chain([effect]);
        list("p row", &values.collect::<Vec<_>>());
    }
    for (member, role) in rules.groupings.iter().collect::<BTreeSet<_>>() {
        list("g row", &[member, role]);
    }
    let digest = hash.finalize();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v2:{hex}")
}

fn canonical_term(term: &MatchTerm) -> String {
    match term {
        MatchTerm::Equal { request, policy } => format!("equal {request} {policy}"),
        MatchTerm::Role { request, policy } => format!("role {request} {policy}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BASELINE_MODEL, Source, compile};

    fn version(model: &str, texts: &[&str]) -> String {
        let sources: Vec<_> = texts
            .iter()
            .map(|text| Source { name: "r", text })
            .collect();
        let model = Source {
            name: "m",
            text: model,
        };
        compile(model, &sources)
            .unwrap()
            .policy_version()
            .to_owned()
    }

    #[test]
    fn only_meaning_counts() {
        let one = version(BASELINE_MODEL, &["p, a, b, c\np, d, e, f\ng, x, a"]);
        let two = version(
            &format!(
                "# note\n{}",
                BASELINE_MODEL.replace("r.obj == p.obj", "p.obj  ==r.obj")
            ),
            &["g,x,a # y", "\u{feff}p, d,e,f\r\n\np,a,b,c\np,a,b,c"],
        );
        assert_eq!(one, two);
        assert_ne!(
            one,
            version(BASELINE_MODEL, &["p, a, b, c\np, d, e, f\ng, a, x"])
        );
        assert_ne!(
            version(BASELINE_MODEL, &["p, ab, c, d"]),
            version(BASELINE_MODEL, &["p, a, bc, d"])
        );
    }
}
