//! Keys that sign tokens, made for each test.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};
use tokensmith_engine::jose::{Algorithm, Curve, Jwk, PublicKey, encode_base64url};

/// A private key and what it is published as.
#[derive(Debug)]
pub struct Signer {
    /// The algorithm it signs with.
    pub algorithm: Algorithm,
    /// Its public key.
    pub jwk: Jwk,
    key: Private,
}

#[derive(Debug)]
enum Private {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    /// A new key for RS256, PS256, ES256 or EdDSA.
    pub fn new(algorithm: Algorithm) -> Self {
        let (key, public) = match algorithm {
            Algorithm::RS256 | Algorithm::PS256 => {
                let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
                let (n, e) = (key.public_key().modulus(), key.public_key().exponent());
                let public = PublicKey::Rsa {
                    n: n.big_endian_without_leading_zero().to_vec(),
                    e: e.big_endian_without_leading_zero().to_vec(),
                };
                (Private::Rsa(key), public)
            }
            Algorithm::ES256 => {
                let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
                let point = key.public_key().as_ref().to_vec();
                let (x, y) = point.split_at(1).1.split_at(32);
                let public = PublicKey::Ec {
                    curve: Curve::P256,
                    x: x.to_vec(),
                    y: y.to_vec(),
                };
                (Private::Ec(key), public)
            }
            Algorithm::EdDSA => {
                let key = Ed25519KeyPair::generate().unwrap();
                let x = key.public_key().as_ref().to_vec();
                (Private::Ed25519(key), PublicKey::Ed25519 { x })
            }
            other => panic!("no signer for {other}"),
        };
        Self {
            algorithm,
            jwk: Jwk::from_public(public, Some(algorithm)).unwrap(),
            key,
        }
    }

    /// A JWS of `claims` under the header of this key.
    pub fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": self.algorithm.name(), "kid": self.jwk.kid(), "typ": "JWT"});
        self.sign_with_header(&header, claims)
    }

    /// A JWS of `claims` under any header.
    pub fn sign_with_header(&self, header: &Value, claims: &Value) -> String {
        let input = format!(
            "{}.{}",
            encode_base64url(header.to_string()),
            encode_base64url(claims.to_string())
        );
        let random = SystemRandom::new();
        let signature = match &self.key {
            Private::Ec(key) => key
                .sign(&random, input.as_bytes())
                .unwrap()
                .as_ref()
                .to_vec(),
            Private::Ed25519(key) => key.sign(input.as_bytes()).as_ref().to_vec(),
            Private::Rsa(key) => {
                let padding = match self.algorithm {
                    Algorithm::PS256 => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(padding, &random, input.as_bytes(), &mut signature)
                    .unwrap();
                signature
            }
        };
        format!("{input}.{}", encode_base64url(signature))
    }

    /// A DPoP proof (RFC 9449 section 4.2) for `GET uri` with `token`, `header` and `payload` laid
    /// over it; `null` takes a member out.
    pub fn proof(&self, uri: &str, token: &str, header: &Value, payload: &Value) -> String {
        let mut own =
            json!({"typ": "dpop+jwt", "alg": self.algorithm.name(), "jwk": self.jwk.to_json()});
        let digest = digest::digest(&digest::SHA256, token.as_bytes());
        let mut claims = json!({
            "htm": "GET", "htu": uri, "iat": now(), "jti": "proof-1",
            "ath": encode_base64url(digest),
        });
        for (base, change) in [(&mut own, header), (&mut claims, payload)] {
            if let (Some(base), Some(change)) = (base.as_object_mut(), change.as_object()) {
                base.extend(change.clone());
                base.retain(|_, value| !value.is_null());
            }
        }
        self.sign_with_header(&own, &claims)
    }
}

/// Unix time in seconds.
pub fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs() as i64
}

/// Claims of the TokenSmith profile, valid for an hour, for issuer `https://issuer.test` and
/// audience `svc`, with `change` laid over them.
pub fn claims(change: &Value) -> Value {
    let now = now();
    let mut claims = json!({
        "iss": "https://issuer.test", "sub": "alice", "aud": ["svc"],
        "iat": now, "nbf": now, "exp": now + 3600,
        "auth_level": "IAL2", "auth_factors": 2, "auth_methods": ["pwd", "otp"],
        "auth_events": ["login"], "session_id": "s-1", "session_exp": now + 3600,
        "roles": ["viewer"], "scope": ["read"],
    });
    if let (Some(claims), Some(change)) = (claims.as_object_mut(), change.as_object()) {
        claims.extend(change.clone());
    }
    claims
}
