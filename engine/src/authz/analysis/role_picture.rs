use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::AnalysisError;
use super::picture_svg;
use crate::authz::compiled::CompiledPolicy;

/// The most nodes of a picture that anybody could read.
const NODES: usize = 300;

/// Who has which roles, and what roles may do.
///
/// ```
/// let policy = tokensmith_engine::policy::compile_baseline().unwrap();
/// let picture = policy.role_picture_of("role:service").unwrap();
/// assert_eq!(
///     picture.to_mermaid(),
///     "flowchart LR\n    n0[\"metadata#58;groups#58; read\"]\n    \
///      n1[\"metadata#58;nodes#58; read\"]\n    n2([\"role#58;service\"])\n    \
///      n2 --> n0\n    n2 --> n1\n"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RolePicture {
    /// Members, roles and grants, sorted by name.
    pub nodes: Vec<PictureNode>,
    /// From members to their roles, and from subjects of rows to what they are granted.
    pub edges: Vec<PictureEdge>,
}

/// A member, a role or a grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PictureNode {
    /// A member's or role's name, or a grant as `object: actions`.
    pub name: String,
    /// What it is.
    pub kind: NodeKind,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// Somebody or something that has roles or grants and is nobody's role.
    Member,
    /// A name that others have, or that begins with `role:`.
    Role,
    /// What rows allow.
    Grant,
    /// What rows deny.
    Denial,
}

/// An edge of the picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PictureEdge {
    /// The position of the member among the nodes.
    pub from: usize,
    /// That of the role or grant.
    pub to: usize,
    /// The relation, when it is not `g`, and the domain.
    pub label: String,
}

/// A node before it has a position: names and grants may be spelled alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Name,
    Grant,
    Denial,
}

type Key = (String, Group);

impl CompiledPolicy {
    /// The picture of all roles.
    ///
    /// # Errors
    /// [`AnalysisError::PictureTooLarge`].
    pub fn role_picture(&self) -> Result<RolePicture, AnalysisError> {
        picture(&self.edges())
    }

    /// The picture of what one subject has, directly and through roles.
    ///
    /// # Errors
    /// [`AnalysisError::UnknownSubject`] when the policy does not name it, and
    /// [`AnalysisError::PictureTooLarge`].
    pub fn role_picture_of(&self, subject: &str) -> Result<RolePicture, AnalysisError> {
        let edges = self.edges();
        let mut ways: BTreeMap<&Key, Vec<&(Key, Key, String)>> = BTreeMap::new();
        for edge in &edges {
            ways.entry(&edge.0).or_default().push(edge);
        }
        let start = (subject.to_owned(), Group::Name);
        let is_named = |(from, to, _): &(Key, Key, String)| *from == start || *to == start;
        if !edges.iter().any(is_named) {
            return Err(AnalysisError::UnknownSubject(subject.to_owned()));
        }
        let mut kept = BTreeSet::new();
        let mut seen = BTreeSet::from([&start]);
        let mut open = vec![&start];
        while let Some(own) = open.pop() {
            for edge in ways.get(own).into_iter().flatten() {
                kept.insert((*edge).clone());
                if seen.insert(&edge.1) {
                    open.push(&edge.1);
                }
            }
        }
        if kept.is_empty() {
            // A role without roles and grants is a picture of itself.
            let kind = kind(&start, true);
            let node = PictureNode {
                name: subject.to_owned(),
                kind,
            };
            return Ok(RolePicture {
                nodes: vec![node],
                edges: Vec::new(),
            });
        }
        picture(&kept)
    }

    /// All edges by what they join, and their labels.
    fn edges(&self) -> BTreeSet<(Key, Key, String)> {
        let mut edges = BTreeSet::new();
        for (index, graph) in self.graphs.iter().enumerate() {
            let relation = self.relations.get(index).map_or("g", String::as_str);
            for link in graph.links() {
                let text = |name: u32| (self.symbols.text(name).to_owned(), Group::Name);
                let domain = self.symbols.text(link.domain);
                let label = match (relation, domain) {
                    ("g", domain) => domain.to_owned(),
                    (relation, "") => relation.to_owned(),
                    (relation, domain) => format!("{relation}, {domain}"),
                };
                edges.insert((text(link.member), text(link.role), label));
            }
        }
        for (number, matcher) in self.matchers.iter().enumerate() {
            let subjects = self.subject_fields(number, matcher);
            let subject = subjects.first().copied().unwrap_or_default();
            for (own, grant) in self.grants(matcher.table, subject) {
                edges.insert(((own, Group::Name), grant, String::new()));
            }
        }
        edges
    }

