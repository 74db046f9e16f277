use sha2::block_api::compress256;
use sha2::{Digest as _, Sha256};

const BEFORE_POLICY: &[u8] = b"\n--policy--\n";
const BEFORE_GROUPING: &[u8] = b"\n--grouping--\n";

/// SHA-256 of the baseline rules as TokenSmith's Go release has them, a file of 2897 bytes.
const BASELINE_RULES_SHA256: &str =
    "5601be54b2593d87120a23ac3fb235209fdc331431cc04509558bd5fd5dbde88";

/// SHA-256 in the middle of the Go release's baseline: its canonical model, the separator and the
/// rules up to [`BASELINE_TAIL`]. The comments of those files count, and this stands for them.
const BASELINE_STATE: [u32; 8] = [
    0x4a31_e34a,
    0xa6fc_e303,
    0xd842_e756,
    0xdf4b_7de5,
    0x6fc3_385f,
    0x27aa_f425,
    0x0bd0_251b,
    0xd6cb_c233,
];
/// How many bytes are in [`BASELINE_STATE`].
const BASELINE_BYTES: usize = 50 * 64;
/// The end of the last baseline rule, behind the last whole block.
const BASELINE_TAIL: &[u8] = b"ce, metadata:groups, read\n";

/// The `policy_version` that TokenSmith's Go release gives to a model and rules, for fleets that
/// run both: 64 lower-case hex digits.
///
/// `policy` and `grouping` are the bytes as that release reads them: its own baseline rules
/// before those of the site in `policy`, and see [`file_bytes_v1`] and [`folder_bytes_v1`].
/// Comments, white space and order count in them. Of the model, a byte order mark, CR LF and white
/// space at the ends do not.
///
/// Most fleets need [`baseline_policy_version_v1`], which has the baseline in it. What a policy
/// means is named by [`super::policy_version`].
///
/// ```
/// use tokensmith_engine::policy::policy_version_v1;
/// let version = policy_version_v1("a\r\nb", b"p", b"g");
/// assert_eq!(version, "ccaba95068f8464e88ac5f619663a1a5f2338d8e743b2be1a24b2bcc97bb5fcc");
/// assert_eq!(version, policy_version_v1("\u{feff}\n a\nb\n\n", b"p", b"g"));
/// ```
pub fn policy_version_v1(model: &str, policy: &[u8], grouping: &[u8]) -> String {
    let mut hash = Sha256::new();
    let model = model.strip_prefix('\u{feff}').unwrap_or(model);
    hash.update(model.replace("\r\n", "\n").trim());
    hash.update(b"\n");
    for part in [BEFORE_POLICY, policy, BEFORE_GROUPING, grouping] {
        hash.update(part);
    }
    hex(&hash.finalize())
}

/// The `policy_version` that TokenSmith's Go release gives to its baseline model and rules with
/// `policy` and `grouping` of the site behind them: 64 lower-case hex digits.
///
/// Where that release reads one folder of rules by its older loader (`Load`, `LoadFromEnv`,
/// `TOKENSMITH_POLICY_DIR`), it hashes the folder as `grouping`, and `policy` is empty.
///
/// ```
/// use tokensmith_engine::policy::baseline_policy_version_v1;
/// assert_eq!(
///     baseline_policy_version_v1(b"", b""),
///     "0d822a9914e3530dad620e4cc378ec8ecbe7af87b1cc3e192f31c59f41a02e70"
/// );
/// ```
pub fn baseline_policy_version_v1(policy: &[u8], grouping: &[u8]) -> String {
    let message = [BASELINE_TAIL, policy, BEFORE_GROUPING, grouping].concat();
    sha256_from(BASELINE_STATE, BASELINE_BYTES, message)
}

/// The baseline rules of TokenSmith's Go release, byte for byte, for versions with another model
/// than the baseline's.
///
/// The file is not a part of this crate: it is `baseline_policy.csv` in the Go release's package
/// `policyloader`.
#[derive(Clone, Copy, Debug)]
pub struct LegacyBaseline<'b>(&'b [u8]);

impl<'b> LegacyBaseline<'b> {
    /// Takes the file's bytes; `None` when they are not exactly those of the release.
    ///
    /// ```
    /// use tokensmith_engine::policy::LegacyBaseline;
    /// assert!(LegacyBaseline::new(b"p, role:viewer, nodes, read\n").is_none());
    /// ```
    pub fn new(rules: &'b [u8]) -> Option<Self> {
        (hex(&Sha256::digest(rules)) == BASELINE_RULES_SHA256).then_some(Self(rules))
    }

    /// [`policy_version_v1`] of `model` and of the baseline rules with `policy` and `grouping` of
    /// the site behind them.
    pub fn policy_version(&self, model: &str, policy: &[u8], grouping: &[u8]) -> String {
        policy_version_v1(model, &[self.0, policy].concat(), grouping)
    }
}

/// What TokenSmith's Go release reads of a file that its configuration names: all but a byte order
/// mark.
///
/// ```
/// use tokensmith_engine::policy::file_bytes_v1;
/// assert_eq!(file_bytes_v1(b"\xef\xbb\xbfp, a, b, c"), b"p, a, b, c");
/// ```
pub fn file_bytes_v1(file: &[u8]) -> &[u8] {
    file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file)
}

