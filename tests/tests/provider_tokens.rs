//! ID tokens and access tokens of one provider, signed with the same key: which is which.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use serde_json::{Value, json};
use tokensmith_engine::claims::ClaimRules;
use tokensmith_engine::jose::{Algorithm, JwkSet, Limits};
use tokensmith_engine::oidc::{
    IdTokenRules, ProviderTokenError, access_token_hash, check_access_token, check_id_token,
};
use tokensmith_engine::verify::aws_lc::AwsLc;
use tokensmith_engine::verify::{KeyRing, Verified, Verifier};
use tokensmith_tests::tokens::{Signer, now};

const ISSUER: &str = "https://idp.example";

fn verified(signer: &Signer, header: &Value, claims: &Value) -> Verified {
    let mut all = json!({
        "iss": ISSUER, "aud": "client", "sub": "dora", "exp": now() + 60, "iat": now(),
    });
    let mut protected = json!({"alg": signer.algorithm.name(), "kid": signer.jwk.kid()});
    for (base, change) in [(&mut all, claims), (&mut protected, header)] {
        let change = change.as_object().unwrap().clone();
        base.as_object_mut().unwrap().extend(change);
    }
    let set = JwkSet {
        keys: vec![signer.jwk.clone()],
        rejected: vec![],
    };
    let keys = KeyRing::new([(ISSUER, &set)], &AwsLc);
    let rules = ClaimRules::generic(ISSUER, ["client", "api"]);
    let token = signer.sign_with_header(&protected, &all);
    let verifier = Verifier::new([rules], Limits::default());
    verifier.verify(&token, &keys, now()).unwrap()
}

#[test]
fn id_tokens() {
    let access_token = "the-access-token";
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        let signer = Signer::new(algorithm);
        let hash = access_token_hash(algorithm, access_token);
        let alone = IdTokenRules {
            client_id: "client",
            nonce: None,
            access_token: None,
        };
        let asked = IdTokenRules {
            nonce: Some("n-1"),
            ..alone
        };
        let together = IdTokenRules {
            access_token: Some(access_token),
            ..alone
        };
        for (header, claims, rules, code) in [
            (json!({}), json!({}), alone, "ok"),
            (
                json!({"typ": "JWT"}),
                json!({"typ": "ID", "azp": "client"}),
                alone,
                "ok",
            ),
            (
                json!({"typ": "at+jwt"}),
                json!({}),
                alone,
                "not_an_id_token",
            ),
            (
                json!({"typ": "JWT"}),
                json!({"typ": "Bearer"}),
                alone,
                "not_an_id_token",
            ),
            (
                json!({}),
                json!({"typ": "Refresh"}),
                alone,
                "not_an_id_token",
            ),
            (json!({}), json!({"azp": "other"}), alone, "azp_mismatch"),
            (
                json!({}),
                json!({"aud": ["client", "api"]}),
                alone,
                "azp_mismatch",
            ),
            (
                json!({}),
                json!({"aud": ["client", "api"], "azp": "client"}),
                alone,
                "ok",
            ),
            (json!({}), json!({"nonce": "n-1"}), asked, "ok"),
            (json!({}), json!({"nonce": "n-2"}), asked, "nonce_mismatch"),
            (json!({}), json!({}), asked, "nonce_mismatch"),
            (json!({}), json!({"at_hash": hash}), together, "ok"),
            (
                json!({}),
                json!({"at_hash": "77QmUPtjPfzWtF2AnpK9RQ"}),
                together,
                "at_hash_mismatch",
            ),
            (json!({}), json!({}), together, "claim_missing"),
        ] {
            let token = verified(&signer, &header, &claims);
            let found = check_id_token(&token, &rules);
            let found = found
                .as_ref()
                .map_or_else(ProviderTokenError::code, |()| "ok");
            assert_eq!(found, code, "{algorithm} {header} {claims}");
        }
    }
}

#[test]
fn access_tokens() {
    let signer = Signer::new(Algorithm::ES256);
    for (header, claims, code) in [
        (json!({"typ": "at+jwt"}), json!({"client_id": "x"}), "ok"),
        (json!({"typ": "application/at+jwt"}), json!({}), "ok"),
        (
            json!({"typ": "JWT"}),
            json!({"typ": "Bearer", "azp": "x"}),
            "ok",
        ),
        (
            json!({"typ": "JWT"}),
            json!({"scp": ["read"], "client_id": "x"}),
            "ok",
        ),
        (json!({"typ": "JWT"}), json!({"scp": "read"}), "ok"),
        (json!({"typ": "JWT"}), json!({}), "not_an_access_token"),
        (json!({}), json!({"nonce": "n"}), "not_an_access_token"),
        (
            json!({"typ": "JWT"}),
            json!({"typ": "ID"}),
            "not_an_access_token",
        ),
        (
            json!({"typ": "JWT"}),
            json!({"typ": "Refresh", "scp": "x"}),
            "not_an_access_token",
        ),
        (
            json!({"typ": "JWT"}),
            json!({"at_hash": "x", "scp": "x"}),
            "not_an_access_token",
        ),
        (
            json!({"typ": "at+jwt"}),
            json!({"c_hash": "x"}),
            "not_an_access_token",
        ),
    ] {
        let token = verified(&signer, &header, &claims);
        let found = check_access_token(&token);
        let found = found
            .as_ref()
            .map_or_else(ProviderTokenError::code, |()| "ok");
        assert_eq!(found, code, "{header} {claims}");
    }
}
