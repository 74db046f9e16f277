use std::collections::BTreeSet;

use super::role_picture::{NodeKind, RolePicture};

/// How wide a character is, in pixels.
const CHARACTER: f64 = 7.9;
/// How high a node is.
pub(super) const HEIGHT: f64 = 28.0;
/// What is between a node's border and its text.
pub(super) const PADDING: f64 = 12.0;
/// The longest text that is shown whole, in characters.
const TEXT: usize = 48;

const MARGIN: f64 = 20.0;
const ROW_GAP: f64 = 10.0;
const COLUMN_GAP: f64 = 64.0;
/// Room for an edge that passes a column.
const PASSAGE: f64 = 8.0;
/// Room below for edges that lead back.
const BACK: f64 = 36.0;
/// How often columns are put in order by their neighbours.
const SWEEPS: usize = 8;

/// Where everything is, in pixels.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) width: f64,
    pub(super) height: f64,
    /// By node.
    pub(super) boxes: Vec<Rectangle>,
    /// By edge.
    pub(super) routes: Vec<Route>,
}

/// A node; `y` is its middle.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rectangle {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
}

/// The way of an edge.
#[derive(Debug)]
pub(super) enum Route {
    /// To the right: through these passages, of columns between.
    Forward(Vec<Rectangle>),
    /// Back, as in a circle of roles.
    Back,
}

/// A node in its column, or a passage.
struct Item {
    layer: usize,
    node: Option<usize>,
    /// Its place in the column, counted or in pixels.
    y: f64,
    left: Vec<usize>,
    right: Vec<usize>,
}

/// Puts nodes into columns, so that most edges lead to the right and few cross.
pub(super) fn layout(picture: &RolePicture) -> Layout {
    let layers = layers(picture);
    let mut items: Vec<Item> = layers
        .iter()
        .enumerate()
        .map(|(node, layer)| Item::new(*layer, Some(node)))
        .collect();
    let ways: Vec<Vec<usize>> = picture
        .edges
        .iter()
        .map(|edge| way(&mut items, edge.from, edge.to))
        .collect();
    let mut columns: Vec<Vec<usize>> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        if columns.len() <= item.layer {
            columns.resize(item.layer + 1, Vec::new());
        }
        if let Some(column) = columns.get_mut(item.layer) {
            column.push(index);
        }
    }
    order(&mut columns, &mut items);
    settle(&columns, &mut items);
    drawn(picture, &columns, &items, &ways)
}

/// The text as it is shown, and how wide it is.
pub(super) fn shown(text: &str) -> (String, f64) {
    let short = text.chars().count() > TEXT;
    let mut shown: String = text
        .chars()
        .take(if short { TEXT - 1 } else { TEXT })
        .collect();
    if short {
        shown.push('\u{2026}');
    }
    // Most that is not Latin, Greek or Cyrillic is twice as wide.
    let width = |own: char| if own < '\u{1100}' { 1.0 } else { 2.0 };
    let width: f64 = shown.chars().map(width).sum();
    (shown, width * CHARACTER)
}

impl Item {
    fn new(layer: usize, node: Option<usize>) -> Self {
        Self {
            layer,
            node,
            y: 0.0,
            left: Vec::new(),
            right: Vec::new(),
        }
    }

    fn height(&self) -> f64 {
        match self.node {
            Some(_) => HEIGHT,
            None => PASSAGE,
        }
    }
}

/// The column of each node: right of all that lead to it. Grants come last.
fn layers(picture: &RolePicture) -> Vec<usize> {
    let has_members = picture
        .nodes
        .iter()
        .any(|node| node.kind == NodeKind::Member);
    let mut layers: Vec<usize> = picture
        .nodes
        .iter()
        .map(|node| usize::from(has_members && node.kind != NodeKind::Member))
        .collect();
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); layers.len()];
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); layers.len()];
    for edge in picture.edges.iter().filter(|edge| edge.from != edge.to) {
        if let (Some(from), Some(to)) = (after.get_mut(edge.from), before.get_mut(edge.to)) {
            from.push(edge.to);
            to.push(edge.from);
        }
    }
    let mut open: BTreeSet<usize> = (0..layers.len()).collect();
    while let Some(first) = open.first().copied() {
        let waits = |node: usize| {
            let mut before = before.get(node).into_iter().flatten();
            before.any(|own| open.contains(own))
        };
        let next = open.iter().copied().find(|node| !waits(*node));
        let next = next.unwrap_or_else(|| entrance(first, &open, &before));
        open.remove(&next);
        let layer = layers.get(next).copied().unwrap_or_default();
        for to in after.get(next).into_iter().flatten() {
            if let Some(own) = layers.get_mut(*to).filter(|_| open.contains(to)) {
                *own = (*own).max(layer + 1);
            }
        }
    }
    let last = layers.iter().copied().max().unwrap_or_default();
    for (node, layer) in picture.nodes.iter().zip(&mut layers) {
        if matches!(node.kind, NodeKind::Grant | NodeKind::Denial) {
            *layer = last;
        }
    }
    layers
}

