//! The inspector: a page that shows what is in a token, whether it is good, and what its caller
//! may do. Its files are parts of this program; tokens are looked at by the browser alone.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokensmith_engine::jose::encode_base64url;

use super::Service;
use super::oauth_error::OauthError;
use super::public_documents::is_known;
use crate::clock::unix_now;

/// Path, ending and content of each file: those of `host/ui`, and the npm package. Written by
/// `build.rs`.
const FILES: &[(&str, &str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/inspector_files.rs"));
const INDEX: &str = "/ui/index.html";

/// What the inspector's answers tell browsers. Nothing is loaded from elsewhere or sent there.
const SECURITY: [(&str, &str); 5] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; \
         style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
    ),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// A file ready to be sent.
struct Page {
    kind: &'static str,
    body: Bytes,
    etag: String,
}

static PAGES: LazyLock<HashMap<&'static str, Page>> = LazyLock::new(|| {
    let pages = FILES.iter().map(|(path, ending, body)| {
        let page = Page {
            kind: kind(ending),
            body: Bytes::from_static(body),
            etag: format!("\"{}\"", encode_base64url(Sha256::digest(body))),
        };
        (*path, page)
    });
    pages.collect()
});

/// `GET /ui/` and every file below it. The path is taken as it was sent: only the names of
/// [`FILES`] lead anywhere.
pub(super) async fn file(uri: Uri, headers: HeaderMap) -> Response {
    let path = match uri.path() {
        "/ui/" => INDEX,
        path => path,
    };
    let Some(page) = PAGES.get(path) else {
        let missing = OauthError::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "the inspector has no such file",
        );
        return secured(missing.into_response());
    };
    let mut response = if is_known(&headers, &page.etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let kind = [(header::CONTENT_TYPE, page.kind)];
        (kind, page.body.clone()).into_response()
    };
    let own = response.headers_mut();
    // Asked for each time, so that all files are of one release.
    own.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(etag) = HeaderValue::from_str(&page.etag) {
        own.insert(header::ETAG, etag);
    }
    secured(response)
}

/// `GET /ui`: relative, as a proxy may have another path before it.
pub(super) async fn to_folder() -> Response {
    let place = [(header::LOCATION, "ui/")];
    secured((StatusCode::PERMANENT_REDIRECT, place).into_response())
}

/// `GET /ui/service.json`: what the inspector shows of this service. Times are Unix seconds.
pub(super) async fn service(State(service): State<Arc<Service>>) -> Response {
    let settings = &service.settings;
    let now = unix_now();
    let oidc = service.oidc.describe().map_or(
        Value::Null,
        |own| json!({"issuer": own.client.issuer, "client_id": own.client.client_id}),
    );
    let body = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "now": now,
        "started_at": service.started_at,
        "issuer": settings.issuer,
        "audiences": settings.audiences,
        "oidc": oidc,
        "policy": {
            "version": service.policy.version(),
            "loaded_at": service.policy.loaded_at(),
            "refused": service.policy.last_error().is_some(),
        },
        "keys": service.keys.published(now),
    });
    let mut response = Json(body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    secured(response)
}

fn secured(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in SECURITY {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    response
}

/// The media type of files with an ending.
fn kind(ending: &str) -> &'static str {
    match ending {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_a_type_and_a_path_of_its_own() {
        assert_eq!(PAGES.len(), FILES.len());
        for (path, ending, body) in FILES {
            assert_ne!(kind(ending), "application/octet-stream", "{path}");
            assert!(!body.is_empty(), "{path}");
        }
        for path in [INDEX, "/ui/inspector.mjs", "/ui/verifier/browser.js"] {
            assert!(PAGES.contains_key(path), "{path}");
        }
    }

    #[tokio::test]
    async fn only_names_of_files_lead_anywhere() {
        for (path, status) in [
            ("/ui/", 200),
            ("/ui/index.html", 200),
            ("/ui/%69ndex.html", 404),
            ("/ui/../ui/index.html", 404),
            ("/ui/..%2fCargo.toml", 404),
            ("/ui/verifier/", 404),
            ("/ui/verifier/package.json", 404),
            ("/ui/verifier/node.js", 404),
        ] {
            let response = file(Uri::from_static(path), HeaderMap::new()).await;
            assert_eq!(response.status().as_u16(), status, "{path}");
            let policy = response.headers().get(header::CONTENT_SECURITY_POLICY);
            assert!(policy.is_some(), "{path}");
        }
    }
}
