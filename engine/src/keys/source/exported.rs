use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Held, JwksSource};
use crate::jose::{JwkSet, Limits};

/// A fetched set on its way from one process or page to the next. Only public keys are in it, but
/// whoever can change it chooses who is believed: it is kept where nobody else can write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportedKeys {
    /// The issuer the keys are bound to.
    pub issuer: String,
    /// Where they were fetched.
    pub jwks_uri: String,
    /// When they were asked for, Unix time in seconds.
    pub fetched: i64,
    /// For how many seconds from then on they are not asked for again.
    pub fresh: i64,
    /// The usable keys as a JWK set.
    pub jwks: Value,
}

impl JwksSource {
    /// The keys as [`JwksSource::import`] takes them, unless there are none at `now`.
    pub fn export(&self, issuer: &str, now: i64) -> Option<ExportedKeys> {
        let set = self.keys(now)?;
        let held = self.held.as_ref()?;
        Some(ExportedKeys {
            issuer: issuer.to_owned(),
            jwks_uri: self.url.clone(),
            fetched: held.fetched,
            fresh: held.fresh,
            jwks: set.to_json(),
        })
    }

    /// Takes keys that were fetched from the same URL by another, and gives those it has then.
    /// `None` when they are none of this source's, past their hard expiry, from the future, not a
    /// set with usable keys, or when this source has keys of its own.
    pub fn import(
        &mut self,
        exported: &ExportedKeys,
        now: i64,
        limits: &Limits,
    ) -> Option<&JwkSet> {
        let age = now.checked_sub(exported.fetched)?;
        if self.held.is_some()
            || exported.jwks_uri != self.url
            || !(0..self.policy.hard_expiry).contains(&age)
        {
            return None;
        }
        let set = JwkSet::parse(exported.jwks.to_string().as_bytes(), limits).ok()?;
        if set.keys.is_empty() {
            return None;
        }
        self.generation += 1;
        let held = self.held.insert(Held {
            set,
            etag: None,
            fetched: exported.fetched,
            fresh: exported.fresh.clamp(0, self.policy.fresh.max(0)),
        });
        Some(&held.set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Answer, RefreshPolicy};

    const SET: &[u8] = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    fn source() -> JwksSource {
        let policy = RefreshPolicy {
            jitter: 0,
            ..RefreshPolicy::default()
        };
        JwksSource::new("https://issuer.example/jwks", policy, 0)
    }

    fn exported() -> ExportedKeys {
        let mut source = source();
        let fetch = source.poll(1000).unwrap();
        let answer = Answer {
            status: 200,
            body: SET,
            ..Answer::default()
        };
        source
            .fetched(fetch.id, &answer, &Limits::default())
            .unwrap();
        let text = serde_json::to_string(&source.export("i", 1000)).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn imported_keys_age_as_others() {
        let mut source = source();
        assert!(
            source
                .import(&exported(), 1000, &Limits::default())
                .is_some()
        );
        assert!(source.poll(1599).is_none());
        assert!(source.poll(1600).is_some());
        assert!(source.keys(4599).is_some());
        assert!(source.keys(4600).is_none());
        assert_eq!(source.export("i", 4600), None);
    }

    #[test]
    fn what_is_not_imported() {
        let good = exported();
        let limits = Limits::default();
        let change = |change: fn(&mut ExportedKeys)| {
            let mut changed = good.clone();
            change(&mut changed);
            changed
        };
        for (exported, now) in [
            (change(|_| ()), 4600),
            (change(|_| ()), 999),
            (change(|own| own.fetched = i64::MIN), 1000),
            (change(|own| own.jwks_uri.push('2')), 1000),
            (change(|own| own.jwks = Value::Null), 1000),
            (
                change(|own| own.jwks = serde_json::json!({"keys": []})),
                1000,
            ),
        ] {
            assert_eq!(
                source().import(&exported, now, &limits),
                None,
                "{exported:?}"
            );
        }
        let long = change(|own| own.fresh = i64::MAX);
        let mut source = source();
        assert!(source.import(&long, 1000, &limits).is_some());
        assert_eq!(source.import(&good, 1000, &limits), None, "it has keys");
        assert!(source.poll(1600).is_some(), "no longer fresh than its own");
    }
}
