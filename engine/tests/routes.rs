//! The route table: what its rules mean, and that the index over them finds what a scan finds.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use proptest::prelude::*;
use serde_json::{Value, json};
use tokensmith_engine::decide::{RouteConfig, RouteMatch, RouteTable};

const METHODS: [&str; 3] = ["GET", "POST", "PUT"];
const AUTHORITIES: [&str; 6] = [
    "",
    "h.test",
    "H.TEST:8080",
    "a.test",
    "a.h.test.:1",
    "other",
];

/// Rows whose action is `a` and whose object is `object`.
fn table(rows: &[(Value, &str)]) -> Result<RouteTable, String> {
    let routes: Vec<RouteConfig> = rows
        .iter()
        .map(|(matches, object)| {
            let row = json!({"match": matches, "object": object, "action": "a"});
            serde_json::from_value(row).unwrap()
        })
        .collect();
    RouteTable::new(&routes).map_err(|error| error.to_string())
}

fn single(matches: Value) -> RouteTable {
    table(&[(matches, "o")]).unwrap()
}

#[test]
fn paths() {
    let cases: [(Value, &[&str], &[&str]); 13] = [
        (json!({"exact": "/"}), &["/"], &["/a"]),
        (json!({"exact": "/a"}), &["/a"], &["/", "/a/b", "/ab", "/A"]),
        (json!({"exact": "/a/"}), &["/a"], &["/a/b"]),
        (json!({"exact": "/{a}/*"}), &["/{a}/*"], &["/b/c"]),
        (json!({"prefix": "/"}), &["/", "/a", "/a/b"], &[]),
        (
            json!({"prefix": "/a/"}),
            &["/a", "/a/b/c"],
            &["/", "/ab", "/b/a"],
        ),
        (json!({"pattern": "/a/b"}), &["/a/b"], &["/a", "/a/b/c"]),
        (
            json!({"pattern": "/a/{x}"}),
            &["/a/b"],
            &["/a", "/a/b/c", "/b/b"],
        ),
        (
            json!({"pattern": "/:x/b"}),
            &["/a/b", "/:x/b"],
            &["/b", "/a/c"],
        ),
        (
            json!({"pattern": "/a/*/b"}),
            &["/a/c/b"],
            &["/a/b", "/a/c/d/b"],
        ),
        (
            json!({"pattern": "/a/*"}),
            &["/a/b", "/a/b/c"],
            &["/a", "/ab"],
        ),
        (
            json!({"pattern": "/a/**"}),
            &["/a", "/a/b", "/a/b/c"],
            &["/ab", "/"],
        ),
        (json!({"pattern": "/**"}), &["/", "/a/b"], &[]),
    ];
    for (matches, fitting, others) in cases {
        let table = single(matches.clone());
        for path in fitting {
            assert!(table.find("GET", path, "").is_some(), "{matches} {path}");
        }
        for path in others {
            assert!(table.find("GET", path, "").is_none(), "{matches} {path}");
        }
    }
}

#[test]
fn methods_and_hosts() {
    let get = single(json!({"prefix": "/", "methods": ["GET"]}));
    assert!(get.find("GET", "/", "").is_some());
    assert!(get.find("get", "/", "").is_none() && get.find("HEAD", "/", "").is_none());
    assert!(!get.has_hosts());
    let exact = single(json!({"prefix": "/", "host": "Api.example.org"}));
    let below = single(json!({"prefix": "/", "host": "*.example.org"}));
    assert!(exact.has_hosts() && below.has_hosts());
    for (authority, is_exact, is_below) in [
        ("api.example.org", true, true),
        ("API.EXAMPLE.ORG:8443", true, true),
        ("api.example.org.", true, true),
        ("a.api.example.org", false, true),
        ("example.org", false, false),
        ("xexample.org", false, false),
        ("api.example.org@evil.test", false, false),
        ("api.example.org.evil.test", false, false),
        ("", false, false),
    ] {
        let found = |table: &RouteTable| table.find("GET", "/a", authority).is_some();
        assert_eq!(found(&exact), is_exact, "{authority}");
        assert_eq!(found(&below), is_below, "{authority}");
    }
}

