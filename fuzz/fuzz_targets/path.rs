//! A request target: refused, or a path that means itself, and a route table that finds what the
//! first matching route is.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tokensmith_engine::decide::{RouteTable, normalise_path};

static ROUTES: LazyLock<RouteTable> = LazyLock::new(|| {
    let routes = serde_json::from_str(
        r#"[{"match": {"exact": "/a"}, "public": true},
            {"match": {"pattern": "/n/{id}/x"}, "object": "n:{id}", "action": "r"},
            {"match": {"pattern": "/n/*"}, "object": "n", "action": "r"},
            {"match": {"prefix": "/n"}, "object": "n", "action": "r"},
            {"match": {"pattern": "/{a}/{b}/**", "methods": ["GET"]}, "object": "{a}/{b}", "action": "r"}]"#,
    );
    RouteTable::new(&routes.map(|routes: Vec<_>| routes).expect("routes")).expect("a table")
});

fuzz_target!(|target: &str| {
    let Ok(path) = normalise_path(target) else {
        return;
    };
    assert!(path.starts_with('/') && !path.contains("//") && !path.contains('\0'));
    assert!(
        path.split('/')
            .all(|segment| segment != "." && segment != "..")
    );
    for method in ["GET", "POST"] {
        if let Some(route) = ROUTES.find(method, &path, "") {
            assert!(route.is_public() || !route.object().is_empty());
        }
    }
});