    /// The rows of a kind as subjects and `object: actions`.
    fn grants(&self, table: usize, subject: usize) -> Vec<(String, Key)> {
        let (Some(rows), Some((_, fields))) = (self.tables.get(table), self.kinds.get(table))
        else {
            return Vec::new();
        };
        let shown: Vec<usize> = fields
            .iter()
            .enumerate()
            .filter(|(field, name)| {
                *field != subject && !matches!(name.as_str(), "eft" | "priority")
            })
            .map(|(field, _)| field)
            .collect();
        // By subject, effect and what comes before it the last of the values, the action.
        let mut found: BTreeMap<(String, bool, String), BTreeSet<String>> = BTreeMap::new();
        for row in 0..rows.len() {
            let text = |field: usize| {
                let cell = rows.cell(row, field);
                cell.map_or("", |cell| self.symbols.text(cell))
            };
            let mut values: Vec<&str> = shown.iter().map(|field| text(*field)).collect();
            let last = values.pop().unwrap_or("everything");
            let before = (text(subject).to_owned(), rows.denies(row), values.join(" "));
            found.entry(before).or_default().insert(last.to_owned());
        }
        found
            .into_iter()
            .map(|((own, denies, object), actions)| {
                let actions: Vec<String> = actions.into_iter().collect();
                let actions = actions.join(", ");
                let name = match object.as_str() {
                    "" => actions,
                    object => format!("{object}: {actions}"),
                };
                let grant = match denies {
                    true => (format!("not {name}"), Group::Denial),
                    false => (name, Group::Grant),
                };
                (own, grant)
            })
            .collect()
    }
}

impl RolePicture {
    /// The picture as a Mermaid flow chart.
    pub fn to_mermaid(&self) -> String {
        let mut text = String::from("flowchart LR\n");
        for (index, node) in self.nodes.iter().enumerate() {
            let name = mermaid_text(&node.name);
            let shape = match node.kind {
                NodeKind::Member => format!("(\"{name}\")"),
                NodeKind::Role => format!("([\"{name}\"])"),
                NodeKind::Grant => format!("[\"{name}\"]"),
                NodeKind::Denial => format!("{{{{\"{name}\"}}}}"),
            };
            text.push_str(&format!("    n{index}{shape}\n"));
        }
        for edge in &self.edges {
            let label = match edge.label.as_str() {
                "" => String::new(),
                label => format!("|\"{}\"|", mermaid_text(label)),
            };
            text.push_str(&format!("    n{} -->{label} n{}\n", edge.from, edge.to));
        }
        text
    }

    /// The picture as an SVG document: members on the left, grants on the right. It has no
    /// scripts and needs nothing from elsewhere, and follows the reader's choice of light or dark.
    ///
    /// ```
    /// let policy = tokensmith_engine::policy::compile_baseline().unwrap();
    /// let svg = policy.role_picture().unwrap().to_svg();
    /// assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
    /// assert!(svg.contains("role:viewer"));
    /// ```
    pub fn to_svg(&self) -> String {
        picture_svg::document(self)
    }
}

fn picture(edges: &BTreeSet<(Key, Key, String)>) -> Result<RolePicture, AnalysisError> {
    let mut nodes: BTreeMap<&Key, NodeKind> = BTreeMap::new();
    for (from, to, _) in edges {
        nodes.entry(from).or_insert_with(|| kind(from, false));
        // Whatever else it is, a name that somebody has is a role.
        nodes.insert(to, kind(to, true));
    }
    if nodes.len() > NODES {
        return Err(AnalysisError::PictureTooLarge {
            nodes: nodes.len(),
            limit: NODES,
        });
    }
    let places: BTreeMap<&Key, usize> = nodes.keys().copied().zip(0..).collect();
    let place = |key: &Key| places.get(key).copied().unwrap_or_default();
    let edges = edges
        .iter()
        .map(|(from, to, label)| PictureEdge {
            from: place(from),
            to: place(to),
            label: label.clone(),
        })
        .collect();
    let nodes = nodes
        .into_iter()
        .map(|((name, _), kind)| PictureNode {
            name: name.clone(),
            kind,
        })
        .collect();
    Ok(RolePicture { nodes, edges })
}