/// Where a circle begins when all open nodes are in circles or behind them: where most of what is
/// in its column already leads to.
fn entrance(start: usize, open: &BTreeSet<usize>, before: &[Vec<usize>]) -> usize {
    let back = |node: usize| {
        let mut before = before.get(node).into_iter().flatten();
        before
            .find(|own| open.contains(*own))
            .copied()
            .unwrap_or(node)
    };
    let placed = |node: usize| {
        let before = before.get(node).into_iter().flatten();
        before.filter(|own| !open.contains(*own)).count()
    };
    // Whoever goes back for long enough goes round in a circle.
    let mut at = start;
    for _ in 0..open.len() {
        at = back(at);
    }
    let mut best = at;
    for _ in 0..open.len() {
        at = back(at);
        if placed(at) > placed(best) {
            best = at;
        }
    }
    best
}

/// The items from one node to another, passages included; none when it does not lead to the
/// right.
fn way(items: &mut Vec<Item>, from: usize, to: usize) -> Vec<usize> {
    let layer = |items: &[Item], item: usize| items.get(item).map_or(0, |own| own.layer);
    let (start, end) = (layer(items, from), layer(items, to));
    if start >= end {
        return Vec::new();
    }
    let mut way = vec![from];
    for layer in start + 1..end {
        way.push(items.len());
        items.push(Item::new(layer, None));
    }
    way.push(to);
    for (own, next) in way.iter().zip(way.iter().skip(1)) {
        if let Some(item) = items.get_mut(*own) {
            item.right.push(*next);
        }
        if let Some(item) = items.get_mut(*next) {
            item.left.push(*own);
        }
    }
    way
}

/// Orders each column by the middle of what its items are joined with.
fn order(columns: &mut [Vec<usize>], items: &mut [Item]) {
    for column in columns.iter() {
        number(column, items);
    }
    for sweep in 0..SWEEPS {
        let to_right = sweep % 2 == 0;
        let mut turn: Vec<&mut Vec<usize>> = columns.iter_mut().collect();
        if !to_right {
            turn.reverse();
        }
        for column in turn {
            let mut keyed: Vec<(f64, usize)> = column
                .iter()
                .map(|item| (wanted(items, *item, to_right, !to_right), *item))
                .collect();
            keyed.sort_by(|(own, _), (other, _)| own.total_cmp(other));
            *column = keyed.into_iter().map(|(_, item)| item).collect();
            number(column, items);
        }
    }
}

fn number(column: &[usize], items: &mut [Item]) {
    for (place, item) in column.iter().enumerate() {
        if let Some(item) = items.get_mut(*item) {
            item.y = place as f64;
        }
    }
}

/// The middle of what an item is joined with on these sides; where it is when that is nothing.
fn wanted(items: &[Item], item: usize, left: bool, right: bool) -> f64 {
    let Some(own) = items.get(item) else {
        return 0.0;
    };
    let left = own.left.iter().filter(|_| left);
    let right = own.right.iter().filter(|_| right);
    let places: Vec<f64> = left
        .chain(right)
        .filter_map(|other| items.get(*other))
        .map(|other| other.y)
        .collect();
    match places.len() {
        0 => own.y,
        count => places.iter().sum::<f64>() / count as f64,
    }
}

/// Gives every item its place in pixels: near what it is joined with, in the order of the column
/// and without overlap.
fn settle(columns: &[Vec<usize>], items: &mut [Item]) {
    for column in columns {
        let mut y = 0.0;
        for item in column {
            if let Some(item) = items.get_mut(*item) {
                item.y = y;
                y += item.height() + ROW_GAP;
            }
        }
    }
    for sweep in 0..SWEEPS {
        let to_right = sweep % 2 == 0;
        let mut turn: Vec<&Vec<usize>> = columns.iter().collect();
        if !to_right {
            turn.reverse();
        }
        for column in turn {
            settle_column(column, items, to_right, !to_right);
        }
    }
    // At last both sides count alike.
    for column in columns {
        settle_column(column, items, true, true);
    }
}

fn settle_column(column: &[usize], items: &mut [Item], left: bool, right: bool) {
    // Each item at least so far below the first; what is wanted beyond that may not decrease.
    let mut offsets: Vec<f64> = Vec::new();
    let mut offset = 0.0;
    let mut half = 0.0;
    for item in column {
        let own = items.get(*item).map_or(0.0, Item::height) / 2.0;
        if !offsets.is_empty() {
            offset += half + ROW_GAP + own;
        }
        half = own;
        offsets.push(offset);
    }
    // The nearest that does not decrease: where it would, the middle of all that disagree.
    let mut blocks: Vec<(f64, usize)> = Vec::new();
    for (item, offset) in column.iter().zip(&offsets) {
        let mut block = (wanted(items, *item, left, right) - offset, 1);
        while let Some((sum, count)) = blocks.pop() {
            if sum / count as f64 <= block.0 / block.1 as f64 {
                blocks.push((sum, count));
                break;
            }
            block = (block.0 + sum, block.1 + count);
        }
        blocks.push(block);
    }
    let places = blocks
        .into_iter()
        .flat_map(|(sum, count)| std::iter::repeat_n(sum / count as f64, count));
    for ((item, offset), place) in column.iter().zip(&offsets).zip(places) {
        if let Some(item) = items.get_mut(*item) {
            item.y = place + offset;
        }
    }
}

