use super::picture_layout::{HEIGHT, Layout, PADDING, Rectangle, Route, layout, shown};
use super::role_picture::{NodeKind, RolePicture};

/// How many edges the description tells.
const TOLD: usize = 200;

const STYLE: &str = "\
svg{--back:#fff;--ink:#1f2328;--line:#8c959f;--edge:#6e7781;--member:#ddf4ff;--role:#dafbe1;\
--grant:#f6f8fa;--denial:#ffebe9}\
@media(prefers-color-scheme:dark){svg{--back:#0d1117;--ink:#e6edf3;--line:#7d8590;\
--edge:#8d96a0;--member:#0c2d6b;--role:#033a16;--grant:#161b22;--denial:#490202}}\
.back{fill:var(--back)}\
text{font:13px ui-monospace,Menlo,Consolas,monospace;fill:var(--ink)}\
.label{font-size:11px;text-anchor:middle;stroke:var(--back);stroke-width:3px;paint-order:stroke}\
.edge{fill:none;stroke:var(--edge);stroke-width:1.3}\
.circle{stroke-dasharray:5 3}\
.head{fill:var(--edge)}\
rect{stroke:var(--line)}\
.back{stroke:none}\
.member rect{fill:var(--member)}\
.role rect{fill:var(--role)}\
.grant rect{fill:var(--grant)}\
.denial rect{fill:var(--denial);stroke-dasharray:5 3}";

/// The picture as an SVG document.
pub(super) fn document(picture: &RolePicture) -> String {
    let layout = layout(picture);
    let (width, height) = (layout.width.ceil(), layout.height.ceil());
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"title desc\">\n\
         <title id=\"title\">Roles and what they may do</title>\n\
         <desc id=\"desc\">{}</desc>\n<style>{STYLE}</style>\n\
         <defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" \
         markerHeight=\"7\" orient=\"auto\"><path class=\"head\" d=\"M0 0L8 4L0 8z\"/></marker>\
         </defs>\n<rect class=\"back\" width=\"{width}\" height=\"{height}\"/>\n",
        escaped(&description(picture))
    );
    let mut labels = String::new();
    for (edge, route) in picture.edges.iter().zip(&layout.routes) {
        let (from, to) = (place(&layout, edge.from), place(&layout, edge.to));
        let (way, class, middle) = match route {
            Route::Forward(passages) => {
                let (way, middle) = forward(from, passages, to);
                (way, "edge", middle)
            }
            Route::Back => {
                let (way, middle) = back(from, to);
                (way, "edge circle", middle)
            }
        };
        text.push_str(&format!(
            "<path class=\"{class}\" d=\"{way}\" marker-end=\"url(#arrow)\"/>\n"
        ));
        if !edge.label.is_empty() {
            let (x, y) = middle;
            let label = escaped(&shown(&edge.label).0);
            labels.push_str(&format!(
                "<text class=\"label\" x=\"{x}\" y=\"{y}\">{label}</text>\n"
            ));
        }
    }
    for (node, own) in picture.nodes.iter().zip(&layout.boxes) {
        let class = match node.kind {
            NodeKind::Member => "member",
            NodeKind::Role => "role",
            NodeKind::Grant => "grant",
            NodeKind::Denial => "denial",
        };
        let radius = match node.kind {
            NodeKind::Role => HEIGHT / 2.0,
            _ => 4.0,
        };
        let (x, y, width) = (own.x, own.y - HEIGHT / 2.0, own.width);
        let (text_x, text_y) = (own.x + PADDING, own.y + 4.5);
        text.push_str(&format!(
            "<g class=\"{class}\"><title>{}</title><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" \
             height=\"{HEIGHT}\" rx=\"{radius}\"/><text x=\"{text_x}\" y=\"{text_y}\">{}</text>\
             </g>\n",
            escaped(&node.name),
            escaped(&shown(&node.name).0)
        ));
    }
    // Over the nodes, or a label of an edge that passes one could not be read.
    text.push_str(&labels);
    text.push_str("</svg>\n");
    text
}

fn place(layout: &Layout, node: usize) -> Rectangle {
    layout.boxes.get(node).copied().unwrap_or_default()
}

