use std::cmp::Reverse;

use hashbrown::HashMap;

use crate::policy::{Definition, Effect, Link, Location, Model, PolicyError, Row, Rules};

/// A name in a domain.
type Name<'r> = (&'r str, &'r str);

/// The rows of a kind in the order Casbin looks at them, with their positions in the rules: as
/// they are written, or by subject or a column `priority`.
pub(super) fn ordered<'r>(
    kind: usize,
    definition: &Definition,
    model: &Model,
    rules: &'r Rules,
) -> Result<Vec<(usize, &'r Row)>, PolicyError> {
    let mut rows: Vec<(usize, &Row)> = rules
        .rows
        .iter()
        .enumerate()
        .filter(|(_, row)| row.kind == kind)
        .collect();
    let by_subject = model
        .effects
        .first()
        .is_some_and(|effect| effect.value == Effect::SubjectPriority);
    if by_subject {
        let depths = depths(model, rules)?;
        let domain = definition.position("dom");
        rows.sort_by_key(|(_, row)| {
            let domain = domain.map_or("", |field| row.value(field));
            Reverse(depths.get(&(domain, row.value(0))).copied().unwrap_or(0))
        });
    }
    if let Some(field) = definition.position("priority") {
        let mut keyed = Vec::with_capacity(rows.len());
        for (index, row) in rows {
            keyed.push((priority(row, field, rules)?, index, row));
        }
        keyed.sort_by_key(|(priority, _, _)| *priority);
        rows = keyed
            .into_iter()
            .map(|(_, index, row)| (index, row))
            .collect();
    }
    Ok(rows)
}

fn priority(row: &Row, field: usize, rules: &Rules) -> Result<i64, PolicyError> {
    let text = row.value(field);
    text.parse().map_err(|_| PolicyError::Syntax {
        at: rules.location(row.origin, row.column(field)),
        message: format!("priority `{text}` is not a whole number"),
    })
}

/// How many links each name is below the roles that have no role: the most, where there are
/// several ways.
fn depths<'r>(model: &Model, rules: &'r Rules) -> Result<HashMap<Name<'r>, usize>, PolicyError> {
    let Some(kind) = model.roles.iter().position(|own| own.key == "g") else {
        return Ok(HashMap::new());
    };
    let links: Vec<&Link> = rules.links.iter().filter(|own| own.kind == kind).collect();
    let mut members: HashMap<Name<'_>, Vec<Name<'_>>> = HashMap::new();
    // How many roles of each name are still to be looked at.
    let mut open: HashMap<Name<'_>, usize> = HashMap::new();
    for link in &links {
        let role = (link.domain.as_str(), link.role.as_str());
        let member = (link.domain.as_str(), link.member.as_str());
        members.entry(role).or_default().push(member);
        open.entry(role).or_insert(0);
        *open.entry(member).or_insert(0) += 1;
    }
    let mut depths: HashMap<Name<'_>, usize> = HashMap::new();
    let mut ready: Vec<Name<'_>> = open
        .iter()
        .filter(|(_, roles)| **roles == 0)
        .map(|(name, _)| *name)
        .collect();
    let mut seen = 0;
    while let Some(role) = ready.pop() {
        seen += 1;
        let below = depths.get(&role).copied().unwrap_or(0) + 1;
        for member in members.get(&role).into_iter().flatten() {
            let depth = depths.entry(*member).or_insert(0);
            *depth = below.max(*depth);
            if let Some(roles) = open.get_mut(member) {
                *roles -= 1;
                if *roles == 0 {
                    ready.push(*member);
                }
            }
        }
    }
    // Names in a circle are never ready.
    if seen == open.len() {
        return Ok(depths);
    }
    Err(PolicyError::Unsupported {
        at: links.first().map_or_else(
            || Location {
                source: String::new(),
                line: 1,
                column: 1,
            },
            |link| rules.location(link.origin, 1),
        ),
        message: "`subjectPriority` needs roles that do not go in a circle".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use crate::policy::{BASELINE_MODEL, Source, compile};

    #[test]
    fn circles_of_roles_are_refused_where_depth_counts() {
        let model = BASELINE_MODEL
            .replace("p = sub, obj, act", "p = sub, obj, act, eft")
            .replace(
                "some(where (p.eft == allow))",
                "subjectPriority(p.eft) || deny",
            );
        let load = |rules: &str| {
            let model = Source {
                name: "m",
                text: &model,
            };
            let rules = Source {
                name: "p",
                text: rules,
            };
            compile(model, &[rules]).map(|policy| policy.enforce(&["alice", "o", "a"]).unwrap())
        };
        let rows = "p, top, o, a, deny\np, alice, o, a, allow\n";
        assert_eq!(load(&format!("{rows}g, alice, mid\ng, mid, top")), Ok(true));
        assert_eq!(load(rows), Ok(true));
        for circle in ["g, a, b\ng, b, a", "g, a, b\ng, b, a\ng, a, top", "g, a, a"] {
            let error = load(&format!("{rows}{circle}")).unwrap_err();
            assert_eq!(error.code(), "policy_unsupported", "{circle}");
        }
    }
}