fn drawn(
    picture: &RolePicture,
    columns: &[Vec<usize>],
    items: &[Item],
    ways: &[Vec<usize>],
) -> Layout {
    let widths: Vec<f64> = picture
        .nodes
        .iter()
        .map(|node| shown(&node.name).1 + 2.0 * PADDING)
        .collect();
    let label = picture.edges.iter().map(|edge| shown(&edge.label).1);
    let gap = COLUMN_GAP + label.fold(0.0, f64::max);
    let top = items.iter().map(|item| item.y - item.height() / 2.0);
    let top = top.fold(f64::INFINITY, f64::min).min(f64::MAX);
    let mut rectangles = vec![Rectangle::default(); items.len()];
    let mut x = MARGIN;
    let mut bottom = 0.0_f64;
    for column in columns {
        let own = |item: &usize| items.get(*item);
        let width = |item: &Item| item.node.and_then(|node| widths.get(node)).copied();
        let widest = column.iter().filter_map(own).filter_map(width);
        let widest = widest.fold(0.0, f64::max);
        for index in column {
            let (Some(item), Some(rectangle)) = (items.get(*index), rectangles.get_mut(*index))
            else {
                continue;
            };
            *rectangle = Rectangle {
                x,
                y: (item.y - top + MARGIN).round(),
                width: width(item).unwrap_or(widest).round(),
            };
            bottom = bottom.max(rectangle.y + item.height() / 2.0);
        }
        x = (x + widest + gap).round();
    }
    let routes: Vec<Route> = ways
        .iter()
        .map(|way| {
            if way.is_empty() {
                return Route::Back;
            }
            let inner = way.iter().skip(1).take(way.len().saturating_sub(2));
            Route::Forward(
                inner
                    .filter_map(|item| rectangles.get(*item))
                    .copied()
                    .collect(),
            )
        })
        .collect();
    let back = routes.iter().any(|route| matches!(route, Route::Back));
    rectangles.truncate(picture.nodes.len());
    Layout {
        width: (x - gap).max(MARGIN) + MARGIN,
        height: bottom + MARGIN + if back { BACK } else { 0.0 },
        boxes: rectangles,
        routes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{BASELINE_MODEL, Source, compile};

    fn laid_out(rules: &str) -> (RolePicture, Layout) {
        let model = Source {
            name: "m",
            text: BASELINE_MODEL,
        };
        let rules = Source {
            name: "r",
            text: rules,
        };
        let picture = compile(model, &[rules]).unwrap().role_picture().unwrap();
        let layout = layout(&picture);
        (picture, layout)
    }

    #[test]
    fn nothing_overlaps_and_edges_lead_to_the_right() {
        let mut rules = String::new();
        for own in 0..40 {
            rules.push_str(&format!("g, u{own}, team{}\n", own % 7));
            rules.push_str(&format!("g, team{}, r{}\n", own % 7, own % 3));
            rules.push_str(&format!("p, r{}, o{}, read\n", own % 3, own % 11));
            rules.push_str(&format!("p, u{own}, o{}, write\n", own % 5));
        }
        let (picture, layout) = laid_out(&rules);
        for (index, own) in layout.boxes.iter().enumerate() {
            assert!(own.x > 0.0 && own.x + own.width < layout.width, "{own:?}");
            assert!(own.y - HEIGHT / 2.0 > 0.0 && own.y + HEIGHT / 2.0 < layout.height);
            for other in layout.boxes.iter().skip(index + 1) {
                let apart = own.x + own.width < other.x || other.x + other.width < own.x;
                assert!(
                    apart || (own.y - other.y).abs() > HEIGHT,
                    "{own:?} {other:?}"
                );
            }
        }
        for (edge, route) in picture.edges.iter().zip(&layout.routes) {
            assert!(matches!(route, Route::Forward(_)));
            let (from, to) = (layout.boxes[edge.from], layout.boxes[edge.to]);
            assert!(from.x + from.width < to.x);
        }
    }

    #[test]
    fn circles_lead_back_once() {
        let (_, layout) = laid_out("g, u, a\ng, a, b\ng, b, c\ng, c, a\ng, c, c\np, a, x, y\n");
        let back = layout
            .routes
            .iter()
            .filter(|own| matches!(own, Route::Back));
        assert_eq!(back.count(), 2);
        let (_, empty) = laid_out("");
        assert!(empty.width > 0.0 && empty.height > 0.0 && empty.height < 1000.0);
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(shown("short").0, "short");
        let (text, width) = shown(&"x".repeat(60));
        assert_eq!(text.chars().count(), TEXT);
        assert!(text.ends_with('\u{2026}') && width > 48.0 * CHARACTER);
        assert_eq!(shown("\u{6f22}").1, 2.0 * CHARACTER);
    }
}
