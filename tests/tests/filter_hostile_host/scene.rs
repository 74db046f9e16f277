//! The filter's configurations, what is asked of it, and what must hold however it ends.

use serde_json::{Value, json};
use tokensmith_engine::jose::{Algorithm, encode_base64url};
use tokensmith_tests::tokens::{Signer, claims};
use tokensmith_tests::wasm_host::status::answers;
use tokensmith_tests::wasm_host::{
    Faults, Headers, Host, HttpResponse, Outcome, ROOT, Trapped, Vm, headers,
};

/// The cluster of `jwks_uri`.
pub(crate) const CLUSTER: &str = "issuer";

/// What a caller sends to be taken for another.
const FORGED: [(&str, &str); 8] = [
    ("x-tokensmith-subject", "root-forged"),
    ("x-tokensmith-principal-type", "service-forged"),
    ("x-tokensmith-roles", "admin-forged"),
    ("x-tokensmith-roles", "operator-forged"),
    ("x-tokensmith-scopes", "all-forged"),
    ("x-email", "root@forged"),
    ("x-nested", "nested-forged"),
    ("x-jwt-payload", "payload-forged"),
];

/// A configuration with the key of its issuer.
pub(crate) struct Scene {
    pub(crate) configuration: Value,
    pub(crate) signer: Signer,
    /// What has to be the same whenever a request goes on: the headers that the filter sets.
    owned: Vec<&'static str>,
    /// Whether requests bring what the filter sets.
    forging: bool,
}

impl Scene {
    /// One issuer with its keys, routes and a claim header.
    pub(crate) fn plain() -> Self {
        let signer = Signer::new(Algorithm::ES256);
        let configuration = json!({
            "issuers": [{
                "issuer": "https://issuer.test", "audiences": ["svc"],
                "jwks": {"keys": [signer.jwk.to_json()]},
            }],
            "routes": [
                {"match": {"prefix": "/public"}, "public": true},
                {"match": {"prefix": "/nodes", "methods": ["GET"]},
                    "object": "metadata:nodes", "action": "read"},
                {"match": {"prefix": "/nodes", "methods": ["DELETE"]},
                    "object": "metadata:nodes", "action": "delete"},
            ],
            "claim_headers": [{"claim": "email", "header": "x-email"}],
            "cache": {"entries": 100},
        });
        let owned = vec![
            "x-tokensmith-subject",
            "x-tokensmith-principal-type",
            "x-tokensmith-roles",
            "x-tokensmith-scopes",
            "x-email",
        ];
        Self {
            configuration,
            signer,
            owned,
            forging: true,
        }
    }

    /// The same with everything that makes the filter call its host.
    pub(crate) fn full() -> Self {
        let mut scene = Self::plain();
        let all = json!({
            "claim_headers": [
                {"claim": "email", "header": "x-email"},
                {"claim": ["a", "b"], "header": "x-nested"},
            ],
            "clear_route_cache": true,
            "filter_state": {"claims": ["sub", ["a", "b"]]},
            "shadow_policy": {"rules": "p, role:viewer, metadata:nodes, delete"},
        });
        for (name, value) in all.as_object().unwrap() {
            scene.configuration[name] = value.clone();
        }
        let issuer = &mut scene.configuration["issuers"][0];
        issuer["from"] = json!([
            {"header": "authorization", "prefix": "Bearer "},
            {"query": "access_token"},
            {"cookie": "session"},
        ]);
        issuer["forward"] = json!(false);
        issuer["payload_header"] = json!({"name": "x-jwt-payload", "pad": false});
        let more = [
            "x-nested",
            "x-jwt-payload",
            "authorization",
            "cookie",
            ":path",
        ];
        scene.owned.extend(more);
        scene
    }

    /// [`Scene::full`] with overrides by Envoy's routes, with which requests that forge are refused.
    pub(crate) fn overridden() -> Self {
        let mut scene = Self::full();
        scene.configuration["route_overrides"] = json!(true);
        scene.forging = false;
        scene
    }

    /// [`Scene::plain`] with keys that have to be fetched.
    pub(crate) fn remote() -> Self {
        let mut scene = Self::plain();
        let issuer = scene.configuration["issuers"][0].as_object_mut().unwrap();
        issuer.remove("jwks");
        issuer.insert("jwks_uri".into(), "http://issuer.test/jwks".into());
        issuer.insert("jwks_cluster".into(), CLUSTER.into());
        scene
    }

    /// A host on which everything goes well: the connection has a client certificate, and the
    /// issuer can be reached.
    pub(crate) fn host(&self) -> Host {
        let mut host = Host::new();
        host.clusters.insert(CLUSTER.into());
        host.set_property(&["connection", "mtls"], &[1]);
        let digest = "01".repeat(32);
        let name = ["connection", "sha256_peer_certificate_digest"];
        host.set_property(&name, digest.as_bytes());
        host
    }

    /// The filter, configured.
    pub(crate) fn vm(&self) -> Vm {
        Vm::configured(self.host(), &self.configuration)
    }

    /// The filter, configured while `faults` are; `None` when it does not take its configuration.
    pub(crate) fn vm_with(&self, faults: Faults) -> Result<Option<Vm>, Trapped> {
        let mut host = self.host();
        host.faults = faults;
        let mut vm = Vm::start(host)?;
        vm.create_root(ROOT)?;
        let taken = vm.configure(ROOT, self.configuration.to_string().as_bytes())?;
        Ok(taken.then_some(vm))
    }

