use std::fmt;
use std::sync::Arc;

use hashbrown::HashMap;

use super::{SignatureProvider, Verdict, VerificationKey};
use crate::jose::{Algorithm, Jwk, JwkError, JwkSet};

/// An immutable set of keys, each bound to the issuer it was published by.
#[derive(Clone, Debug, Default)]
pub struct KeyRing {
    issuers: HashMap<Box<str>, Arc<IssuerKeys>>,
}

/// One key, prepared for verification.
pub struct Key {
    jwk: Jwk,
    kid: Box<str>,
    spki_der: Box<[u8]>,
    prepared: Option<Box<dyn VerificationKey>>,
}

/// A key that the provider refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedKey {
    /// The issuer that published it.
    pub issuer: String,
    /// Its `kid`, or its thumbprint when it has none.
    pub kid: String,
    /// Why it was left out.
    pub error: JwkError,
}

#[derive(Debug, Default)]
struct IssuerKeys {
    all: Vec<Arc<Key>>,
    by_kid: HashMap<Box<str>, Arc<Key>>,
    rejected: Vec<RejectedKey>,
}

impl KeyRing {
    /// Prepares the keys of `sets`, pairs of issuer and published set.
    ///
    /// A key without `kid` is known by its thumbprint. Of two keys of one issuer with the same
    /// `kid` the later one counts, of two sets of one issuer too. Keys that the provider refuses
    /// are in [`KeyRing::rejected`].
    pub fn new<'s>(
        sets: impl IntoIterator<Item = (&'s str, &'s JwkSet)>,
        provider: &dyn SignatureProvider,
    ) -> Self {
        let mut ring = Self::default();
        for (issuer, set) in sets {
            ring.insert(issuer, set, provider);
        }
        ring
    }

    /// Puts `set` in the place of the keys of `issuer`; those of other issuers stay prepared.
    pub fn insert(&mut self, issuer: &str, set: &JwkSet, provider: &dyn SignatureProvider) {
        let mut keys = IssuerKeys::default();
        for jwk in &set.keys {
            match Key::prepare(jwk, provider) {
                Ok(key) => keys.insert(Arc::new(key)),
                Err(error) => keys.rejected.push(RejectedKey {
                    issuer: issuer.to_owned(),
                    kid: jwk.kid().map_or_else(|| jwk.thumbprint(), str::to_owned),
                    error,
                }),
            }
        }
        self.issuers.insert(issuer.into(), Arc::new(keys));
    }

    /// Drops the keys of `issuer`.
    pub fn remove(&mut self, issuer: &str) {
        self.issuers.remove(issuer);
    }

    /// Keys the provider refused.
    pub fn rejected(&self) -> impl Iterator<Item = &RejectedKey> {
        self.issuers.values().flat_map(|keys| &keys.rejected)
    }

    /// Whether `issuer` has a key named `kid`.
    pub fn has_key(&self, issuer: &str, kid: &str) -> bool {
        self.find(issuer, kid).is_some()
    }

    /// How many keys the ring holds.
    pub fn len(&self) -> usize {
        self.issuers.values().map(|keys| keys.all.len()).sum()
    }

    /// Whether the ring holds no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether any key of `issuer` is loaded.
    pub fn has_issuer(&self, issuer: &str) -> bool {
        self.of(issuer).is_some_and(|keys| !keys.all.is_empty())
    }

    pub(super) fn find(&self, issuer: &str, kid: &str) -> Option<&Arc<Key>> {
        self.of(issuer)?.by_kid.get(kid)
    }

    pub(super) fn keys<'k>(&'k self, issuer: &str) -> impl Iterator<Item = &'k Arc<Key>> + use<'k> {
        self.of(issuer).into_iter().flat_map(|keys| keys.all.iter())
    }

    fn of(&self, issuer: &str) -> Option<&IssuerKeys> {
        self.issuers.get(issuer).map(AsRef::as_ref)
    }
}

impl IssuerKeys {
    fn insert(&mut self, key: Arc<Key>) {
        if self
            .by_kid
            .insert(key.kid.clone(), Arc::clone(&key))
            .is_some()
        {
            self.all.retain(|other| other.kid != key.kid);
        }
        self.all.push(key);
    }
}

impl Key {
    /// Prepares one key.
    ///
    /// # Errors
    /// [`JwkError::Unusable`] when the provider refuses it.
    pub fn prepare(jwk: &Jwk, provider: &dyn SignatureProvider) -> Result<Self, JwkError> {
        Ok(Self {
            kid: jwk
                .kid()
                .map_or_else(|| jwk.thumbprint(), str::to_owned)
                .into(),
            spki_der: jwk.spki_der().into(),
            prepared: provider.prepare(jwk)?,
            jwk: jwk.clone(),
        })
    }

    /// The key as it was published.
    pub fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// The key as DER SubjectPublicKeyInfo, for providers outside the engine.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// The in-process answer, or `None` when the shell has to check.
    pub fn verify(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Option<Verdict> {
        if !self.jwk.allows(algorithm) {
            return Some(Verdict::Invalid);
        }
        let prepared = self.prepared.as_deref()?;
        Some(prepared.verify(algorithm, message, signature))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Key")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}
