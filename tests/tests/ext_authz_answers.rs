//! The messages of external authorization: the recorded requests to the middleware this engine
//! replaces, and tokens bound to a client certificate.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::collections::HashMap;

use prost_types::value::Kind;
use serde_json::{Value, json};
use tokensmith::ext_authz::Authorization;
use tokensmith::ext_authz::messages::{
    AttributeContext, CheckRequest, CheckResponse, HeaderValueOption, HttpRequest, HttpResponse,
    Peer, Request,
};
use tokensmith_engine::binding::CertificateThumbprint;
use tokensmith_engine::decide::{self, Config, ConfigError, Decider, Memory, Outcome};
use tokensmith_engine::jose::{Algorithm, JwkSet, Limits};
use tokensmith_engine::verify::KeyRing;
use tokensmith_engine::verify::aws_lc::AwsLc;
use tokensmith_tests::tokens::{Signer, claims, now};

const TOKENS: &str = include_str!("../vectors/authn.json");
const REQUESTS: &str = include_str!("../vectors/middleware.json");
/// When the recorded tokens are good.
const NOW: i64 = 150;

fn asked(http: HttpRequest, certificate: &str) -> CheckRequest {
    CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(Peer {
                certificate: certificate.to_owned(),
            }),
            request: Some(Request { http: Some(http) }),
        }),
    }
}

fn pairs(headers: &[HeaderValueOption]) -> Vec<(String, String)> {
    let pair = |own: &HeaderValueOption| {
        assert_eq!(own.append_action, HeaderValueOption::OVERWRITE);
        let header = own.header.as_ref().unwrap();
        (header.key.clone(), header.value.clone())
    };
    headers.iter().map(pair).collect()
}

/// The members of the metadata that are texts, as a record has them.
fn texts(answer: &CheckResponse) -> HashMap<String, String> {
    let fields = &answer.dynamic_metadata.as_ref().unwrap().fields;
    let texts = fields
        .iter()
        .filter_map(|(name, value)| match value.kind.as_ref().unwrap() {
            Kind::StringValue(text) => Some((name.clone(), text.clone())),
            _ => None,
        });
    texts.collect()
}

fn assert_carries_out(answer: &CheckResponse, outcome: &Outcome<'_>, name: &str) {
    let code = answer.status.as_ref().unwrap().code;
    assert_eq!(code == 0, outcome.is_allowed(), "{name}");
    match (answer.http_response.as_ref().unwrap(), &outcome.denial) {
        (HttpResponse::Ok(ok), None) => {
            let set = outcome
                .identity
                .as_ref()
                .map(|identity| identity.headers().to_vec())
                .unwrap_or_default();
            assert_eq!(pairs(&ok.headers), set, "{name}");
            // Each identity header is set by us or gone.
            for strip in outcome.strip.iter() {
                let is_set = set.iter().any(|(own, _)| own == strip);
                assert_ne!(is_set, ok.headers_to_remove.contains(strip), "{name}");
            }
        }
        (HttpResponse::Denied(denied), Some(denial)) => {
            let status = denied.status.as_ref().unwrap().code;
            assert_eq!(status, i32::from(denial.status), "{name}");
            assert_eq!(denied.body.as_bytes(), denial.body, "{name}");
            let headers: Vec<(String, String)> = denial
                .headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect();
            assert_eq!(pairs(&denied.headers), headers, "{name}");
        }
        other => panic!("{name}: {other:?}"),
    }
    let record = serde_json::to_value(&outcome.record).unwrap();
    let expected: HashMap<String, String> = record
        .as_object()
        .unwrap()
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect();
    assert_eq!(texts(answer), expected, "{name}");
}