#[test]
fn the_first_in_order_counts() {
    let table = table(&[
        (json!({"pattern": "/a/{x}/c", "methods": ["GET"]}), "0"),
        (json!({"exact": "/a/b/c"}), "1"),
        (json!({"prefix": "/a/b", "host": "h.test"}), "2"),
        (json!({"pattern": "/a/*"}), "3"),
        (json!({"exact": "/a"}), "4"),
        (json!({"prefix": "/"}), "5"),
    ])
    .unwrap();
    for (method, path, authority, index) in [
        ("GET", "/a/b/c", "h.test", 0),
        ("POST", "/a/b/c", "h.test", 1),
        ("GET", "/a/b", "h.test", 2),
        ("GET", "/a/b", "", 3),
        ("GET", "/a/b/c/d", "", 3),
        ("POST", "/a/x/c", "", 3),
        ("GET", "/a", "", 4),
        ("GET", "/", "", 5),
    ] {
        let found = table.find(method, path, authority).unwrap();
        assert_eq!(found.index(), index, "{method} {path} {authority}");
        assert_eq!(found.object(), index.to_string());
        assert!(!found.is_public());
    }
}

#[test]
fn captured_segments() {
    let pattern = json!({"pattern": "/racks/{rack}/*/:node/**"});
    let table = table(&[(pattern, "{rack}:{node}/{rack}")]).unwrap();
    let found = table.find("GET", "/racks/r 1/x/n{1}/y/z", "").unwrap();
    assert_eq!((&*found.object(), &*found.action()), ("r 1:n{1}/r 1", "a"));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let cases = [
        (json!({}), "o", "exactly one"),
        (json!({"exact": "/a", "pattern": "/a"}), "o", "exactly one"),
        (json!({"prefix": "a"}), "o", "start with `/`"),
        (json!({"prefix": "/a//b"}), "o", "empty segment"),
        (json!({"exact": "/a/../b"}), "o", "dot segment"),
        (json!({"exact": "/a%20b"}), "o", "decoded"),
        (json!({"exact": "/a;b"}), "o", "refused in every request"),
        (json!({"pattern": "/**/a"}), "o", "`**` has to be the last"),
        (json!({"pattern": "/a*"}), "o", "whole segment"),
        (json!({"pattern": "/{a}.json"}), "o", "whole segment"),
        (json!({"pattern": "/{a b}"}), "o", "letters, digits"),
        (json!({"pattern": "/{a}/:a"}), "o", "twice"),
        (json!({"pattern": "/{a}"}), "{b}", "no segment named `b`"),
        (json!({"prefix": "/a"}), "{a}", "no segment named `a`"),
        (json!({"pattern": "/{a}"}), "{a", "without"),
        (
            json!({"prefix": "/", "methods": [""]}),
            "o",
            "not an HTTP method",
        ),
        (
            json!({"prefix": "/", "methods": ["GET,PUT"]}),
            "o",
            "not an HTTP method",
        ),
        (
            json!({"prefix": "/", "host": "h.test:80"}),
            "o",
            "without port",
        ),
        (json!({"prefix": "/", "host": "*"}), "o", "without port"),
        (json!({"prefix": "/", "host": ""}), "o", "without port"),
    ];
    for (matches, object, message) in cases {
        let rows = [
            (json!({"exact": "/before"}), "o"),
            (matches.clone(), object),
        ];
        let error = table(&rows).unwrap_err();
        assert!(error.contains("`routes[1]`"), "{error}");
        assert!(error.contains(message), "{matches}: {error}");
    }
}

