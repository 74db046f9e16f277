/// When a JWK set is fetched again, and how long it is trusted. All times are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshPolicy {
    /// A set younger than this is not fetched again without cause. The publisher's `max-age`
    /// may shorten it, down to the cool-down, and never lengthens it.
    pub fresh: i64,
    /// A set older than this verifies nothing.
    pub hard_expiry: i64,
    /// Least time between two fetches, whatever tokens with unknown `kid` arrive. It doubles with
    /// each fetch that fails in a row, up to `fresh`.
    pub cooldown: i64,
    /// How long to wait for the answer to a fetch before it counts as failed.
    pub timeout: i64,
    /// How long a `kid` that a fetch did not bring causes no further fetch.
    pub absent: i64,
    /// By how many percent, at most, freshness is cut and the wait after a failure lengthened at
    /// random, so that processes that started together do not ask together.
    pub jitter: u8,
}

impl Default for RefreshPolicy {
    fn default() -> Self {
        Self {
            fresh: 600,
            hard_expiry: 3600,
            cooldown: 30,
            timeout: 10,
            absent: 60,
            jitter: 10,
        }
    }
}