#[test]
fn recorded_requests_have_the_answers_of_the_decision() {
    let tokens: Value = serde_json::from_str(TOKENS).unwrap();
    let document: Value = serde_json::from_str(REQUESTS).unwrap();
    let jwks = &tokens["jwks"];
    let set = JwkSet::parse(jwks.to_string().as_bytes(), &Limits::default()).unwrap();
    let ring = KeyRing::new([("iss", &set)], &AwsLc);
    let mut valid = tokens["cases"].as_array().unwrap().iter();
    let valid = valid.find(|case| case["name"] == "alg-ok-ES256").unwrap();
    let authorization = valid["authorization"][0].as_str().unwrap();
    let mut checked = 0;
    for case in document["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let json = config(&document["config"], jwks, case);
        let both = Config::from_json(json.to_string().as_bytes()).and_then(|config| {
            let decider = Decider::new(&config, Limits::default(), AwsLc)?;
            Ok((decider, Authorization::new(&config)?))
        });
        let (decider, service) = match both {
            Ok(both) => both,
            Err(error) => {
                assert!(case["here"]["refused"].is_string(), "{name}: {error}");
                continue;
            }
        };
        let text = |member: &str| case[member].as_str().unwrap_or_default().to_owned();
        let mut headers = HashMap::new();
        if case["roles"].is_array() {
            headers.insert("authorization".to_owned(), authorization.to_owned());
        }
        if let Some(id) = case["request_id"].as_str() {
            headers.insert("x-request-id".to_owned(), id.to_owned());
        }
        let http = HttpRequest {
            method: text("method"),
            path: text("target"),
            host: "test".to_owned(),
            scheme: "http".to_owned(),
            headers,
            header_map: None,
        };
        let request = decide::Request {
            method: &http.method,
            target: &http.path,
            authorization: case["roles"].is_array().then_some(authorization),
            request_id: case["request_id"].as_str(),
            ..decide::Request::default()
        };
        let outcome = decider.decide(&request, &ring, &mut Memory::new(0, [0; 16]), NOW);
        let message = asked(http.clone(), "");
        // The second time it is a token that was seen before.
        for _ in 0..2 {
            assert_carries_out(&service.check(&message, NOW), &outcome, name);
        }
        checked += 1;
    }
    assert!(checked > 25, "{checked}");
}

/// As the recordings are decided on: the token's level of authentication stands for the roles.
fn config(base: &Value, jwks: &Value, case: &Value) -> Value {
    let roles = case["roles"].as_array().cloned().unwrap_or_default();
    let principal = match &case["principal"] {
        Value::Null => json!({"roles": [], "groups": "auth_level", "group_roles": {"IAL2": roles}}),
        own => own.clone(),
    };
    let mut config = base.clone();
    config["issuers"] = json!([{
        "issuer": "iss", "audiences": ["svc"], "jwks": jwks, "principal": principal,
    }]);
    for (name, value) in case["config"].as_object().into_iter().flatten() {
        config[name] = value.clone();
    }
    config
}

fn of_one_issuer(signer: &Signer) -> Result<Authorization, ConfigError> {
    let config = json!({
        "issuers": [{
            "issuer": "https://issuer.test", "audiences": ["svc"],
            "jwks": {"keys": [signer.jwk.to_json()]},
        }],
        "routes": [{"match": {"prefix": "/nodes"}, "object": "metadata:nodes", "action": "read"}],
    });
    Config::from_json(config.to_string().as_bytes()).and_then(|config| Authorization::new(&config))
}

fn get(authorization: &str, dpop: Option<&str>) -> HttpRequest {
    let mut headers = HashMap::from([("authorization".to_owned(), authorization.to_owned())]);
    headers.extend(dpop.map(|proof| ("dpop".to_owned(), proof.to_owned())));
    HttpRequest {
        method: "GET".to_owned(),
        path: "/nodes?limit=1".to_owned(),
        host: "api.test".to_owned(),
        scheme: "https".to_owned(),
        headers,
        header_map: None,
    }
}

