use std::collections::VecDeque;

use serde_json::json;
use tokensmith_engine::jose::Algorithm;
use tokensmith_tests::backend::Backend;
use tokensmith_tests::tokens::{Signer, claims};

/// `aud` of the ID tokens.
pub(crate) const CLIENT: &str = "tokensmith";

/// An issuer in this process: it serves discovery and keys, and signs what it issues, but nobody
/// signs in. The tests have a real provider; one such could not be asked for so many tokens.
pub(crate) struct Issuer {
    pub(crate) issuer: String,
    signer: Signer,
    _backend: Backend,
}

impl Issuer {
    pub(crate) fn start() -> Self {
        let backend = Backend::start();
        let issuer = format!("http://127.0.0.1:{}", backend.port);
        let signer = Signer::new(Algorithm::RS256);
        let jwks_uri = format!("{issuer}/jwks");
        backend.publish(
            "/.well-known/openid-configuration",
            Some(json!({"issuer": issuer, "jwks_uri": jwks_uri})),
        );
        backend.publish("/jwks", Some(json!({"keys": [signer.jwk.to_json()]})));
        Self {
            issuer,
            signer,
            _backend: backend,
        }
    }

    /// `count` different ID tokens, good for an hour.
    pub(crate) fn id_tokens(&self, count: usize) -> VecDeque<String> {
        const SIGNERS: usize = 2;
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..SIGNERS)
                .map(|first| {
                    scope.spawn(move || {
                        let numbers = (first..count).step_by(SIGNERS);
                        numbers
                            .map(|number| self.id_token(number))
                            .collect::<Vec<String>>()
                    })
                })
                .collect();
            let lists = running.into_iter().map(|list| list.join().unwrap());
            lists.flatten().collect()
        })
    }

    fn id_token(&self, number: usize) -> String {
        self.signer.sign(&claims(&json!({
            "iss": self.issuer, "aud": CLIENT, "sub": format!("user-{number}"),
            "jti": format!("id-token-{number}"), "groups": ["viewer"],
            "preferred_username": format!("user-{number}"),
        })))
    }
}
