use sha2::{Digest as _, Sha256};

use super::contents::Contents;
use super::{
    BundleError, BundleLimits, BundleState, MODEL_NAME, OpenedBundle, is_bundle_type, refused,
    shortened,
};
use crate::jose::{Jws, Limits};
use crate::policy::version_v1::hex;
use crate::policy::{Source, compile};
use crate::verify::{JwsJob, KeyRing, SignatureCheck, Verdict};

/// A bundle whose signature has to be checked before it is opened, for shells that check outside
/// the engine.
#[derive(Debug)]
#[must_use = "a bundle is opened only by `finish`"]
pub struct BundleJob<'t> {
    job: JwsJob<'t>,
    issuer: String,
    limits: BundleLimits,
}

impl<'t> BundleJob<'t> {
    pub(super) fn begin(
        jws: &'t str,
        issuer: &str,
        keys: &KeyRing,
        limits: BundleLimits,
    ) -> Result<Self, BundleError> {
        let token = Limits {
            token_bytes: limits.bytes,
            ..Limits::default()
        };
        let jws = Jws::parse(jws, &token).map_err(refused)?;
        let typ = jws.header.typ.as_deref().unwrap_or_default();
        if !is_bundle_type(typ) {
            return Err(BundleError::Type(shortened(typ)));
        }
        let job = JwsJob::begin(jws, keys, issuer, None).map_err(BundleError::Signature)?;
        Ok(Self {
            job,
            issuer: issuer.to_owned(),
            limits,
        })
    }

    /// The checks to make, one for each key, one to eight: the signature is good when any of them
    /// is [`Verdict::Valid`].
    pub fn checks(&self) -> impl Iterator<Item = SignatureCheck<'_>> {
        self.job.checks()
    }

    /// Lets the keys' own provider check.
    ///
    /// # Errors
    /// [`crate::verify::VerifyError::KeyUnusable`] inside when the shell has to.
    pub(super) fn check(&self) -> Result<Verdict, BundleError> {
        self.job.check().map_err(BundleError::Signature)
    }

    /// Opens the bundle at `now`, Unix time in seconds: as [`super::BundleVerifier::open`] from the
    /// signature on.
    ///
    /// # Errors
    /// [`BundleError`], [`crate::verify::VerifyError::Signature`] inside for [`Verdict::Invalid`].
    pub fn finish(
        self,
        verdict: Verdict,
        now: i64,
        state: &BundleState,
    ) -> Result<(OpenedBundle, BundleState), BundleError> {
        let payload = self.job.finish(verdict).map_err(BundleError::Signature)?;
        let digest = hex(&Sha256::digest(&payload));
        let contents = Contents::parse(&payload, self.limits)?;
        drop(payload);
        contents.check(&self.issuer, now)?;
        state.check(contents.sequence, &digest)?;
        let rules: Vec<Source<'_>> = contents
            .rules
            .iter()
            .map(|(name, text)| Source { name, text })
            .collect();
        let model = Source {
            name: MODEL_NAME,
            text: &contents.model,
        };
        let policy = compile(model, &rules)?;
        if policy.policy_version() != contents.policy_version {
            return Err(BundleError::Version {
                stated: shortened(&contents.policy_version),
                compiled: policy.policy_version().to_owned(),
            });
        }
        let next = BundleState {
            sequence: contents.sequence,
            digest: Some(digest.clone()),
        };
        let opened = OpenedBundle {
            policy,
            sequence: contents.sequence,
            expires: contents.exp,
            digest,
        };
        Ok((opened, next))
    }

    /// Detaches the job from the bundle's text, for checks that end later.
    pub fn into_owned(self) -> BundleJob<'static> {
        BundleJob {
            job: self.job.into_owned(),
            issuer: self.issuer,
            limits: self.limits,
        }
    }
}