#[test]
fn bound_tokens_need_what_they_are_bound_to() {
    let (signer, client) = (Signer::new(Algorithm::ES256), Signer::new(Algorithm::EdDSA));
    let service = of_one_issuer(&signer).unwrap();
    let error = |http: HttpRequest, certificate: &str| {
        let answer = service.check(&asked(http, certificate), now());
        texts(&answer).remove("error").unwrap_or_default()
    };
    // 33 bytes that are all zero are 44 characters without any that would have to be encoded.
    let pem = |character: &str| {
        let base64 = character.repeat(44);
        format!("-----BEGIN%20CERTIFICATE-----%0A{base64}%0A-----END%20CERTIFICATE-----%0A")
    };
    let thumbprint = CertificateThumbprint::of_der(&[0; 33]).to_base64url();
    let token = signer.sign(&claims(&json!({"cnf": {"x5t#S256": thumbprint}})));
    let http = get(&format!("Bearer {token}"), None);
    for _ in 0..2 {
        assert_eq!(error(http.clone(), &pem("A")), "");
        assert_eq!(error(http.clone(), &pem("B")), "certificate_mismatch");
        assert_eq!(error(http.clone(), ""), "certificate_missing");
        assert_eq!(error(http.clone(), "no%20PEM"), "certificate_missing");
    }

    let jkt = json!({"cnf": {"jkt": client.jwk.thumbprint()}});
    let token = signer.sign(&claims(&jkt));
    let uri = "https://api.test/nodes";
    let proof = client.proof(uri, &token, &json!({}), &json!({}));
    let scheme = format!("DPoP {token}");
    assert_eq!(error(get(&scheme, Some(&proof)), ""), "");
    assert_eq!(error(get(&scheme, Some(&proof)), ""), "dpop_replayed");
    assert_eq!(error(get(&scheme, None), ""), "dpop_missing");
    let joined = format!("{proof},{proof}");
    assert_eq!(error(get(&scheme, Some(&joined)), ""), "dpop_malformed");
}

#[test]
fn proofs_stay_used_when_the_configuration_changes() {
    let (signer, client) = (Signer::new(Algorithm::ES256), Signer::new(Algorithm::EdDSA));
    let service = of_one_issuer(&signer).unwrap();
    let jkt = json!({"cnf": {"jkt": client.jwk.thumbprint()}});
    let token = signer.sign(&claims(&jkt));
    let proof = client.proof("https://api.test/nodes", &token, &json!({}), &json!({}));
    let message = asked(get(&format!("DPoP {token}"), Some(&proof)), "");
    let check = || service.check(&message, now()).status.unwrap().code;
    assert_eq!(check(), 0);
    let config = json!({
        "issuers": [{
            "issuer": "https://issuer.test", "audiences": ["svc"],
            "jwks": {"keys": [signer.jwk.to_json()]},
        }],
        "default_route": "path_method",
        "cache": {"entries": 0},
    });
    let config = Config::from_json(config.to_string().as_bytes()).unwrap();
    service.replace(&config).unwrap();
    let answer = service.check(&message, now());
    assert_eq!(texts(&answer)["error"], "dpop_replayed");
    // A key that went with the configuration verifies nothing, remembered tokens included.
    let stranger = Signer::new(Algorithm::ES256);
    let other = of_one_issuer(&signer).unwrap();
    let plain = signer.sign(&claims(&json!({})));
    let message = asked(get(&format!("Bearer {plain}"), None), "");
    assert_eq!(other.check(&message, now()).status.unwrap().code, 0);
    let config = json!({"issuers": [{
        "issuer": "https://issuer.test", "audiences": ["svc"],
        "jwks": {"keys": [stranger.jwk.to_json()]},
    }]});
    let config = Config::from_json(config.to_string().as_bytes()).unwrap();
    other.replace(&config).unwrap();
    assert_ne!(other.check(&message, now()).status.unwrap().code, 0);
}

#[test]
fn what_is_no_request_is_denied() {
    let signer = Signer::new(Algorithm::ES256);
    let service = of_one_issuer(&signer).unwrap();
    let connection = CheckRequest {
        attributes: Some(AttributeContext::default()),
    };
    for message in [CheckRequest::default(), connection] {
        let answer = service.check(&message, now());
        assert_ne!(answer.status.unwrap().code, 0);
        assert!(matches!(
            answer.http_response,
            Some(HttpResponse::Denied(_))
        ));
    }
    let decisions = service.metrics().counts().decisions;
    assert!(decisions.contains(&("unavailable", 2)), "{decisions:?}");
}
