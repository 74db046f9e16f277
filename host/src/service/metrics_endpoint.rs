use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::Service;
use super::metrics::Exposition;

/// `GET /metrics` in the text format of Prometheus.
pub(super) async fn metrics(State(service): State<Arc<Service>>) -> Response {
    let mut exposition = Exposition::default();
    service.metrics.write(&mut exposition);
    oidc(&service, &mut exposition);
    policy(&service, &mut exposition);
    ext_authz(&service, &mut exposition);
    keys(&service, &mut exposition);
    service.write_plugins(&mut exposition);
    exposition.family("tokensmith_build_info", "gauge", "The running version.");
    exposition.sample(
        "tokensmith_build_info",
        &[("version", env!("CARGO_PKG_VERSION"))],
        1,
    );
    exposition.single(
        "tokensmith_start_time_seconds",
        "gauge",
        "When the service started, in Unix time.",
        unsigned(service.started_at),
    );
    let kind = [(header::CONTENT_TYPE, Exposition::CONTENT_TYPE)];
    (kind, exposition.into_text()).into_response()
}

fn oidc(service: &Service, exposition: &mut Exposition) {
    let name = "tokensmith_oidc_fetches_total";
    exposition.family(
        name,
        "counter",
        "Fetches of the OIDC provider's keys, by outcome.",
    );
    let metrics = service.oidc.metrics();
    exposition.sample(name, &[("outcome", "ok")], metrics.fetches);
    exposition.sample(name, &[("outcome", "failed")], metrics.failed_fetches);
    let name = "tokensmith_oidc_introspections_total";
    exposition.family(
        name,
        "counter",
        "Opaque tokens the OIDC provider was asked about, by outcome.",
    );
    exposition.sample(name, &[("outcome", "ok")], metrics.introspections);
    exposition.sample(
        name,
        &[("outcome", "failed")],
        metrics.failed_introspections,
    );
}

fn policy(service: &Service, exposition: &mut Exposition) {
    let policy = &service.policy;
    exposition.single(
        "tokensmith_policy_loads_total",
        "counter",
        "Policies loaded, the first included.",
        policy.loads(),
    );
    exposition.single(
        "tokensmith_policy_load_failures_total",
        "counter",
        "Policies that did not load.",
        policy.failures(),
    );
    exposition.single(
        "tokensmith_policy_refused",
        "gauge",
        "Whether the files hold another policy than the one in use, which did not load.",
        u64::from(policy.last_error().is_some()),
    );
    exposition.single(
        "tokensmith_policy_loaded_time_seconds",
        "gauge",
        "When the policy in use was loaded, in Unix time.",
        unsigned(policy.loaded_at()),
    );
    exposition.family("tokensmith_policy_info", "gauge", "The policy in use.");
    let version = policy.version();
    exposition.sample(
        "tokensmith_policy_info",
        &[("version", version.as_str())],
        1,
    );
}

fn keys(service: &Service, exposition: &mut Exposition) {
    let name = "tokensmith_signing_key_info";
    exposition.family(
        name,
        "gauge",
        "Published signing keys; `signs` is the one in use.",
    );
    let keys = service.keys.current();
    for key in &keys.published {
        let kid = key.kid();
        let signs = if kid == keys.signing.kid() {
            "true"
        } else {
            "false"
        };
        let labels = [
            ("kid", kid),
            ("alg", key.algorithm().name()),
            ("signs", signs),
        ];
        exposition.sample(name, &labels, 1);
    }
}

fn ext_authz(service: &Service, exposition: &mut Exposition) {
    let Some(authorization) = &service.ext_authz else {
        return;
    };
    let counts = authorization.metrics().counts();
    let name = "tokensmith_ext_authz_decisions_total";
    exposition.family(
        name,
        "counter",
        "Decisions of external authorization, by outcome.",
    );
    for (outcome, count) in counts.decisions {
        exposition.sample(name, &[("outcome", outcome)], count);
    }
    for (name, help, good, failed) in [
        (
            "tokensmith_ext_authz_fetches_total",
            "Fetches of issuers' keys, by outcome.",
            counts.fetches,
            counts.failed_fetches,
        ),
        (
            "tokensmith_ext_authz_loads_total",
            "Configurations of external authorization loaded, by outcome.",
            counts.loads,
            counts.failed_loads,
        ),
    ] {
        exposition.family(name, "counter", help);
        exposition.sample(name, &[("outcome", "ok")], good);
        exposition.sample(name, &[("outcome", "failed")], failed);
    }
}

/// Times before 1970 are no times of this service.
fn unsigned(time: i64) -> u64 {
    u64::try_from(time).unwrap_or(0)
}
