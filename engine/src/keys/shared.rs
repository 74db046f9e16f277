use serde::{Deserialize, Serialize};

/// What several instances that need the same document know of its fetches, kept where all of them
/// read and write it by compare-and-swap: one fetches, all have the answer.
///
/// ```
/// use tokensmith_engine::keys::{FetchRecord, Seen, Turn};
/// let record = FetchRecord::default();
/// let Turn::Lead(mine) = record.turn(Seen::default(), 0, 5_000) else { unreachable!() };
/// assert_eq!(mine.turn(Seen::default(), 4_999, 5_000), Turn::Wait);
/// assert!(matches!(mine.turn(Seen::default(), 5_000, 5_000), Turn::Lead(_)), "it died");
/// assert_eq!(mine.ended(true).turn(Seen::default(), 100, 5_000), Turn::Read);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchRecord {
    /// Counts the good answers; the number of the document that is kept.
    pub version: u64,
    /// Counts the attempts that ended.
    pub attempts: u64,
    /// Whether the last attempt that ended failed.
    pub failed: bool,
    /// When the attempt under way began, Unix time in milliseconds.
    pub since_ms: Option<i64>,
}

/// How much of a [`FetchRecord`] one instance has taken note of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// [`FetchRecord::version`] of the document it has.
    pub version: u64,
    /// [`FetchRecord::attempts`] it knows of.
    pub attempts: u64,
}

/// What an instance that wants to fetch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Read the document: it is another than the one it has.
    Read,
    /// Take the failure of somebody else's attempt for its own.
    Failed,
    /// Look again later: somebody else fetches.
    Wait,
    /// Fetch, once this record has taken the place of the one that was read.
    Lead(FetchRecord),
}

impl FetchRecord {
    /// What an instance does that has `seen` this much. Whoever fetches and says nothing for
    /// `timeout_ms` is taken to have died.
    pub fn turn(&self, seen: Seen, now_ms: i64, timeout_ms: i64) -> Turn {
        if self.version != seen.version {
            return Turn::Read;
        }
        if self.failed && self.attempts != seen.attempts {
            return Turn::Failed;
        }
        if self.is_under_way(now_ms, timeout_ms) {
            return Turn::Wait;
        }
        Turn::Lead(Self {
            since_ms: Some(now_ms),
            ..*self
        })
    }

    /// Whether somebody fetches.
    pub fn is_under_way(&self, now_ms: i64, timeout_ms: i64) -> bool {
        // A clock that went back must not keep everybody waiting, hence the lower bound.
        self.since_ms
            .is_some_and(|since| (0..timeout_ms).contains(&now_ms.saturating_sub(since)))
    }

    /// The record after an attempt that brought a document, or did not.
    pub fn ended(&self, good: bool) -> Self {
        Self {
            version: self.version.wrapping_add(u64::from(good)),
            attempts: self.attempts.wrapping_add(1),
            failed: !good,
            since_ms: None,
        }
    }

    /// The record's text.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads [`FetchRecord::to_bytes`]; what somebody else wrote in its place is no record.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

/// A document as it is kept for all instances, with what its answer said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedDocument<'d> {
    /// When it was asked for, Unix time in seconds.
    pub at: i64,
    /// `ETag`.
    pub etag: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// The body.
    pub body: &'d [u8],
}

/// The first line of a [`SharedDocument`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_control: Option<String>,
}

impl<'d> SharedDocument<'d> {
    /// One line of JSON, then the body.
    pub fn to_bytes(&self) -> Vec<u8> {
        let head = Head {
            at: self.at,
            etag: self.etag.clone(),
            cache_control: self.cache_control.clone(),
        };
        let mut bytes = serde_json::to_vec(&head).unwrap_or_default();
        bytes.push(b'\n');
        bytes.extend_from_slice(self.body);
        bytes
    }