    /// The JWK set of the issuer, as its server gives it.
    pub(crate) fn key_set(&self) -> HttpResponse {
        let keys = json!({"keys": [self.signer.jwk.to_json()]});
        HttpResponse {
            headers: headers(&[(":status", "200"), ("content-type", "application/json")]),
            body: keys.to_string().into_bytes(),
            said: None,
        }
    }

    /// A token that is good at the host's time, with `change` laid over its claims.
    pub(crate) fn token(&self, now: i64, change: &Value) -> String {
        let mut all = json!({
            "iat": now, "nbf": now, "exp": now + 3600, "session_exp": now + 3600,
            "email": "alice@site", "a": {"b": ["c", "d"]},
        });
        for (name, value) in change.as_object().unwrap() {
            all[name] = value.clone();
        }
        self.signer.sign(&claims(&all))
    }

    /// A good request.
    pub(crate) fn good(&self, now: i64) -> Headers {
        let token = self.token(now, &json!({}));
        self.sent(with_token("GET", "/nodes/1?q=1", &token))
    }

    /// A request whose token somebody else signed.
    pub(crate) fn bad(&self, now: i64) -> Headers {
        let stranger = Signer::new(Algorithm::ES256);
        let header = json!({"alg": "ES256", "kid": self.signer.jwk.kid()});
        let change = json!({"roles": ["admin"], "iat": now, "exp": now + 3600});
        let token = stranger.sign_with_header(&header, &claims(&change));
        self.sent(with_token("GET", "/nodes/1?q=1", &token))
    }

    fn sent(&self, mut request: Headers) -> Headers {
        let forged = |value: &[u8]| String::from_utf8_lossy(value).contains("forged");
        request.retain(|(_, value)| self.forging || !forged(value));
        request
    }

    /// Requests of every kind by name, good and bad.
    pub(crate) fn requests(&self, now: i64) -> Vec<(&'static str, Headers)> {
        let bound = json!({"cnf": {"x5t#S256": encode_base64url([1; 32])}});
        let good = self.token(now, &json!({}));
        let mut requests = vec![
            ("good", self.good(now)),
            (
                "bound to a certificate",
                with_token("GET", "/nodes", &self.token(now, &bound)),
            ),
            ("bad signature", self.bad(now)),
            ("no permission", with_token("DELETE", "/nodes/1", &good)),
            ("no route", with_token("GET", "/unmapped", &good)),
            ("no token", request("GET", "/nodes", &[])),
            ("public", request("GET", "/public/x", &[])),
        ];
        if self.owned.contains(&"cookie") {
            let target = format!("/nodes?a=1&access_token={good}&b=2");
            requests.push(("token in the query", request("GET", &target, &[])));
            let cookie = format!("a=1; session={good}; b=2");
            let cookie = [("cookie", cookie.as_str())];
            requests.push(("token in a cookie", request("GET", "/nodes", &cookie)));
        }
        requests
            .into_iter()
            .map(|(name, request)| (name, self.sent(request)))
            .collect()
    }

    /// A request that was disturbed ended as undisturbed, or it did not go on.
    pub(crate) fn assert_closed(&self, undisturbed: &Outcome, outcome: &Outcome, what: &str) {
        match outcome {
            Outcome::Continued(_) => {
                for name in &self.owned {
                    let wanted = undisturbed.continued_with(name);
                    assert_eq!(outcome.continued_with(name), wanted, "{what}: `{name}`");
                }
            }
            Outcome::Denied(answer) => assert!(answer.status >= 400, "{what}: {answer:?}"),
            Outcome::Paused => {}
        }
    }

    /// Nothing goes on that a caller forged.
    pub(crate) fn assert_not_forged(&self, outcome: &Outcome, what: &str) {
        for name in &self.owned {
            let values = outcome.continued_with(name).unwrap_or_default();
            let forged = values.iter().any(|value| value.contains("forged"));
            assert!(!forged, "{what}: `{name}` is {values:?}");
        }
    }
}

/// A request with a token, and everything forged.
pub(crate) fn with_token(method: &str, path: &str, token: &str) -> Headers {
    let authorization = format!("Bearer {token}");
    request(method, path, &[("authorization", &authorization)])
}

/// A request with everything forged.
pub(crate) fn request(method: &str, path: &str, more: &[(&str, &str)]) -> Headers {
    let own = [
        (":method", method),
        (":path", path),
        (":scheme", "https"),
        (":authority", "api.test"),
        ("x-request-id", "request-1"),
    ];
    headers(&[&own[..], &FORGED[..], more].concat())
}

/// Answers every HTTP call that waits.
pub(crate) fn answer_all(vm: &mut Vm, response: &HttpResponse) -> Result<(), Trapped> {
    for call in vm.host().waiting() {
        vm.respond(call.token, Some(response.clone()))?;
    }
    Ok(())
}

/// The SDK (proxy-wasm 0.2.5) panics at a status that it does not know for the call, before the
/// filter sees it. That is excused where Envoy never answers so. A request that is in the filter
/// then does not go on: Envoy answers 503, as `fail_open` is false.
pub(crate) fn assert_excused(trapped: &Trapped, function: &str, status: u32, what: &str) {
    let of_sdk = trapped.is_of_sdk("/src/") && !trapped.endless;
    assert!(of_sdk, "{what}: {trapped:?}");
    let known = answers(function).contains(&status);
    assert!(!known, "{what}: Envoy answers so: {trapped:?}");
}
