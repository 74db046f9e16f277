use std::fmt;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{BindingError, Presented, Scheme};
use crate::jose::{decode_base64url, encode_base64url};

/// What a token is bound to: its `cnf` claim (RFC 7800 section 3.1).
///
/// Methods that are not understood do not count: at least one has to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confirmation {
    key: Option<[u8; 32]>,
    certificate: Option<CertificateThumbprint>,
}

/// The SHA-256 digest of a DER certificate (RFC 8705 section 3.1).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CertificateThumbprint([u8; 32]);

impl Confirmation {
    /// Reads `cnf`.
    ///
    /// # Errors
    /// [`BindingError::Unsupported`] when a method is not a SHA-256 thumbprint, or none is
    /// understood.
    pub fn from_json(cnf: &Map<String, Value>) -> Result<Self, BindingError> {
        let thumbprint = |name: &str| match cnf.get(name) {
            None => Ok(None),
            Some(value) => value
                .as_str()
                .and_then(decode_base64url)
                .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
                .map(Some)
                .ok_or(BindingError::Unsupported),
        };
        let own = Self {
            key: thumbprint("jkt")?,
            certificate: thumbprint("x5t#S256")?.map(CertificateThumbprint),
        };
        if own.key.is_none() && own.certificate.is_none() {
            return Err(BindingError::Unsupported);
        }
        Ok(own)
    }

    /// The thumbprint (RFC 7638) of the key that has to sign a proof for each request.
    pub fn jkt(&self) -> Option<String> {
        self.key.map(encode_base64url)
    }

    /// The certificate the caller's connection has to have.
    pub fn certificate(&self) -> Option<CertificateThumbprint> {
        self.certificate
    }

    /// Whether a proof has to be checked before [`Confirmation::check`].
    pub fn needs_proof(&self) -> bool {
        self.key.is_some()
    }

    /// Checks all that the token is bound to against what the caller showed.
    ///
    /// # Errors
    /// [`BindingError`].
    pub fn check(&self, presented: &Presented<'_>) -> Result<(), BindingError> {
        if let Some(own) = self.certificate {
            match presented.certificate {
                None => return Err(BindingError::CertificateMissing),
                Some(shown) if shown != own => return Err(BindingError::CertificateMismatch),
                Some(_) => {}
            }
        }
        if let Some(own) = self.key {
            if presented.scheme != Scheme::Dpop {
                return Err(BindingError::Scheme);
            }
            let shown = presented.proof.ok_or(BindingError::ProofMissing)?;
            if shown.key_thumbprint() != own {
                return Err(BindingError::KeyMismatch);
            }
        }
        Ok(())
    }
}

/// [`Confirmation::check`] for a token that may have none; `demanded` is whether it must.
pub(crate) fn check_binding(
    confirmation: Option<&Confirmation>,
    demanded: bool,
    presented: &Presented<'_>,
) -> Result<(), BindingError> {
    match confirmation {
        Some(own) if presented.scheme == Scheme::Dpop && !own.needs_proof() => {
            Err(BindingError::Scheme)
        }
        Some(own) => own.check(presented),
        None if demanded => Err(BindingError::NotBound),
        None if presented.scheme == Scheme::Dpop => Err(BindingError::Scheme),
        None => Ok(()),
    }
}

impl CertificateThumbprint {
    /// The thumbprint of a certificate in DER.
    pub fn of_der(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }

    /// A thumbprint as proxies write it: 64 hexadecimal digits, with or without colons.
    ///
    /// ```
    /// use tokensmith_engine::binding::CertificateThumbprint;
    /// assert!(CertificateThumbprint::from_hex(&"0a".repeat(32)).is_some());
    /// assert!(CertificateThumbprint::from_hex("0a").is_none());
    /// ```
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut digits = text
            .chars()
            .filter(|character| *character != ':')
            .map(|digit| digit.to_digit(16));
        let mut bytes = [0_u8; 32];
        for byte in &mut bytes {
            let (high, low) = (digits.next()??, digits.next()??);
            *byte = u8::try_from(high * 16 + low).ok()?;
        }
        digits.next().is_none().then_some(Self(bytes))
    }

    /// The value of `x5t#S256`.
    pub fn to_base64url(self) -> String {
        encode_base64url(self.0)
    }
}

impl fmt::Debug for CertificateThumbprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "CertificateThumbprint({})", self.to_base64url())
    }
}