/// What TokenSmith's Go release reads of a folder that its configuration names: its `*.csv` files,
/// given in byte order of their names, each without byte order mark and ended by a line feed.
///
/// ```
/// use tokensmith_engine::policy::folder_bytes_v1;
/// let files: [&[u8]; 3] = [b"p, a, b, c", b"", b"p, d, e, f\n"];
/// assert_eq!(folder_bytes_v1(files), b"p, a, b, c\np, d, e, f\n");
/// ```
pub fn folder_bytes_v1<'f>(files: impl IntoIterator<Item = &'f [u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for file in files.into_iter().map(file_bytes_v1) {
        bytes.extend_from_slice(file);
        if file.last().is_some_and(|last| *last != b'\n') {
            bytes.push(b'\n');
        }
    }
    bytes
}

/// SHA-256 in hex (FIPS 180-4 section 6.2) of what led to `state`, whole blocks of `before` bytes,
/// and of `message` behind it.
fn sha256_from(mut state: [u32; 8], before: usize, mut message: Vec<u8>) -> String {
    let bits = (before as u64 + message.len() as u64) * 8;
    // The padding of section 5.1.1.
    message.push(0x80);
    while message.len() % 64 != 56 {
        message.push(0);
    }
    message.extend_from_slice(&bits.to_be_bytes());
    let (blocks, _) = message.as_chunks::<64>();
    compress256(&mut state, blocks);
    state.iter().map(|word| format!("{word:08x}")).collect()
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const F1: &[u8] = b"p, role:viewer, a, read\n";
    const F2: &[u8] = b"p, role:viewer, b, read\n";
    const G: &[u8] = b"g, user:alice, role:viewer\n";

    /// What the Go release answered for its baseline with these rules of a site.
    #[test]
    fn versions_of_the_go_release() {
        let folder = folder_bytes_v1([F1, F2]);
        let no_line_feeds = folder_bytes_v1([F1, F2].map(<[u8]>::trim_ascii_end));
        let with_mark = [b"\xef\xbb\xbf".as_slice(), F1].concat();
        let cases: [(&str, &[u8], &[u8], &str); 10] = [
            (
                "baseline only",
                b"",
                b"",
                "0d822a9914e3530dad620e4cc378ec8ecbe7af87b1cc3e192f31c59f41a02e70",
            ),
            (
                "folder",
                &folder,
                b"",
                "36273ad5a628ccf3255ebdeb58a059c02bdb12dc5d2bd3ba915f50e29ca4f9e9",
            ),
            (
                "folder of files without a line feed at the end",
                &no_line_feeds,
                b"",
                "36273ad5a628ccf3255ebdeb58a059c02bdb12dc5d2bd3ba915f50e29ca4f9e9",
            ),
            (
                "folder by the older loader",
                b"",
                &folder,
                "2a82fbb39a3b0d2ad6df907b18a63edf8159ef1bb18c950680fe2c7d370bd5b2",
            ),
            (
                "file",
                file_bytes_v1(F1),
                b"",
                "c05ba2f4a78a0cfa696556e96a2c56ca05c1c7c5425e7b22db15b038096eb506",
            ),
            (
                "file with a byte order mark",
                file_bytes_v1(&with_mark),
                b"",
                "c05ba2f4a78a0cfa696556e96a2c56ca05c1c7c5425e7b22db15b038096eb506",
            ),
            (
                "file without a line feed at the end",
                F1.trim_ascii_end(),
                b"",
                "828a94864df7e6d843bfc3f8ca2362c351d61918ebca481d9a271c11656325b9",
            ),
            (
                "file with CR LF",
                b"p, role:viewer, a, read\r\n",
                b"",
                "02f1166f4e1792de3ea98dbb52836e7da5643b95c45ca7f842e67a978f061b59",
            ),
            (
                "file and grouping",
                F1,
                G,
                "2eb149a311fcb62e81f6ce26d19abf9f277f966c5df134e801f5bc8124ccdfb1",
            ),
            (
                "grouping",
                b"",
                G,
                "c1398fdfd3c3315cfecf8bf7b394d62c888e6f656d570e5319675ead340e3bda",
            ),
        ];
        for (name, policy, grouping, version) in cases {
            assert_eq!(
                baseline_policy_version_v1(policy, grouping),
                version,
                "{name}"
            );
        }
        assert_eq!(
            baseline_policy_version_v1(b"p, role:viewer, metadata:nodes, read\n", b""),
            "d59d0cd4c2d1780d3ef0a034949c34d57ebd92e017d3543871236d5d23c6f665",
            "a rule of the baseline again"
        );
    }

    /// Going on from a state is hashing the whole, whatever the length of the last block.
    #[test]
    fn padding() {
        // The state before the first block (FIPS 180-4 section 5.3.3).
        let start = [
            0x6a09_e667,
            0xbb67_ae85,
            0x3c6e_f372,
            0xa54f_f53a,
            0x510e_527f,
            0x9b05_688c,
            0x1f83_d9ab,
            0x5be0_cd19,
        ];
        for length in 0..200 {
            let message = vec![b'r'; length];
            let whole = hex(&Sha256::digest(&message));
            assert_eq!(sha256_from(start, 0, message), whole, "{length}");
        }
    }

    #[test]
    fn only_the_ends_of_a_model_do_not_count() {
        let version = policy_version_v1("m", b"", b"");
        for same in ["\u{feff}m", " m\n", "\r\n\u{a0}m\u{2028}\t"] {
            assert_eq!(policy_version_v1(same, b"", b""), version, "{same:?}");
        }
        for other in ["m m", "m\rm", "\u{feff}\u{feff}m", "# c\nm"] {
            assert_ne!(policy_version_v1(other, b"", b""), version, "{other:?}");
        }
        assert_ne!(
            policy_version_v1("m", b"x", b""),
            policy_version_v1("m", b"", b"x")
        );
    }
}
