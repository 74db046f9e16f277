use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokensmith_tests::backend::Backend;
use tokensmith_tests::envoy::{BACKEND, Envoy};
use tokensmith_tests::http::Response;
use tokensmith_tests::oidc::OidcProvider;
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::Service;

use crate::narrator::Narrator;

/// The audience of service A, which holds the inventory.
pub(crate) const SERVICE_A: &str = "service-a";
/// The audience of service B, which service A calls.
pub(crate) const SERVICE_B: &str = "service-b";

/// Everything that runs.
pub(crate) struct Mesh {
    pub(crate) oidc: OidcProvider,
    pub(crate) tokensmith: Service,
    envoy_a: Envoy,
    envoy_b: Envoy,
    _scratch: Scratch,
}

impl Mesh {
    pub(crate) fn start(narrator: &mut Narrator) -> Self {
        narrator.heading("Starting the parts");
        let oidc = OidcProvider::start();
        narrator.tell(&format!("OpenID provider     {}", oidc.issuer));
        let scratch = Scratch::new();
        let tokensmith = Service::start(
            scratch.path(),
            &[
                "--oidc-issuer",
                &oidc.issuer,
                "--oidc-client-id",
                &oidc.client_id,
                "--audience",
                SERVICE_A,
            ],
        )
        .unwrap_or_else(|error| panic!("{error}"));
        narrator.tell(&format!(
            "tokensmith serve    http://127.0.0.1:{}",
            tokensmith.port
        ));
        let [envoy_a, envoy_b] = [SERVICE_A, SERVICE_B].map(|audience| {
            let backend = Backend::start();
            let filter = filter(&tokensmith.issuer, audience);
            let clusters = [(BACKEND, backend.port), ("tokensmith", tokensmith.port)];
            Envoy::start_with(&filter, &clusters).unwrap_or_else(|error| panic!("{error}"))
        });
        narrator.tell(&format!(
            "Envoy of service A  http://127.0.0.1:{}",
            envoy_a.port
        ));
        narrator.tell(&format!(
            "Envoy of service B  http://127.0.0.1:{}",
            envoy_b.port
        ));
        let mesh = Self {
            oidc,
            tokensmith,
            envoy_a,
            envoy_b,
            _scratch: scratch,
        };
        narrator.expect("both filters have fetched the keys", mesh.wait_for_keys());
        mesh
    }

    pub(crate) fn call_a(&self, method: &str, path: &str, token: Option<&str>) -> Response {
        call(&self.envoy_a, method, path, token)
    }

    pub(crate) fn call_b(&self, method: &str, path: &str, token: Option<&str>) -> Response {
        call(&self.envoy_b, method, path, token)
    }

    /// The service loads the same policy as the filters: the baseline.
    pub(crate) fn policy_version(&self) -> Value {
        self.tokensmith.get("/health").json()["policy_version"].clone()
    }

    /// What to try by hand.
    pub(crate) fn describe(&self, tokens: &[(&str, &String)]) {
        println!("\nEverything stays up until you interrupt it. To try:\n");
        for (name, token) in tokens {
            println!("{name}={token}");
        }
        println!(
            "\ncurl -i -H \"authorization: Bearer $BOB\" http://127.0.0.1:{a}/nodes\n\
             curl -i -X DELETE -H \"authorization: Bearer $BOB\" http://127.0.0.1:{a}/nodes/1\n\
             curl -i -H \"authorization: Bearer $SERVICE_A\" http://127.0.0.1:{b}/nodes\n\
             curl -s http://127.0.0.1:{service}/.well-known/jwks.json\n\n\
             sign in: {oidc} (alice, bob, carol; the password is the name and `-password`)",
            a = self.envoy_a.port,
            b = self.envoy_b.port,
            service = self.tokensmith.port,
            oidc = self.oidc.issuer,
        );
    }

    fn wait_for_keys(&self) -> bool {
        let end = Instant::now() + Duration::from_secs(20);
        [&self.envoy_a, &self.envoy_b].into_iter().all(|envoy| {
            // Without keys the filter says that it cannot tell; with keys, that this is no token.
            while call(envoy, "GET", "/nodes", Some(PROBE)).status == 503 {
                if Instant::now() > end {
                    return false;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            true
        })
    }
}

/// A token with a `kid` of the right form, of nobody: `{"alg":"ES256","kid":"AAA..."}`,
/// `{"iss":"http://tokensmith.test"}`.
const PROBE: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6IkFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUEifQ.eyJpc3MiOiJodHRwOi8vdG9rZW5zbWl0aC50ZXN0In0.AAAA";

fn call(envoy: &Envoy, method: &str, path: &str, token: Option<&str>) -> Response {
    let authorization = format!("Bearer {}", token.unwrap_or_default());
    let headers = [("authorization", authorization.as_str())];
    envoy.request(method, path, if token.is_some() { &headers } else { &[] })
}

fn filter(issuer: &str, audience: &str) -> Value {
    let rule = |methods: &[&str], action: &str| {
        json!({
            "match": {"prefix": "/nodes", "methods": methods},
            "object": "metadata:nodes", "action": action,
        })
    };
    json!({
        "issuers": [{
            "issuer": issuer,
            "audiences": [audience],
            "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
            "jwks_cluster": "tokensmith",
        }],
        "mode": "enforce",
        "routes": [
            {"match": {"exact": "/healthz"}, "public": true},
            rule(&["GET"], "read"),
            rule(&["PUT", "PATCH"], "update"),
            rule(&["POST"], "create"),
            rule(&["DELETE"], "delete"),
        ],
        "default_route": "deny",
    })
}
