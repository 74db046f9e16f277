use hashbrown::HashMap;

use super::path_rule::{PathRule, SegmentRule};

/// The paths of a route table, by segments. A route is known by its rank, its position in the
/// table; of several the least counts.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// The routes that are for one path only.
    only: HashMap<Box<str>, Vec<u32>>,
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<str>, Node>,
    any: Option<Box<Node>>,
    /// The routes for the paths that end here, ascending.
    here: Vec<u32>,
    /// The routes for the paths that end here or go on, ascending.
    open: Vec<u32>,
    /// The least rank in this node and below it.
    least: u32,
}

impl Tree {
    /// Adds a route. Its `rank` is higher than those before.
    pub(super) fn insert(&mut self, rule: &PathRule, rank: u32) {
        if let Some(path) = rule.only_path() {
            self.only.entry(path.into()).or_default().push(rank);
            return;
        }
        let new = || Node {
            least: rank,
            ..Node::default()
        };
        let mut node = &mut self.root;
        for segment in &rule.segments {
            node = match segment {
                SegmentRule::Literal(text) => node.literals.entry(text.clone()).or_insert_with(new),
                SegmentRule::Any => &mut **node.any.get_or_insert_with(|| Box::new(new())),
            };
        }
        let ranks = if rule.open {
            &mut node.open
        } else {
            &mut node.here
        };
        ranks.push(rank);
    }

    /// The first route for the normalised `path` that `fits`. Allocates nothing.
    pub(super) fn find(&self, path: &str, fits: impl Fn(u32) -> bool) -> Option<u32> {
        let mut search = Search { fits, best: None };
        if let Some(ranks) = self.only.get(path) {
            search.consider(ranks);
        }
        search.walk(&self.root, path.strip_prefix('/').unwrap_or(path));
        search.best
    }

    /// The first route that is for every path that `rule` is for, and that `fits`.
    pub(super) fn covering(&self, rule: &PathRule, fits: impl Fn(u32) -> bool) -> Option<u32> {
        let mut search = Search { fits, best: None };
        if let Some(ranks) = rule
            .only_path()
            .and_then(|path| self.only.get(path.as_str()))
        {
            search.consider(ranks);
        }
        search.walk_rule(&self.root, &rule.segments, rule.open);
        search.best
    }
}

/// A walk over the nodes that a path or rule leads to. Each is visited once at most: where a
/// literal and a placeholder both fit, both are followed, unless all routes there are too late.
struct Search<F> {
    fits: F,
    best: Option<u32>,
}

impl<F: Fn(u32) -> bool> Search<F> {
    fn walk(&mut self, node: &Node, rest: &str) {
        self.consider(&node.open);
        if rest.is_empty() {
            self.consider(&node.here);
            return;
        }
        let (segment, rest) = rest.split_once('/').unwrap_or((rest, ""));
        if let Some(child) = node.literals.get(segment)
            && self.may_be(child.least)
        {
            self.walk(child, rest);
        }
        if let Some(child) = &node.any
            && self.may_be(child.least)
            && !segment.is_empty()
        {
            self.walk(child, rest);
        }
    }

    fn walk_rule(&mut self, node: &Node, segments: &[SegmentRule], open: bool) {
        self.consider(&node.open);
        let Some((segment, rest)) = segments.split_first() else {
            // A rule that goes on is for more paths than those that end here.
            if !open {
                self.consider(&node.here);
            }
            return;
        };
        if let SegmentRule::Literal(text) = segment
            && let Some(child) = node.literals.get(&**text)
        {
            self.walk_rule(child, rest, open);
        }
        if let Some(child) = &node.any {
            self.walk_rule(child, rest, open);
        }
    }

    fn consider(&mut self, ranks: &[u32]) {
        for rank in ranks {
            if !self.may_be(*rank) {
                return;
            }
            if (self.fits)(*rank) {
                self.best = Some(*rank);
                return;
            }
        }
    }

    fn may_be(&self, rank: u32) -> bool {
        self.best.is_none_or(|best| rank < best)
    }
}
