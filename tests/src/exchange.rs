//! A service with exchange rules, tokens to exchange, and what becomes of them.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tokensmith::signing_key::{KeyKind, SigningKey};

use crate::http::Response;
use crate::scratch::Scratch;
use crate::service::{Service, TOKEN_EXCHANGE};
use crate::tokens::claims;

/// The type of an access token (RFC 8693 section 3).
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A service that takes its rules from a file, and whose key the test has too.
#[derive(Debug)]
pub struct ExchangeSite {
    /// The service.
    pub service: Service,
    key: SigningKey,
    // Goes after the service.
    _scratch: Scratch,
}

impl ExchangeSite {
    /// Starts a service with a configuration file in TOML and more arguments for `serve`.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start(configuration: &str, arguments: &[&str]) -> Self {
        let scratch = Scratch::new();
        let key = SigningKey::generate(KeyKind::Es256).unwrap();
        let path = scratch.write("key.pem", &key.to_pem().unwrap());
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
        scratch.write("site.toml", configuration);
        let mut all = vec!["--config", "site.toml", "--key-file", "key.pem"];
        all.extend(arguments);
        Self {
            service: Service::start(scratch.path(), &all).unwrap(),
            key,
            _scratch: scratch,
        }
    }

    /// A token of the service for the user `ann`, with `change` laid over its claims.
    ///
    /// # Panics
    /// When it cannot be signed.
    pub fn ann(&self, change: &Value) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let jti = format!("ann-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut token = claims(&json!({
            "iss": self.service.issuer, "sub": "ann", "aud": ["web"], "jti": jti,
            "principal_type": "user", "groups": ["operators"], "roles": ["operator", "viewer"],
            "scope": ["read", "write", "admin"], "email": "ann@site.test",
        }));
        let members = token.as_object_mut().unwrap();
        members.extend(change.as_object().unwrap().clone());
        self.key.sign(members).unwrap()
    }

    /// A token of a service, by way of a bootstrap token.
    ///
    /// # Panics
    /// When it is not issued.
    pub fn token_of(&self, service: &str) -> String {
        // For the token service itself, so that the token says who asks there.
        let audiences = format!("tokensmith,{}", self.service.issuer);
        let arguments = ["--subject", service, "--audience", &audiences];
        let bootstrap_token = self.service.bootstrap_token(&arguments);
        let response = self.service.redeem(&bootstrap_token);
        assert_eq!(response.status, 200, "{response:?}");
        let answer = response.json();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    /// Exchanges an access token, by another one or none, with more parameters.
    ///
    /// # Panics
    /// When nothing answers.
    pub fn exchange(&self, subject: &str, actor: Option<&str>, more: &[(&str, &str)]) -> Response {
        let mut form = vec![
            ("grant_type", TOKEN_EXCHANGE),
            ("subject_token_type", ACCESS_TOKEN),
            ("subject_token", subject),
        ];
        if let Some(actor) = actor {
            form.push(("actor_token_type", ACCESS_TOKEN));
            form.push(("actor_token", actor));
        }
        form.extend_from_slice(more);
        self.service.form("/oauth/token", &form)
    }

    /// The token that was issued for an audience, and its claims.
    ///
    /// # Panics
    /// When none was, or it is not good.
    pub fn issued(&self, audience: &str, response: &Response) -> (String, Value) {
        assert_eq!(response.status, 200, "{response:?}");
        assert_eq!(response.header("cache-control"), Some("no-store"));
        let answer = response.json();
        assert_eq!(answer["token_type"], "Bearer");
        assert!(answer["refresh_token"].is_null(), "{answer}");
        let token = answer["access_token"].as_str().unwrap();
        let (code, verified) = self.service.verify(audience, token);
        assert_eq!(code, Some(0), "{verified}");
        (token.to_owned(), verified["claims"].clone())
    }
}
