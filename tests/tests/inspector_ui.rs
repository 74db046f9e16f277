//! The inspector's files as the service sends them: types, caching, what browsers are told, and
//! paths that lead nowhere.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokensmith_tests::http::{self, Response};
use tokensmith_tests::oidc::OidcProvider;
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::Service;

const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
                      connect-src 'self'; style-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The names of the files in a folder of the repository that browsers load.
fn names(folder: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(folder);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| {
        panic!("{}: {error}: run `cargo xtask build`", folder.display());
    });
    let ends = [".css", ".html", ".js", ".mjs", ".svg", ".wasm"];
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| ends.iter().any(|end| name.ends_with(end)))
        .filter(|name| !name.ends_with("node.js"))
        .collect()
}

/// The status and the body as it is: modules are no text.
fn bytes(port: u16, method: &str, target: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let request = format!("{method} {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer
        .windows(4)
        .position(|own| own == b"\r\n\r\n")
        .unwrap();
    let body = answer.split_off(end + 4);
    (String::from_utf8(answer).unwrap(), body)
}

fn is_secured(response: &Response) {
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(response.header(name), Some(value), "{response:?}");
    }
}

#[test]
fn every_file_is_sent_as_it_is() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &[]).unwrap();
    let own = names("host/ui");
    let package = names("wasm/pkg");
    assert!(own.contains("index.html") && own.contains("inspector.mjs"));
    assert!(package.contains("browser.js") && package.contains("policy-browser.js"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let own = own.iter().map(|name| ("host/ui", "/ui", name));
    let package = package
        .iter()
        .map(|name| ("wasm/pkg", "/ui/verifier", name));
    for (folder, prefix, name) in own.chain(package) {
        let (head, body) = bytes(service.port, "GET", &format!("{prefix}/{name}"));
        assert!(head.starts_with("HTTP/1.1 200 "), "{name}: {head}");
        let (_, ending) = name.rsplit_once('.').unwrap();
        let kind = match ending {
            "css" => "text/css; charset=utf-8",
            "html" => "text/html; charset=utf-8",
            "js" | "mjs" => "text/javascript; charset=utf-8",
            "svg" => "image/svg+xml",
            "wasm" => "application/wasm",
            other => panic!("`{other}`"),
        };
        assert!(
            head.contains(&format!("content-type: {kind}\r\n")),
            "{head}"
        );
        assert!(
            body == std::fs::read(root.join(folder).join(name)).unwrap(),
            "{name} is another one"
        );
    }
}

#[test]
fn files_are_asked_for_again_and_sent_once() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &[]).unwrap();
    let page = service.get("/ui/");
    assert_eq!(page.status, 200);
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    is_secured(&page);
    assert_eq!(service.get("/ui/index.html").body, page.body);
    let etag = page.header("etag").unwrap();
    let style = service.get("/ui/inspector.css");
    assert_ne!(style.header("etag"), Some(etag));
    is_secured(&style);

    for (tag, status) in [
        (etag.to_owned(), 304),
        (format!("\"x\", W/{etag}"), 304),
        ("*".to_owned(), 304),
        ("\"x\"".to_owned(), 200),
    ] {
        let known = [("if-none-match", tag.as_str())];
        let again = http::request(service.port, "GET", "/ui/", &known).unwrap();
        assert_eq!(again.status, status, "{tag}");
        assert_eq!(again.body.is_empty(), status == 304, "{tag}");
        assert_eq!(again.header("etag"), Some(etag));
        is_secured(&again);
    }

    let (head, body) = bytes(service.port, "HEAD", "/ui/");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let length = format!("content-length: {}\r\n", page.body.len());
    assert!(head.contains(&length), "{head}");
    assert!(body.is_empty());

    let moved = service.get("/ui");
    assert_eq!((moved.status, moved.header("location")), (308, Some("ui/")));
    is_secured(&moved);
    let posted = http::request(service.port, "POST", "/ui/", &[]).unwrap();
    assert_eq!(posted.status, 405);
}

#[test]
fn paths_lead_to_files_of_the_inspector_only() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &[]).unwrap();
    for target in [
        "/ui/nothing.html",
        "/ui/Index.html",
        "/ui/index.html/",
        "/ui/index.html%00",
        "/ui/%69ndex.html",
        "/ui//index.html",
        "//ui/index.html",
        "/ui/.",
        "/ui/..",
        "/ui/../ui/index.html",
        "/ui/./index.html",
        "/ui/%2e%2e/Cargo.toml",
        "/ui/..%2fCargo.toml",
        "/ui/..%5cCargo.toml",
        "/ui/%2fetc%2fpasswd",
        "/ui//etc/passwd",
        "/ui/%ff",
        "/ui/verifier",
        "/ui/verifier/",
        "/ui/verifier/package.json",
        "/ui/verifier/node.js",
        "/ui/verifier/../index.html",
        "/ui/verifier/verifier/browser.js",
    ] {
        let answer = service.get(target);
        assert_eq!(answer.status, 404, "{target}");
        assert_eq!(answer.json()["error"], "not_found", "{target}");
    }
    is_secured(&service.get("/ui/nothing.html"));
    // What is asked for beside the path is not looked at.
    assert_eq!(service.get("/ui/index.html?file=../x").status, 200);
}

#[test]
fn the_service_tells_what_the_page_shows() {
    let (provider, scratch) = (OidcProvider::start(), Scratch::new());
    let arguments = [
        "--audience",
        "smd,bss",
        "--oidc-issuer",
        &provider.issuer,
        "--oidc-client-id",
        &provider.client_id,
    ];
    let service = Service::start(scratch.path(), &arguments).unwrap();
    let answer = service.get("/ui/service.json");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    is_secured(&answer);
    let told = answer.json();
    assert_eq!(told["issuer"], service.issuer);
    assert_eq!(told["audiences"], json!(["smd", "bss"]));
    assert_eq!(
        told["oidc"],
        json!({"issuer": provider.issuer, "client_id": provider.client_id})
    );
    let health = service.get("/health").json();
    assert_eq!(told["policy"]["version"], health["policy_version"]);
    assert_eq!(told["policy"]["refused"], false);
    let jwks = service.get("/.well-known/jwks.json").json();
    let key = &told["keys"][0];
    assert_eq!(told["keys"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&key["kid"], &key["alg"], &key["signs"]),
        (&jwks["keys"][0]["kid"], &json!("ES256"), &json!(true))
    );
    let time = |value: &Value| value.as_i64().unwrap();
    let now = time(&told["now"]);
    for value in [
        &told["started_at"],
        &told["policy"]["loaded_at"],
        &key["published"],
    ] {
        assert!((now - 120..=now).contains(&time(value)), "{told}");
    }
    assert_eq!(
        (&key["signs_from"], &key["until"]),
        (&Value::Null, &Value::Null)
    );

    let alone = Scratch::new();
    let service = Service::start(alone.path(), &[]).unwrap();
    let told = service.get("/ui/service.json").json();
    assert_eq!(told["oidc"], Value::Null);
}
