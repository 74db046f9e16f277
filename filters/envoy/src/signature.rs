use std::fmt;

use proxy_wasm::hostcalls;
use tokensmith_engine::jose::Algorithm;
use tokensmith_engine::verify::{SignatureCheck, Verdict};

const MESSAGE: &[u8] = include_bytes!("known_answers/message");
const RSA_SPKI: &[u8] = include_bytes!("known_answers/rsa.spki.der");
const RSA_SIGNATURE: &[u8] = include_bytes!("known_answers/rsa.sig");
const P256_SPKI: &[u8] = include_bytes!("known_answers/p256.spki.der");
const P256_SIGNATURE: &[u8] = include_bytes!("known_answers/p256.sig.der");

/// Which signatures Envoy's foreign function `verify_signature` checks correctly, found out with
/// one known good and one known bad answer for each key type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostSignatures {
    rsa: bool,
    p256: bool,
}

impl HostSignatures {
    pub(crate) fn detect() -> Self {
        let works = |spki: &[u8], signature: &[u8]| {
            let wrong = MESSAGE
                .split_last()
                .map(|(_, rest)| rest)
                .unwrap_or_default();
            call("sha256", spki, signature, MESSAGE) == Some(true)
                && call("sha256", spki, signature, wrong) != Some(true)
        };
        Self {
            rsa: works(RSA_SPKI, RSA_SIGNATURE),
            p256: works(P256_SPKI, P256_SIGNATURE),
        }
    }

    /// Lets Envoy check; `None` when it cannot say, so that the caller checks itself.
    pub(crate) fn check(self, job: &SignatureCheck<'_>) -> Option<Verdict> {
        let hash = match job.algorithm {
            Algorithm::RS256 if self.rsa => "sha256",
            Algorithm::RS384 if self.rsa => "sha384",
            Algorithm::RS512 if self.rsa => "sha512",
            Algorithm::ES256 if self.p256 => "sha256",
            _ => return None,
        };
        let der;
        let signature = if job.algorithm == Algorithm::ES256 {
            der = ecdsa_der(job.signature)?;
            &der
        } else {
            job.signature
        };
        match call(hash, job.key.spki_der(), signature, job.message) {
            Some(true) => Some(Verdict::Valid),
            Some(false) => Some(Verdict::Invalid),
            None => None,
        }
    }
}

impl fmt::Display for HostSignatures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.rsa, self.p256) {
            (true, true) => formatter.write_str("RS256,RS384,RS512,ES256"),
            (true, false) => formatter.write_str("RS256,RS384,RS512"),
            (false, true) => formatter.write_str("ES256"),
            (false, false) => formatter.write_str("none"),
        }
    }
}

/// `None` when the host does not have the function, refuses the key or answers nonsense.
fn call(hash: &str, spki: &[u8], signature: &[u8], message: &[u8]) -> Option<bool> {
    let mut arguments =
        Vec::with_capacity(hash.len() + spki.len() + signature.len() + message.len() + 24);
    let fields: [&[u8]; 4] = [hash.as_bytes(), spki, signature, message];
    for (number, field) in (1_u8..).zip(fields) {
        arguments.push(number << 3 | 2);
        varint(&mut arguments, field.len());
        arguments.extend_from_slice(field);
    }
    let answer = hostcalls::call_foreign_function("verify_signature", Some(&arguments)).ok()?;
    match answer.as_deref().unwrap_or_default() {
        // Field 1, varint: the result. Protobuf leaves a false out.
        [0x08, 0x01, ..] => Some(true),
        [] | [0x08, 0x00, ..] | [0x12, ..] => Some(false),
        _ => None,
    }
}

fn varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// r || s as a DER SEQUENCE of two INTEGERs. `None` unless both are 32 bytes and not zero.
fn ecdsa_der(signature: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = signature.split_at_checked(32)?;
    if s.len() != 32 {
        return None;
    }
    let mut content = Vec::with_capacity(70);
    for integer in [r, s] {
        let zeros = integer.iter().take_while(|byte| **byte == 0).count();
        let digits = integer.get(zeros..).filter(|digits| !digits.is_empty())?;
        let padded = digits.first().is_some_and(|byte| byte & 0x80 != 0);
        content.push(0x02);
        content.push((digits.len() + usize::from(padded)) as u8);
        if padded {
            content.push(0);
        }
        content.extend_from_slice(digits);
    }
    let mut der = vec![0x30, content.len() as u8];
    der.extend(content);
    Some(der)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn der_integers_are_minimal_and_positive() {
        let mut signature = [0_u8; 64];
        assert_eq!(ecdsa_der(&signature), None);
        signature[31] = 1;
        assert_eq!(ecdsa_der(&signature), None);
        signature[32] = 0x80;
        let der = ecdsa_der(&signature).unwrap();
        assert_eq!(der[..8], [0x30, 38, 2, 1, 1, 2, 33, 0]);
        assert_eq!(der[8], 0x80);
        assert_eq!(ecdsa_der(&signature[..63]), None);
    }

    #[test]
    fn varints() {
        let mut out = Vec::new();
        varint(&mut out, 300);
        assert_eq!(out, [0xac, 0x02]);
    }
}