    /// Reads [`SharedDocument::to_bytes`]; what somebody else wrote in its place is no document.
    pub fn parse(bytes: &'d [u8]) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let (head, rest) = bytes.split_at_checked(end)?;
        let head: Head = serde_json::from_slice(head).ok()?;
        Some(Self {
            at: head.at,
            etag: head.etag,
            cache_control: head.cache_control,
            body: rest.get(1..)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::Limits;
    use crate::keys::{
        Answer, FetchError, IssuerSource, JwksSource, KeySources, Origin, RefreshPolicy,
    };
    use crate::verify::External;

    const SET: &[u8] = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    const STEADY: RefreshPolicy = RefreshPolicy {
        fresh: 600,
        hard_expiry: 3600,
        cooldown: 30,
        timeout: 10,
        absent: 60,
        jitter: 0,
    };

    fn answer() -> Answer<'static> {
        Answer {
            status: 200,
            body: SET,
            ..Answer::default()
        }
    }

    const TIMEOUT: i64 = 5_000;

    #[test]
    fn one_fetches_and_all_learn_how_it_ended() {
        let fresh = FetchRecord::default();
        let Turn::Lead(led) = fresh.turn(Seen::default(), 10, TIMEOUT) else {
            panic!("nobody fetches")
        };
        assert_eq!(led.since_ms, Some(10));
        for now in [10, 5_009] {
            assert_eq!(led.turn(Seen::default(), now, TIMEOUT), Turn::Wait);
        }
        for now in [5_010, 9, i64::MIN, i64::MAX] {
            let turn = led.turn(Seen::default(), now, TIMEOUT);
            assert!(matches!(turn, Turn::Lead(_)), "at {now}");
        }
        let failed = led.ended(false);
        assert_eq!(failed.turn(Seen::default(), 20, TIMEOUT), Turn::Failed);
        let seen = Seen {
            version: 0,
            attempts: 1,
        };
        let Turn::Lead(again) = failed.turn(seen, 20, TIMEOUT) else {
            panic!("a failure that is known keeps nobody from another attempt")
        };
        let good = again.ended(true);
        assert_eq!((good.version, good.attempts, good.failed), (1, 2, false));
        assert_eq!(good.turn(seen, 30, TIMEOUT), Turn::Read);
    }

    #[test]
    fn texts_are_read_back_and_others_are_not() {
        let record = FetchRecord::default().ended(true);
        assert_eq!(FetchRecord::parse(&record.to_bytes()), Some(record));
        let document = SharedDocument {
            at: 1_800_000_000,
            etag: Some("\"a\"".to_owned()),
            cache_control: None,
            body: b"{}\n\xff",
        };
        let bytes = document.to_bytes();
        assert_eq!(SharedDocument::parse(&bytes), Some(document));
        for other in [&b""[..], b"\n", b"{}", b"{}\n", b"\xff\xff\n{}", b"[]\n"] {
            assert_eq!(SharedDocument::parse(other), None, "{other:?}");
            assert_eq!(FetchRecord::parse(other), None, "{other:?}");
        }
    }

    #[test]
    fn what_another_instance_fetched_is_as_old_as_it_is_there() {
        let limits = Limits::default();
        let mut source = JwksSource::new("u", STEADY, 0);
        let fetch = source.poll(100).unwrap();
        assert_eq!(source.share(0, &answer(), &limits).unwrap().keys.len(), 1);
        assert_eq!(
            source.fetched(fetch.id, &answer(), &limits),
            Err(FetchError::Late),
            "nobody waits for it any more"
        );
        assert_eq!(source.fetched_at(), Some(0));
        assert!(source.poll(599).is_none() && source.poll(600).is_some());
        assert!(source.keys(3599).is_some() && source.keys(3600).is_none());
        assert_eq!(
            source.share(-1, &answer(), &limits),
            Err(FetchError::Late),
            "older than what is held"
        );
        let mut none = JwksSource::new("u", STEADY, 0);
        let bad = Answer {
            body: b"{}",
            ..answer()
        };
        assert!(none.share(0, &bad, &limits).is_err() && none.keys(0).is_none());
    }

    #[test]
    fn the_ring_has_what_another_instance_fetched_until_it_is_too_old() {
        let origin = Origin::Remote {
            url: "u".to_owned(),
            policy: STEADY,
        };
        let issuer = IssuerSource {
            issuer: "i".to_owned(),
            origin,
        };
        let limits = Limits::default();
        let mut keys = KeySources::new([issuer], &External, 0);
        let mut share = |issuer: &str, at: i64| {
            let shared = keys.share(issuer, at, &answer(), &limits, &External);
            let changed = shared.map(|loaded| loaded.changed);
            let ages: Vec<i64> = keys.ages(1_000).map(|(_, age)| age).collect();
            (changed, keys.ring(3_700).has_key("i", "a"), ages)
        };
        assert_eq!(share("j", 0), (Err(FetchError::Late), false, vec![]));
        assert_eq!(share("i", 0), (Ok(true), false, vec![1_000]), "too old");
        assert_eq!(share("i", 200), (Ok(true), true, vec![800]));
        assert_eq!(share("i", 300), (Ok(false), true, vec![700]));
    }
}
