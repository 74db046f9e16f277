//! Envoy's foreign functions.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1,
    ECDSA_P521_SHA512_ASN1, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};

use super::{Host, status};

impl Host {
    /// The result of `name`, or the status of its failure.
    pub(super) fn call_foreign(&mut self, name: &[u8], arguments: &[u8]) -> Result<Vec<u8>, u32> {
        match name {
            b"verify_signature" => verify_signature(arguments).ok_or(status::BAD_ARGUMENT),
            b"clear_route_cache" => {
                self.stream_mut().ok_or(status::BAD_ARGUMENT)?.route_cleared = true;
                Ok(Vec::new())
            }
            b"set_envoy_filter_state" => {
                let fields = fields(arguments).ok_or(status::BAD_ARGUMENT)?;
                let [Some(path), value] = [1, 2].map(|number| field(&fields, number)) else {
                    return Err(status::BAD_ARGUMENT);
                };
                let (path, value) = (path.to_vec(), value.unwrap_or_default().to_vec());
                let stream = self.stream_mut().ok_or(status::NOT_FOUND)?;
                stream.filter_state.insert(path, value);
                Ok(Vec::new())
            }
            b"declare_property" => match fields(arguments) {
                Some(_) => Ok(Vec::new()),
                None => Err(status::BAD_ARGUMENT),
            },
            _ => Err(status::NOT_FOUND),
        }
    }
}

/// Arguments: 1 the hash, 2 the key as SubjectPublicKeyInfo, 3 the signature, 4 the text. Result: 1
/// whether it is valid, 2 what is wrong.
fn verify_signature(arguments: &[u8]) -> Option<Vec<u8>> {
    let fields = fields(arguments)?;
    let [hash, key, signature, text] =
        [1, 2, 3, 4].map(|number| field(&fields, number).unwrap_or_default());
    let algorithms: [&'static dyn VerificationAlgorithm; 4] = match hash {
        b"sha256" => [
            &RSA_PKCS1_2048_8192_SHA256,
            &ECDSA_P256_SHA256_ASN1,
            &ECDSA_P384_SHA256_ASN1,
            &ECDSA_P521_SHA256_ASN1,
        ],
        b"sha384" => [
            &RSA_PKCS1_2048_8192_SHA384,
            &ECDSA_P256_SHA384_ASN1,
            &ECDSA_P384_SHA384_ASN1,
            &ECDSA_P521_SHA384_ASN1,
        ],
        b"sha512" => [
            &RSA_PKCS1_2048_8192_SHA512,
            &ECDSA_P256_SHA512_ASN1,
            &ECDSA_P384_SHA512_ASN1,
            &ECDSA_P521_SHA512_ASN1,
        ],
        _ => return Some(invalid(b"hash function is not supported")),
    };
    // Each algorithm refuses the keys of others.
    let valid = algorithms.into_iter().any(|algorithm| {
        UnparsedPublicKey::new(algorithm, key)
            .verify(text, signature)
            .is_ok()
    });
    Some(match valid {
        true => vec![0x08, 1],
        false => invalid(b"signature is not valid"),
    })
}

fn invalid(message: &[u8]) -> Vec<u8> {
    let mut result = vec![0x12, message.len() as u8];
    result.extend_from_slice(message);
    result
}

type Fields<'b> = Vec<(u64, &'b [u8])>;

/// The fields of a protobuf message that have a length; varints are left out. `None` when it is
/// none.
fn fields(mut bytes: &[u8]) -> Option<Fields<'_>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        match key & 7 {
            0 => {
                varint(&mut bytes)?;
            }
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (value, rest) = bytes.split_at_checked(length)?;
                fields.push((key >> 3, value));
                bytes = rest;
            }
            _ => return None,
        }
    }
    Some(fields)
}

fn field<'b>(fields: &[(u64, &'b [u8])], number: u64) -> Option<&'b [u8]> {
    let found = fields.iter().find(|(own, _)| *own == number);
    found.map(|(_, value)| *value)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protobuf_fields() {
        let message = [0x0a, 2, b'h', b'i', 0x18, 0x80, 1, 0x12, 0];
        let parsed = fields(&message).unwrap();
        assert_eq!(parsed, [(1, &b"hi"[..]), (2, &b""[..])]);
        assert_eq!(field(&parsed, 3), None);
        assert_eq!(fields(&[0x0a, 9, 1]), None);
        assert_eq!(fields(&[0x80; 12]), None);
    }

    #[test]
    fn unknown_keys_and_hashes_are_never_valid() {
        assert_eq!(verify_signature(&[]).unwrap()[0], 0x12);
        assert_eq!(verify_signature(b"\x0a\x06sha256").unwrap()[0], 0x12);
        assert_eq!(verify_signature(&[0x0b]), None);
    }
}
