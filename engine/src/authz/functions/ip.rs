use std::net::IpAddr;

use super::FunctionError;

/// An IP address, or a block of them. IPv4 addresses mapped to IPv6 count as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AddressBlock {
    /// IPv4 addresses.
    V4 { network: u32, mask: u32 },
    /// IPv6 addresses that are not mapped IPv4 addresses.
    V6 { network: u128, mask: u128 },
}

impl AddressBlock {
    /// Reads an address or, with a `/` and the length of a prefix, a block; `None` for any other
    /// text.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.split_once('/') {
            None => Some(Self::single(text.parse().ok()?)),
            Some((address, length)) => Self::block(address.parse().ok()?, length),
        }
    }

    /// Whether `key` is an address of the block.
    ///
    /// # Errors
    /// [`FunctionError::NotAnAddress`].
    pub(super) fn contains(&self, key: &str) -> Result<bool, FunctionError> {
        let address: IpAddr = key
            .parse()
            .map_err(|_| FunctionError::NotAnAddress(key.chars().take(64).collect()))?;
        Ok(match (self, address.to_canonical()) {
            (Self::V4 { network, mask }, IpAddr::V4(address)) => {
                u32::from(address) & mask == *network
            }
            (Self::V6 { network, mask }, IpAddr::V6(address)) => {
                u128::from(address) & mask == *network
            }
            _ => false,
        })
    }

    fn single(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4 {
                network: address.into(),
                mask: u32::MAX,
            },
            IpAddr::V6(address) => Self::V6 {
                network: address.into(),
                mask: u128::MAX,
            },
        }
    }

    fn block(address: IpAddr, length: &str) -> Option<Self> {
        if !length.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let length: u32 = length.parse().ok()?;
        match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX
                    .checked_shl(32_u32.checked_sub(length)?)
                    .unwrap_or(0);
                Some(Self::V4 {
                    network: u32::from(address) & mask,
                    mask,
                })
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX
                    .checked_shl(128_u32.checked_sub(length)?)
                    .unwrap_or(0);
                let network = u128::from(address) & mask;
                // Go looks at the masked address: a shorter prefix leaves it an IPv6 block, which
                // then has no IPv4 address in it, mapped or not.
                Some(if network >> 32 == 0xffff {
                    Self::V4 {
                        network: network as u32,
                        mask: mask as u32,
                    }
                } else {
                    Self::V6 { network, mask }
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_blocks() {
        let cases = [
            ("10.1.2.3", "10.0.0.0/8", true),
            ("10.1.2.3", "10.9.9.9/8", true),
            ("11.1.2.3", "10.0.0.0/8", false),
            ("10.1.2.3", "10.1.2.3/32", true),
            ("10.1.2.4", "10.1.2.3/32", false),
            ("10.1.2.4", "10.1.2.3/032", false),
            ("255.255.255.255", "0.0.0.0/0", true),
            ("::ffff:10.1.2.3", "0.0.0.0/0", true),
            ("10.1.2.3", "::ffff:a01:203", true),
            ("10.1.2.3", "::ffff:10.0.0.0/104", true),
            ("11.1.2.3", "::ffff:10.0.0.0/104", false),
            ("10.1.2.3", "::ffff:10.0.0.0/90", false),
            ("10.1.2.3", "::/0", false),
            ("::ffff:10.1.2.3", "::/0", false),
            ("::1", "::/0", true),
            ("::1", "0.0.0.0/0", false),
            ("2001:DB8::1", "2001:db8::1", true),
            ("2001:db8::1", "2001:db8::/128", false),
            ("2001:db8::1", "2001:db8::/127", true),
        ];
        for (key, pattern, expected) in cases {
            let block = AddressBlock::parse(pattern).unwrap();
            assert_eq!(block.contains(key), Ok(expected), "{key} {pattern}");
        }
    }

    #[test]
    fn other_texts() {
        for pattern in [
            "",
            "/",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10.0.0.0/8/8",
            "10.0.0/8",
            "10.0.0.01",
            "::1%eth0",
            "fe80::%1/64",
            "::/129",
            "10.0.0.1 ",
            "0x7f.1",
            "10.0.0.0/99999999999",
            "1:2:3:4:5:6:7::8",
        ] {
            assert_eq!(AddressBlock::parse(pattern), None, "{pattern}");
        }
        let block = AddressBlock::parse("10.0.0.0/8").unwrap();
        let error = block.contains("10.0.0.0/8").unwrap_err();
        assert_eq!(error.to_string(), "`10.0.0.0/8` is not an IP address");
    }
}
