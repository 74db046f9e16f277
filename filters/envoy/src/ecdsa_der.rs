/// r || s of `half` bytes each as a DER SEQUENCE of two INTEGERs (RFC 3279 section 2.2.3). `None`
/// for another length, and for a zero, which is in no signature.
pub(crate) fn ecdsa_der(signature: &[u8], half: usize) -> Option<Vec<u8>> {
    let (r, s) = signature.split_at_checked(half)?;
    if s.len() != half {
        return None;
    }
    // Two integers with tag, length and sign, and the sequence's own tag and length.
    let mut der = Vec::with_capacity(signature.len() + 9);
    der.push(0x30);
    let content = integer_bytes(r)? + integer_bytes(s)?;
    if content >= 0x80 {
        der.push(0x81);
    }
    der.push(u8::try_from(content).ok()?);
    push_integer(&mut der, r)?;
    push_integer(&mut der, s)?;
    Some(der)
}

/// The digits without leading zeros, and whether one has to go before them as the sign.
fn digits(integer: &[u8]) -> Option<(&[u8], bool)> {
    let zeros = integer.iter().take_while(|byte| **byte == 0).count();
    let digits = integer.get(zeros..)?;
    let signed = digits.first()? & 0x80 != 0;
    Some((digits, signed))
}

fn integer_bytes(integer: &[u8]) -> Option<usize> {
    let (digits, signed) = digits(integer)?;
    Some(2 + usize::from(signed) + digits.len())
}

fn push_integer(der: &mut Vec<u8>, integer: &[u8]) -> Option<()> {
    let (digits, signed) = digits(integer)?;
    der.push(0x02);
    der.push(u8::try_from(digits.len() + usize::from(signed)).ok()?);
    if signed {
        der.push(0);
    }
    der.extend_from_slice(digits);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_minimal_and_positive() {
        let mut signature = [0_u8; 64];
        assert_eq!(ecdsa_der(&signature, 32), None);
        signature[31] = 1;
        assert_eq!(ecdsa_der(&signature, 32), None, "s is zero");
        signature[32] = 0x80;
        let der = ecdsa_der(&signature, 32).unwrap();
        assert_eq!(der[..8], [0x30, 38, 2, 1, 1, 2, 33, 0]);
        assert_eq!((der[8], der.len()), (0x80, 40));
        assert_eq!(ecdsa_der(&signature[..63], 32), None);
        assert_eq!(ecdsa_der(&signature, 48), None);
        assert_eq!(ecdsa_der(&[], 32), None);
    }

    #[test]
    fn long_ones_have_a_long_length() {
        let der = ecdsa_der(&[1_u8; 132], 66).unwrap();
        assert_eq!(der[..5], [0x30, 0x81, 136, 2, 66]);
        assert_eq!(der.len(), 3 + 136);
    }
}
