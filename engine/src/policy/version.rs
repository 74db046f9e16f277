use sha2::{Digest as _, Sha256};

use super::{Model, Rules};
use crate::authz::CompileOptions;

/// The name of what a policy means: `v2:` and the SHA-256 of its canonical form in lower-case
/// hex. Comments, white space, the order of files and repeated rows do not change it; neither
/// does the order of rows, unless the first that matches decides.
pub fn policy_version(model: &Model, rules: &Rules, options: &CompileOptions) -> String {
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
    for definition in model.requests.iter().chain(&model.policies) {
        let fields: Vec<&str> = definition.fields.iter().map(String::as_str).collect();
        list(&definition.key, &fields);
    }
    for definition in &model.roles {
        list(&definition.key, &[&definition.places.to_string()]);
    }
    for effect in &model.effects {
        list(&effect.key, &[effect.value.name()]);
    }
    for matcher in &model.matchers {
        list(&matcher.key, &[&matcher.value.to_string()]);
    }
    for (tag, map) in [
        ("role matching", &options.role_matching),
        ("domain matching", &options.domain_matching),
    ] {
        for (relation, function) in map {
            list(tag, &[relation, function]);
        }
    }
    let ordered = model
        .effects
        .iter()
        .any(|effect| effect.value.is_first_match());
    let mut rows: Vec<Vec<&str>> = rules
        .rows
        .iter()
        .map(|row| {
            let kind = model.policies.get(row.kind).map(|own| own.key.as_str());
            kind.into_iter()
                .chain(row.values.iter().map(String::as_str))
                .collect()
        })
        .collect();
    if !ordered {
        rows.sort_unstable();
        rows.dedup();
    }
    for row in &rows {
        list("row", row);
    }
    let mut links: Vec<[&str; 4]> = rules
        .links
        .iter()
        .map(|link| {
            let kind = model.roles.get(link.kind).map(|own| own.key.as_str());
            [
                kind.unwrap_or_default(),
                link.member.as_str(),
                link.role.as_str(),
                link.domain.as_str(),
            ]
        })
        .collect();
    links.sort_unstable();
    links.dedup();
    for link in &links {
        list("link", link);
    }
    let digest = hash.finalize();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v2:{hex}")
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
                BASELINE_MODEL.replace("r.obj == p.obj", "r.obj  ==p.obj")
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

    #[test]
    fn order_counts_where_the_first_row_decides() {
        let model = BASELINE_MODEL
            .replace("p = sub, obj, act", "p = sub, obj, act, eft")
            .replace("some(where (p.eft == allow))", "priority(p.eft) || deny");
        let (allow, deny) = ("p, a, b, c, allow\n", "p, a, b, c, deny\n");
        let one = version(&model, &[&format!("{allow}{deny}")]);
        assert_ne!(one, version(&model, &[&format!("{deny}{allow}")]));
    }
}