/// A way to the right, and where its label goes.
fn forward(from: Rectangle, passages: &[Rectangle], to: Rectangle) -> (String, (f64, f64)) {
    let (mut x, mut y) = (from.x + from.width, from.y);
    let mut way = format!("M{x} {y}");
    let mut middle = None;
    let stops = passages.iter().map(|own| (own, true));
    for (stop, passes) in stops.chain([(&to, false)]) {
        let half = ((x + stop.x) / 2.0).round();
        way.push_str(&format!(
            "C{half} {y} {half} {} {} {}",
            stop.y, stop.x, stop.y
        ));
        let between = (half, ((y + stop.y) / 2.0).round() - 3.0);
        middle.get_or_insert(between);
        (x, y) = (stop.x, stop.y);
        if passes {
            x += stop.width;
            way.push_str(&format!("H{x}"));
        }
    }
    (way, middle.unwrap_or_default())
}

/// A way back, below the nodes, and where its label goes.
fn back(from: Rectangle, to: Rectangle) -> (String, (f64, f64)) {
    let (start, end) = (from.x + from.width * 0.6, to.x + to.width * 0.4);
    let (start, end) = (start.round(), end.round());
    let (top, bottom) = (from.y + HEIGHT / 2.0, to.y + HEIGHT / 2.0);
    let way = format!(
        "M{start} {top}C{start} {} {end} {} {end} {bottom}",
        top + 34.0,
        bottom + 34.0
    );
    let middle = ((start + end) / 2.0).round();
    (way, (middle, ((top + bottom) / 2.0).round() + 22.0))
}

/// What the picture shows, in words.
fn description(picture: &RolePicture) -> String {
    let count = |kind: NodeKind| {
        let own = picture.nodes.iter().filter(|node| node.kind == kind);
        own.count()
    };
    let mut text = format!(
        "Members: {}. Roles: {}. Grants: {}. Denials: {}.",
        count(NodeKind::Member),
        count(NodeKind::Role),
        count(NodeKind::Grant),
        count(NodeKind::Denial)
    );
    for edge in picture.edges.iter().take(TOLD) {
        let (Some(from), Some(to)) = (picture.nodes.get(edge.from), picture.nodes.get(edge.to))
        else {
            continue;
        };
        let verb = match to.kind {
            NodeKind::Member | NodeKind::Role => "has",
            NodeKind::Grant | NodeKind::Denial => "may",
        };
        let label = match edge.label.as_str() {
            "" => String::new(),
            label => format!(" ({label})"),
        };
        text.push_str(&format!(" {} {verb} {}{label}.", from.name, to.name));
    }
    if picture.edges.len() > TOLD {
        text.push_str(" And more.");
    }
    text
}

/// Text for XML; what XML cannot have at all is replaced.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for own in text.chars() {
        match own {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            own if own.is_control() => escaped.push('\u{fffd}'),
            own => escaped.push(own),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use crate::policy::{BASELINE_MODEL, Source, compile};

    fn svg(rules: &str) -> String {
        let model = Source {
            name: "m",
            text: BASELINE_MODEL,
        };
        let rules = Source {
            name: "r",
            text: rules,
        };
        let policy = compile(model, &[rules]).unwrap();
        policy.role_picture().unwrap().to_svg()
    }

    #[test]
    fn text_is_escaped() {
        let svg = svg("p, <script>&\u{7}, a\u{1b}b, 'x'\ng, \"u\"\"\", <script>&\u{7}\n");
        assert!(svg.contains("&lt;script&gt;&amp;\u{fffd}"), "{svg}");
        assert!(svg.contains("u&quot;"), "{svg}");
        assert!(!svg.contains("<script"), "{svg}");
        assert!(
            !svg.chars().any(|own| own.is_control() && own != '\n'),
            "{svg}"
        );
    }

    #[test]
    fn every_node_and_edge_is_drawn() {
        let rules = "p, reader, doc, read\np, ann, doc, write\ng, ann, team\ng, team, reader\n\
            g, reader, team\n";
        let svg = svg(rules);
        assert_eq!(svg.matches("<g class=").count(), 5);
        assert_eq!(svg.matches("<path class=\"edge").count(), 5);
        assert_eq!(svg.matches("edge circle").count(), 1);
        for text in [
            "<title id=\"title\">Roles and what they may do</title>",
            "Members: 1. Roles: 2. Grants: 2. Denials: 0. ann may doc: write. ann has team.",
            "prefers-color-scheme:dark",
            "role=\"img\"",
        ] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert_eq!(svg, self::svg(rules));
    }
}
