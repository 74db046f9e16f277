use std::collections::HashSet;
use std::ops::ControlFlow;

use serde_json::Value as Json;

use super::diff::{Answer, Change, PolicyDiff, Reason, Side};
use super::side::{Atom, Side as Policy};
use super::witness::Witnesses;
use crate::authz::clause::{Key, RequestPlace};
use crate::authz::compiled::{CompiledPolicy, Matcher};
use crate::authz::matcher::Operator;
use crate::authz::node::Node;
use crate::authz::value::RequestValue;

/// How many requests may be made for each that is asked: the same one comes from several rows.
const REPEATED: usize = 8;

/// Adds to `diff` what a matcher answers differently in two policies.
pub(super) fn compare(mut sides: [Policy<'_>; 2], limit: usize, diff: &mut PolicyDiff) {
    // Why nothing is missed where all terms are plain: an answer depends on a request value only
    // by what policy values and constants it is equal to, and which roles it has. A value that
    // neither policy mentions is equal to none and has none, so that all such values are answered
    // alike, and one stands for all of them. A request with another answer is matched by a row of
    // one of the policies, through one clause; if by none of both, it is answered by the effects
    // alone, as the first request below. The values that this clause's keys bind are those of the
    // row, or of somebody who has the row's role in the same policy: the search makes them all.
    // The others are each a value that one of the policies mentions for this place, or as good as
    // the fresh one: the thorough search makes all of these.
    diff.complete &= sides.iter().all(|side| is_plain(side.matcher));
    let [old, new] = &sides;
    let (old, new) = (
        (old.policy, old.number, old.matcher),
        (new.policy, new.number, new.matcher),
    );
    let witnesses = Witnesses::new(&sides);
    let mut search = Search {
        old,
        new,
        witnesses: &witnesses,
        seen: HashSet::new(),
        visits: 0,
        limit,
        diff,
    };
    let mut flow = search.visit(witnesses.unmentioned());
    // The likely changes come first, in case that the limit ends the search.
    for thorough in [false, true] {
        for side in &mut sides {
            if flow.is_continue() {
                flow = witnesses.each(side, thorough, &mut |atoms| search.visit(atoms));
            }
        }
    }
    if flow.is_break() {
        search.diff.complete = false;
    }
}

struct Search<'s, 'p> {
    old: (&'p CompiledPolicy, usize, &'p Matcher),
    new: (&'p CompiledPolicy, usize, &'p Matcher),
    witnesses: &'s Witnesses<'p>,
    seen: HashSet<Vec<Atom<'p>>>,
    visits: usize,
    limit: usize,
    diff: &'s mut PolicyDiff,
}

impl<'p> Search<'_, 'p> {
    fn visit(&mut self, atoms: &[Atom<'p>]) -> ControlFlow<()> {
        self.visits += 1;
        if self.visits > self.limit.saturating_mul(REPEATED) {
            return ControlFlow::Break(());
        }
        if self.seen.contains(atoms) {
            return ControlFlow::Continue(());
        }
        if self.seen.len() >= self.limit {
            return ControlFlow::Break(());
        }
        self.seen.insert(atoms.to_vec());
        self.diff.examined += 1;
        let request = self.witnesses.request(atoms);
        let values: Vec<RequestValue<'_>> = request.iter().map(RequestValue::from).collect();
        let (_, _, matcher) = self.old;
        let context = matcher.key.get(1..).unwrap_or_default();
        let answer = |policy: &CompiledPolicy| Answer::of(policy.evaluate_in(context, &values));
        let (before, after) = (answer(self.old.0), answer(self.new.0));
        if before != after {
            let reasons = [(Side::Old, self.old), (Side::New, self.new)];
            let because = reasons
                .into_iter()
                .filter_map(|(side, (policy, number, matcher))| {
                    let row = policy.deciding_row(number, matcher, &values)?;
                    Some(Reason { policy: side, row })
                })
                .collect();
            self.diff.changes.push(Change {
                context: context.to_owned(),
                request: request.iter().map(shown).collect(),
                before,
                after,
                because,
            });
        }
        ControlFlow::Continue(())
    }
}

fn shown(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether a matcher is made of nothing but equalities with policy values and constants, literal
/// roles, and conditions on rows alone.
fn is_plain(matcher: &Matcher) -> bool {
    let whole = |place: &RequestPlace| place.path.is_empty();
    matcher.clauses.iter().all(|(clause, _)| {
        let keys = clause.keys.iter().all(|key| match key {
            Key::Equal { request, .. } => whole(request),
            Key::Role { member, domain, .. } => whole(member) && domain.as_ref().is_none_or(whole),
        });
        let mut others = clause.conditions.iter().chain(&clause.rest);
        keys && clause.pattern.is_none() && others.all(is_constant_equality)
    })
}

fn is_constant_equality(node: &Node) -> bool {
    let Node::Binary {
        operator: Operator::Equal,
        left,
        right,
    } = node
    else {
        return matches!(node, Node::Bool(_));
    };
    match (&**left, &**right) {
        (Node::Request { path, .. }, Node::Text(_))
        | (Node::Text(_), Node::Request { path, .. }) => path.is_empty(),
        _ => false,
    }
}