#[test]
fn routes_that_are_never_reached_are_refused() {
    let hidden = [
        (json!({"exact": "/a"}), json!({"exact": "/a/"})),
        (json!({"exact": "/a"}), json!({"pattern": "/a"})),
        (json!({"prefix": "/a"}), json!({"exact": "/a"})),
        (json!({"prefix": "/"}), json!({"pattern": "/{x}/**"})),
        (json!({"pattern": "/{x}"}), json!({"exact": "/a"})),
        (json!({"pattern": "/{x}/b"}), json!({"pattern": "/:y/b"})),
        (json!({"pattern": "/{x}/**"}), json!({"pattern": "/a/*"})),
        (json!({"pattern": "/a/*"}), json!({"pattern": "/a/{x}/**"})),
        (
            json!({"prefix": "/", "methods": ["GET", "PUT"]}),
            json!({"exact": "/a", "methods": ["PUT"]}),
        ),
        (
            json!({"prefix": "/", "host": "*.test"}),
            json!({"prefix": "/", "host": "*.h.test"}),
        ),
    ];
    for (earlier, later) in hidden {
        let rows = [
            (json!({"exact": "/before"}), "o"),
            (earlier, "o"),
            (later.clone(), "o"),
        ];
        let error = table(&rows).unwrap_err();
        assert!(
            error.contains("`routes[2]`: is never reached: `routes[1]` matches"),
            "{later}: {error}"
        );
    }
    let reached = [
        (json!({"exact": "/a"}), json!({"prefix": "/a"})),
        (json!({"pattern": "/a/*"}), json!({"prefix": "/a"})),
        (json!({"pattern": "/{x}/b"}), json!({"pattern": "/a/{x}"})),
        (
            json!({"prefix": "/", "methods": ["GET"]}),
            json!({"prefix": "/"}),
        ),
        (
            json!({"prefix": "/", "host": "h.test"}),
            json!({"prefix": "/"}),
        ),
        (
            json!({"prefix": "/", "host": "*.h.test"}),
            json!({"prefix": "/", "host": "h.test"}),
        ),
    ];
    for (earlier, later) in reached {
        assert!(
            table(&[(earlier, "o"), (later.clone(), "o")]).is_ok(),
            "{later}"
        );
    }
}

#[test]
fn look_ups_allocate_nothing() {
    let mut rows = Vec::new();
    for number in 0..500 {
        rows.push((json!({"exact": format!("/exact/{number}")}), "o"));
        rows.push((json!({"pattern": format!("/any/{{x}}/{number}/*")}), "o"));
        rows.push((
            json!({"prefix": format!("/below/{number}"), "host": "*.test"}),
            "o",
        ));
    }
    let table = table(&rows).unwrap();
    for (path, index) in [
        ("/exact/499", Some(1497)),
        ("/any/thing/499/a/b", Some(1498)),
        ("/below/499/a", Some(1499)),
        ("/below/500", None),
    ] {
        let info = allocation_counter::measure(|| {
            let found = table.find("GET", path, "a.test:80");
            assert_eq!(found.map(|route| route.index()), index);
            assert!(found.is_none_or(|route| route.object() == "o"));
        });
        assert_eq!(info.bytes_max, 0, "{path}");
    }
}

/// Whether a route is for a request, by reading its rules again.
fn is_for(route: &RouteConfig, (method, path, authority): (&str, &str, &str)) -> bool {
    let own = &route.matches;
    let name = authority.split(':').next().unwrap().to_ascii_lowercase();
    let name = name.trim_end_matches('.');
    let is_method = own.methods.is_empty() || own.methods.iter().any(|given| given == method);
    let is_host = match own.host.as_deref() {
        None => true,
        Some(_) if name.is_empty() => false,
        Some(rule) => match rule.strip_prefix('*') {
            Some(end) => name.len() > end.len() && name.ends_with(end),
            None => name == rule,
        },
    };
    is_method && is_host && is_for_path(own, path)
}

