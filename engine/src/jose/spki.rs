//! DER SubjectPublicKeyInfo, written out: three fixed shapes do not need an ASN.1 library.

use super::{Curve, PublicKey};

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;

const RSA_ENCRYPTION: &[u8] = &[
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];
const EC_P256: &[u8] = &[
    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
    0xce, 0x3d, 0x03, 0x01, 0x07,
];
const EC_P384: &[u8] = &[
    0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04,
    0x00, 0x22,
];
const EC_P521: &[u8] = &[
    0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04,
    0x00, 0x23,
];
const ED25519: &[u8] = &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];

pub(super) fn encode(key: &PublicKey) -> Vec<u8> {
    let (algorithm, bits) = match key {
        PublicKey::Rsa { n, e } => {
            let mut integers = unsigned(n);
            integers.extend(unsigned(e));
            (RSA_ENCRYPTION, tagged(SEQUENCE, &integers))
        }
        PublicKey::Ec { curve, x, y } => {
            let algorithm = match curve {
                Curve::P256 => EC_P256,
                Curve::P384 => EC_P384,
                Curve::P521 => EC_P521,
            };
            (algorithm, [&[0x04], x.as_slice(), y.as_slice()].concat())
        }
        PublicKey::Ed25519 { x } => (ED25519, x.clone()),
    };
    let mut content = algorithm.to_vec();
    content.extend(tagged(BIT_STRING, &[&[0], bits.as_slice()].concat()));
    tagged(SEQUENCE, &content)
}

fn unsigned(integer: &[u8]) -> Vec<u8> {
    if integer.first().is_some_and(|byte| byte & 0x80 != 0) {
        tagged(INTEGER, &[&[0], integer].concat())
    } else {
        tagged(INTEGER, integer)
    }
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len();
    let bytes = (length as u64).to_be_bytes();
    let significant: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
    if length < 0x80 {
        out.push(length as u8);
    } else {
        out.push(0x80 | significant.len() as u8);
        out.extend(significant);
    }
    out.extend_from_slice(content);
    out
}