fn kind(key: &Key, is_role: bool) -> NodeKind {
    match key {
        (_, Group::Grant) => NodeKind::Grant,
        (_, Group::Denial) => NodeKind::Denial,
        (name, Group::Name) if is_role || name.starts_with("role:") => NodeKind::Role,
        _ => NodeKind::Member,
    }
}

/// Letters, digits and what has no meaning in Mermaid; all else by its number.
fn mermaid_text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for own in text.chars() {
        if own.is_alphanumeric() || matches!(own, ' ' | ',' | '.' | '-' | '_' | '/' | '*') {
            escaped.push(own);
        } else {
            escaped.push_str(&format!("#{};", u32::from(own)));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::compiled as policy;
    use super::*;
    use crate::policy::{BASELINE_MODEL, compile_baseline};

    fn shown(picture: &RolePicture) -> Vec<String> {
        picture
            .edges
            .iter()
            .map(|edge| {
                let (from, to) = (&picture.nodes[edge.from], &picture.nodes[edge.to]);
                format!(
                    "{:?} {} > {:?} {} [{}]",
                    from.kind, from.name, to.kind, to.name, edge.label
                )
            })
            .collect()
    }

    #[test]
    fn members_roles_and_grants() {
        let model = BASELINE_MODEL
            .replace("p = sub, obj, act", "p = sub, obj, act, eft")
            .replace("g = _, _", "g = _, _\ng2 = _, _, _");
        let rules = "p, reader, doc, read, allow\np, reader, doc, list, allow\n\
            p, ann, doc, write, deny\ng, ann, team\ng, team, reader\ng2, doc, docs, d\n";
        let policy = policy(&model, rules);
        assert_eq!(
            shown(&policy.role_picture().unwrap()),
            [
                "Member ann > Denial not doc: write []",
                "Member ann > Role team []",
                "Member doc > Role docs [g2, d]",
                "Role reader > Grant doc: list, read []",
                "Role team > Role reader []",
            ]
        );
        assert_eq!(
            shown(&policy.role_picture_of("team").unwrap()),
            [
                "Role reader > Grant doc: list, read []",
                "Member team > Role reader []"
            ]
        );
        let alone = policy.role_picture_of("docs").unwrap();
        assert_eq!((alone.nodes.len(), alone.edges.len()), (1, 0));
        assert_eq!(
            policy.role_picture_of("bob").unwrap_err().to_string(),
            "no rule and no grouping names `bob`"
        );
    }

    #[test]
    fn the_baseline() {
        let picture = compile_baseline().unwrap().role_picture().unwrap();
        let count = |kind: NodeKind| {
            let own = picture.nodes.iter().filter(|node| node.kind == kind);
            own.count()
        };
        assert_eq!(count(NodeKind::Member), 0);
        assert_eq!(count(NodeKind::Role), 4);
        // Seven objects with three sets of actions.
        assert_eq!(count(NodeKind::Grant), 21);
        let many: String = (0..301).map(|own| format!("g, u{own}, all\n")).collect();
        let error = policy(BASELINE_MODEL, &many).role_picture().unwrap_err();
        assert_eq!(error.code(), "picture_too_large");
    }

    #[test]
    fn mermaid_is_escaped() {
        let picture = policy(BASELINE_MODEL, "p, \"a\"\"]; click\", <b>, `x`\ng, c, d\n")
            .role_picture()
            .unwrap();
        assert_eq!(
            picture.to_mermaid(),
            "flowchart LR\n    n0[\"#60;b#62;#58; #96;x#96;\"]\n    \
             n1(\"a#34;#93;#59; click\")\n    n2(\"c\")\n    n3([\"d\"])\n    \
             n1 --> n0\n    n2 --> n3\n"
        );
    }
}