fn is_for_path(own: &RouteMatch, path: &str) -> bool {
    if let Some(exact) = &own.exact {
        return exact == path;
    }
    if let Some(prefix) = &own.prefix {
        return prefix == "/" || prefix == path || path.starts_with(&format!("{prefix}/"));
    }
    let split = |text: &str| -> Vec<String> {
        let parts = text.split('/').filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    let (wanted, given) = (split(own.pattern.as_deref().unwrap()), split(path));
    for (index, want) in wanted.iter().enumerate() {
        let is_last = index + 1 == wanted.len();
        match (want.as_str(), given.get(index)) {
            ("**", _) => return true,
            (_, None) => return false,
            ("*", Some(_)) if is_last => return true,
            (want, Some(found)) => {
                if want != "*" && !want.starts_with(['{', ':']) && want != found {
                    return false;
                }
            }
        }
    }
    wanted.len() == given.len()
}

/// Every path of up to four segments, with every method and host that makes a difference.
fn requests() -> Vec<(&'static str, String, &'static str)> {
    let mut paths = vec!["/".to_owned()];
    let mut deepest = vec![String::new()];
    for _ in 0..4 {
        deepest = deepest
            .iter()
            .flat_map(|path| ["a", "b", "c"].map(|segment| format!("{path}/{segment}")))
            .collect();
        paths.extend(deepest.clone());
    }
    let mut requests = Vec::new();
    for path in paths {
        for method in METHODS {
            for authority in AUTHORITIES {
                requests.push((method, path.clone(), authority));
            }
        }
    }
    requests
}

fn joined(parts: &[&str], is_open: bool) -> String {
    let mut path = String::new();
    for (index, part) in parts.iter().enumerate() {
        match *part {
            "{}" => path.push_str(&format!("/{{n{index}}}")),
            ":" => path.push_str(&format!("/:n{index}")),
            part => path.push_str(&format!("/{part}")),
        }
    }
    if is_open {
        path.push_str("/**");
    }
    if path.is_empty() {
        path.push('/');
    }
    path
}

fn any_row() -> impl Strategy<Value = RouteConfig> {
    let literals = || prop::collection::vec(prop::sample::select(vec!["a", "b"]), 0..4);
    let pieces = prop::sample::select(vec!["a", "b", "{}", ":", "*"]);
    let path = prop_oneof![
        literals().prop_map(|parts| ("exact", joined(&parts, false))),
        literals().prop_map(|parts| ("prefix", joined(&parts, false))),
        (prop::collection::vec(pieces, 0..4), any::<bool>())
            .prop_map(|(parts, is_open)| ("pattern", joined(&parts, is_open))),
    ];
    let methods = prop::sample::select(vec![
        json!([]),
        json!(["GET"]),
        json!(["POST"]),
        json!(["POST", "GET"]),
    ]);
    let host = prop::sample::select(vec![None, Some("h.test"), Some("*.test"), Some("*.h.test")]);
    (path, methods, host).prop_map(|((kind, path), methods, host)| {
        let mut row = json!({"match": {"methods": methods}, "object": "o", "action": "a"});
        row["match"][kind] = path.into();
        if let Some(host) = host {
            row["match"]["host"] = host.into();
        }
        serde_json::from_value(row).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_finds_what_a_scan_finds(rows in prop::collection::vec(any_row(), 1..12)) {
        let requests = requests();
        let views: Vec<(&str, &str, &str)> = requests
            .iter()
            .map(|(method, path, authority)| (*method, path.as_str(), *authority))
            .collect();
        let mut routes: Vec<RouteConfig> = Vec::new();
        for row in rows {
            let own: Vec<_> = views.iter().filter(|request| is_for(&row, **request)).collect();
            let is_hidden = routes
                .iter()
                .any(|earlier| own.iter().all(|request| is_for(earlier, **request)));
            routes.push(row);
            prop_assert_eq!(RouteTable::new(&routes).is_err(), is_hidden, "{:?}", routes);
            if is_hidden {
                routes.pop();
            }
        }
        let table = RouteTable::new(&routes).unwrap();
        for request in views {
            let (method, path, authority) = request;
            let found = table.find(method, path, authority).map(|route| route.index());
            let expected = routes.iter().position(|route| is_for(route, request));
            prop_assert_eq!(found, expected, "{:?} {:?}", request, routes);
        }
    }
}
