/// The kinds of factors (NIST SP 800-63-3 section 4.3.1).
const KINDS: [&[&str]; 3] = [
    // What the user knows.
    &["pwd", "pin", "kba"],
    // What the user has. `tel` and `sms` show that of a telephone.
    &["otp", "hwk", "swk", "sc", "sms", "tel", "pop"],
    // What the user is.
    &["fpt", "face", "iris", "retina", "vbm"],
];

/// How many different kinds of factors authentication methods are (RFC 8176 section 2); `mfa`
/// says that they were two at least, whatever else is there. Methods that are of no kind, such as
/// `geo` or a provider's own, count nothing.
pub(super) fn factor_count<'m>(methods: impl IntoIterator<Item = &'m str>) -> u64 {
    let mut found = [false; KINDS.len()];
    let mut several = false;
    for method in methods {
        several |= method == "mfa";
        for (kind, found) in KINDS.iter().zip(&mut found) {
            *found |= kind.contains(&method);
        }
    }
    let count: u64 = found.into_iter().map(u64::from).sum();
    if several { u64::max(count, 2) } else { count }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_count_and_methods_do_not() {
        for (methods, count) in [
            (&[] as &[&str], 0),
            (&["pwd"], 1),
            (&["pwd", "pin", "kba"], 1),
            (&["otp", "sms", "hwk"], 1),
            (&["pwd", "otp"], 2),
            (&["pwd", "hwk", "face"], 3),
            (&["mfa"], 2),
            (&["pwd", "mfa"], 2),
            (&["pwd", "otp", "fpt", "mfa"], 3),
            (&["wia", "geo", "user", "mca", "MFA"], 0),
        ] {
            assert_eq!(factor_count(methods.iter().copied()), count, "{methods:?}");
        }
    }
}
