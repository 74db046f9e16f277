/// How long answers took, in microseconds. Exact: every answer's time is kept until then.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Latency {
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
}

impl Latency {
    /// Of times in nanoseconds; zeros when there are none.
    pub(crate) fn of(nanoseconds: impl IntoIterator<Item = u64>) -> Self {
        let mut sorted: Vec<u64> = nanoseconds.into_iter().collect();
        sorted.sort_unstable();
        Self {
            p50_us: percentile(&sorted, 0.5),
            p99_us: percentile(&sorted, 0.99),
            p999_us: percentile(&sorted, 0.999),
            max_us: percentile(&sorted, 1.0),
        }
    }
}

/// By nearest rank: the least time that this share of the answers did not exceed.
fn percentile(sorted: &[u64], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    let time = sorted.get(rank.saturating_sub(1)).copied();
    time.unwrap_or(0) as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_rank() {
        let latency = Latency::of((1..=1000).rev().map(|number| number * 1000));
        let expected = Latency {
            p50_us: 500.0,
            p99_us: 990.0,
            p999_us: 999.0,
            max_us: 1000.0,
        };
        assert_eq!(latency, expected);
        assert_eq!(Latency::of([7000]).p50_us, 7.0);
        assert_eq!(Latency::of([]), Latency::default());
    }
}
