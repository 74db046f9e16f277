use std::fmt;

use proxy_wasm::hostcalls;
use tokensmith_engine::jose::Algorithm;
use tokensmith_engine::verify::{SignatureCheck, Verdict};

use crate::ecdsa_der::ecdsa_der;
use crate::protobuf::Message;

const MESSAGE: &[u8] = include_bytes!("known_answers/message");

/// One known signature over [`MESSAGE`].
struct KnownAnswer {
    hash: &'static str,
    spki: &'static [u8],
    signature: &'static [u8],
}

const RSA: KnownAnswer = KnownAnswer {
    hash: "sha256",
    spki: include_bytes!("known_answers/rsa.spki.der"),
    signature: include_bytes!("known_answers/rsa.sig"),
};
const P256: KnownAnswer = KnownAnswer {
    hash: "sha256",
    spki: include_bytes!("known_answers/p256.spki.der"),
    signature: include_bytes!("known_answers/p256.sig.der"),
};
const P384: KnownAnswer = KnownAnswer {
    hash: "sha384",
    spki: include_bytes!("known_answers/p384.spki.der"),
    signature: include_bytes!("known_answers/p384.sig.der"),
};
const P521: KnownAnswer = KnownAnswer {
    hash: "sha512",
    spki: include_bytes!("known_answers/p521.spki.der"),
    signature: include_bytes!("known_answers/p521.sig.der"),
};

/// Which signatures Envoy's foreign function `verify_signature` checks correctly, found out with
/// one known good and one known bad answer for each kind of key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostSignatures {
    rsa: bool,
    p256: bool,
    p384: bool,
    p521: bool,
}

impl HostSignatures {
    pub(crate) fn detect() -> Self {
        Self {
            rsa: RSA.is_given(),
            p256: P256.is_given(),
            p384: P384.is_given(),
            p521: P521.is_given(),
        }
    }

    /// Lets Envoy check; `None` when it cannot say, so that the caller checks itself.
    pub(crate) fn check(self, job: &SignatureCheck<'_>) -> Option<Verdict> {
        let (is_there, hash, half) = match job.algorithm {
            Algorithm::RS256 => (self.rsa, "sha256", None),
            Algorithm::RS384 => (self.rsa, "sha384", None),
            Algorithm::RS512 => (self.rsa, "sha512", None),
            Algorithm::ES256 => (self.p256, "sha256", Some(32)),
            Algorithm::ES384 => (self.p384, "sha384", Some(48)),
            Algorithm::ES512 => (self.p521, "sha512", Some(66)),
            _ => return None,
        };
        if !is_there {
            return None;
        }
        let answer = match half {
            Some(half) => {
                let der = ecdsa_der(job.signature, half)?;
                call(hash, job.key.spki_der(), &der, job.message)
            }
            None => call(hash, job.key.spki_der(), job.signature, job.message),
        };
        match answer {
            Some(true) => Some(Verdict::Valid),
            Some(false) => Some(Verdict::Invalid),
            None => None,
        }
    }
}

impl fmt::Display for HostSignatures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = [
            (self.rsa, "RS256,RS384,RS512"),
            (self.p256, "ES256"),
            (self.p384, "ES384"),
            (self.p521, "ES512"),
        ]
        .into_iter()
        .filter_map(|(is_there, names)| is_there.then_some(names))
        .collect();
        if names.is_empty() {
            formatter.write_str("none")
        } else {
            formatter.write_str(&names.join(","))
        }
    }
}

impl KnownAnswer {
    fn is_given(&self) -> bool {
        let wrong = MESSAGE
            .split_last()
            .map(|(_, rest)| rest)
            .unwrap_or_default();
        let answer = |message: &[u8]| call(self.hash, self.spki, self.signature, message);
        answer(MESSAGE) == Some(true) && answer(wrong) == Some(false)
    }
}

/// `None` when the host does not have the function, refuses the key or answers nonsense.
fn call(hash: &str, spki: &[u8], signature: &[u8], message: &[u8]) -> Option<bool> {
    let mut arguments =
        Message::with_capacity(hash.len() + spki.len() + signature.len() + message.len() + 24);
    let fields: [&[u8]; 4] = [hash.as_bytes(), spki, signature, message];
    for (number, field) in (1_u8..).zip(fields) {
        arguments.bytes(number, field);
    }
    let answer = hostcalls::call_foreign_function("verify_signature", Some(arguments.as_bytes()));
    match answer.ok()?.as_deref().unwrap_or_default() {
        // Field 1, varint: the result. Protobuf leaves a false out; field 2 is the error's text.
        [0x08, 0x01, ..] => Some(true),
        [] | [0x08, 0x00, ..] | [0x12, ..] => Some(false),
        _ => None,
    }
}
