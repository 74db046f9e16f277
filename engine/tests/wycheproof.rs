//! Project Wycheproof's signatures on every provider: valid ones verify, all others do not.
#![cfg(all(feature = "aws-lc", feature = "portable"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use tokensmith_engine::jose::{Algorithm, Curve, Jwk, PublicKey};
use tokensmith_engine::verify::aws_lc::AwsLc;
use tokensmith_engine::verify::portable::Portable;
use tokensmith_engine::verify::{SignatureProvider, Verdict, VerificationKey};
use wycheproof::TestResult;

/// One key on both providers.
struct Keys(Vec<(&'static str, Box<dyn VerificationKey>)>);

#[derive(Default)]
struct Count {
    valid: usize,
    invalid: usize,
}

impl Keys {
    fn new(algorithm: Algorithm, public: PublicKey) -> Self {
        let jwk = Jwk::from_public(public, Some(algorithm)).unwrap();
        let prepare = |provider: &dyn SignatureProvider| provider.prepare(&jwk).unwrap().unwrap();
        Self(vec![
            ("aws-lc", prepare(&AwsLc)),
            ("portable", prepare(&Portable)),
        ])
    }

    fn check(
        &self,
        algorithm: Algorithm,
        case: usize,
        message: &[u8],
        signature: &[u8],
        expected: Verdict,
        count: &mut Count,
    ) {
        for (provider, key) in &self.0 {
            assert_eq!(
                key.verify(algorithm, message, signature),
                expected,
                "{provider}, {algorithm}, case {case}"
            );
        }
        match expected {
            Verdict::Valid => count.valid += 1,
            Verdict::Invalid => count.invalid += 1,
        }
    }
}

fn verdict(result: TestResult) -> Verdict {
    match result {
        TestResult::Valid => Verdict::Valid,
        // "Acceptable" are signatures in an encoding that some libraries let pass.
        TestResult::Invalid | TestResult::Acceptable => Verdict::Invalid,
    }
}

fn minimal(integer: &[u8]) -> Vec<u8> {
    let start = integer.iter().position(|byte| *byte != 0).unwrap();
    integer[start..].to_vec()
}

#[test]
fn ecdsa() {
    use wycheproof::ecdsa::{TestName, TestSet};
    for (name, algorithm, curve) in [
        (
            TestName::EcdsaSecp256r1Sha256P1363,
            Algorithm::ES256,
            Curve::P256,
        ),
        (
            TestName::EcdsaSecp384r1Sha384P1363,
            Algorithm::ES384,
            Curve::P384,
        ),
        (
            TestName::EcdsaSecp521r1Sha512P1363,
            Algorithm::ES512,
            Curve::P521,
        ),
    ] {
        let mut count = Count::default();
        for group in TestSet::load(name).unwrap().test_groups {
            let point = &group.key.key[1..];
            let (x, y) = point.split_at(point.len() / 2);
            let public = PublicKey::Ec {
                curve,
                x: x.to_vec(),
                y: y.to_vec(),
            };
            let keys = Keys::new(algorithm, public);
            for test in group.tests {
                let expected = verdict(test.result);
                keys.check(
                    algorithm, test.tc_id, &test.msg, &test.sig, expected, &mut count,
                );
            }
        }
        assert!(count.valid > 50 && count.invalid > 50, "{algorithm}");
    }
}

#[test]
fn ed25519() {
    use wycheproof::eddsa::{TestName, TestSet};
    let mut count = Count::default();
    for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
        let x = group.der[group.der.len() - 32..].to_vec();
        let keys = Keys::new(Algorithm::EdDSA, PublicKey::Ed25519 { x });
        for test in group.tests {
            let expected = verdict(test.result);
            keys.check(
                Algorithm::EdDSA,
                test.tc_id,
                &test.msg,
                &test.sig,
                expected,
                &mut count,
            );
        }
    }
    assert!(count.valid > 50 && count.invalid > 50);
}

#[test]
fn rsa_pkcs1() {
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    for (name, algorithm) in [
        (TestName::Rsa2048Sha256, Algorithm::RS256),
        (TestName::Rsa3072Sha256, Algorithm::RS256),
        (TestName::Rsa4096Sha256, Algorithm::RS256),
        (TestName::Rsa2048Sha384, Algorithm::RS384),
        (TestName::Rsa4096Sha384, Algorithm::RS384),
        (TestName::Rsa2048Sha512, Algorithm::RS512),
        (TestName::Rsa4096Sha512, Algorithm::RS512),
    ] {
        let mut count = Count::default();
        for group in TestSet::load(name).unwrap().test_groups {
            let public = PublicKey::Rsa {
                n: minimal(&group.key.n),
                e: minimal(&group.key.e),
            };
            let keys = Keys::new(algorithm, public);
            for test in group.tests {
                let expected = verdict(test.result);
                keys.check(
                    algorithm, test.tc_id, &test.msg, &test.sig, expected, &mut count,
                );
            }
        }
        assert!(count.valid > 5 && count.invalid > 50, "{name:?}");
    }
}

/// A salt of another length than the hash's is refused, well signed or not (RFC 7518 section
/// 3.5), and so is another hash in the mask.
#[test]
fn rsa_pss() {
    use wycheproof::rsa_pss_verify::{TestName, TestSet};
    for (name, algorithm, fits) in [
        (
            TestName::RsaPss2048Sha256Mgf1SaltLen32,
            Algorithm::PS256,
            true,
        ),
        (
            TestName::RsaPss3072Sha256Mgf1SaltLen32,
            Algorithm::PS256,
            true,
        ),
        (
            TestName::RsaPss4096Sha256Mgf1SaltLen32,
            Algorithm::PS256,
            true,
        ),
        (
            TestName::RsaPss2048Sha384Mgf1SaltLen48,
            Algorithm::PS384,
            true,
        ),
        (
            TestName::RsaPss4096Sha384Mgf1SaltLen48,
            Algorithm::PS384,
            true,
        ),
        (
            TestName::RsaPss4096Sha512Mgf1SaltLen64,
            Algorithm::PS512,
            true,
        ),
        (
            TestName::RsaPss2048Sha256Mgf1SaltLen0,
            Algorithm::PS256,
            false,
        ),
        (
            TestName::RsaPss4096Sha512Mgf1SaltLen32,
            Algorithm::PS512,
            false,
        ),
        (
            TestName::RsaPss2048Sha256Mgf1Sha1_20,
            Algorithm::PS256,
            false,
        ),
    ] {
        let mut count = Count::default();
        for group in TestSet::load(name).unwrap().test_groups {
            let public = PublicKey::Rsa {
                n: minimal(&group.key.n),
                e: minimal(&group.key.e),
            };
            let keys = Keys::new(algorithm, public);
            for test in group.tests {
                // What is wrong with another salt in mind may be right with ours.
                if !fits && test.result != TestResult::Valid {
                    continue;
                }
                let expected = match fits {
                    true => verdict(test.result),
                    false => Verdict::Invalid,
                };
                keys.check(
                    algorithm, test.tc_id, &test.msg, &test.sig, expected, &mut count,
                );
            }
        }
        assert!((count.valid > 5) == fits && count.invalid > 5, "{name:?}");
    }
}
