use serde_json::{Value, json};
use tokensmith_tests::envoy::{Envoy, typed, wasm_filter};
use tokensmith_tests::http;
use tokensmith_tests::tokens::{Signer, claims};

use crate::PROCESSOR;

const CACHE: usize = 10_000;

pub(crate) fn no_filter() -> Envoy {
    launch(&[])
}

/// jwt_authn verifies, rbac lets viewers read.
pub(crate) fn native(signer: &Signer, cached: bool) -> Envoy {
    let mut provider = json!({
        "issuer": "https://issuer.test",
        "audiences": ["svc"],
        "local_jwks": {"inline_string": keys(signer).to_string()},
        "payload_in_metadata": "jwt_payload",
        "forward": true,
    });
    if cached {
        provider["jwt_cache_config"] = json!({"jwt_cache_size": CACHE});
    }
    let jwt_authn = typed(
        "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        json!({
            "providers": {"tokensmith": provider},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "tokensmith"}}],
        }),
    );
    let method = json!({"header": {"name": ":method", "string_match": {"exact": "GET"}}});
    let path = json!({"url_path": {"path": {"prefix": "/nodes"}}});
    let role = json!({"metadata": {
        "filter": "envoy.filters.http.jwt_authn",
        "path": [{"key": "jwt_payload"}, {"key": "roles"}],
        "value": {"list_match": {"one_of": {"string_match": {"exact": "viewer"}}}},
    }});
    let rbac = typed(
        "envoy.extensions.filters.http.rbac.v3.RBAC",
        json!({"rules": {"action": "ALLOW", "policies": {"viewers": {
            "permissions": [{"and_rules": {"rules": [method, path]}}],
            "principals": [role],
        }}}}),
    );
    let envoy = launch(&[
        json!({"name": "envoy.filters.http.jwt_authn", "typed_config": jwt_authn}),
        json!({"name": "envoy.filters.http.rbac", "typed_config": rbac}),
    ]);
    check(&envoy, signer);
    envoy
}

/// The filter; of the module at `path` if there is one, to compare builds.
pub(crate) fn tokensmith(signer: &Signer, cached: bool, path: Option<&str>) -> Envoy {
    let mut filter = wasm_filter(&json!({
        "issuers": [{
            "issuer": "https://issuer.test", "audiences": ["svc"], "jwks": keys(signer),
        }],
        "routes": [{
            "match": {"prefix": "/nodes", "methods": ["GET"]},
            "object": "metadata:nodes", "action": "read",
        }],
        "default_route": "deny",
        "cache": {"entries": if cached { CACHE } else { 0 }},
    }));
    if let Some(path) = path {
        filter["typed_config"]["config"]["vm_config"]["code"]["local"]["filename"] = path.into();
    }
    let envoy = launch(&[filter]);
    check(&envoy, signer);
    envoy
}

fn keys(signer: &Signer) -> Value {
    json!({"keys": [signer.jwk.to_json()]})
}

/// Envoy answers itself, so that what is measured is Envoy.
fn launch(filters: &[Value]) -> Envoy {
    let answer = json!({"status": 200, "body": {"inline_string": "ok"}});
    let route = json!({"match": {"prefix": "/"}, "direct_response": answer});
    Envoy::launch(filters, &route, &[], Some(PROCESSOR)).unwrap_or_else(|error| panic!("{error}"))
}

/// Contestants that do not check the same are not to be compared.
fn check(envoy: &Envoy, signer: &Signer) {
    let status = |method: &str, token: &str| {
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", authorization.as_str())];
        http::request(envoy.port, method, "/nodes/1", &headers)
            .unwrap()
            .status
    };
    let good = signer.sign(&claims(&json!({})));
    assert_eq!(status("GET", &good), 200);
    assert_eq!(status("DELETE", &good), 403);
    assert_eq!(
        status("GET", &signer.sign(&claims(&json!({"roles": ["nobody"]})))),
        403
    );
    assert_eq!(
        status("GET", &signer.sign(&claims(&json!({"exp": 1})))),
        401
    );
    assert_eq!(
        status(
            "GET",
            &Signer::new(signer.algorithm).sign(&claims(&json!({})))
        ),
        401
    );
}
