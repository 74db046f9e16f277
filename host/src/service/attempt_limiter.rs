use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

pub(super) use crate::listener::network;

/// Failed attempts after which an address has to wait.
const ATTEMPTS: usize = 5;
/// Seconds for which a failed attempt counts.
const WINDOW: i64 = 60;
/// More addresses than this are not remembered; the oldest go first.
const ADDRESSES: usize = 65_536;
/// So many are left when the oldest went: not each failure has to look for them.
const LEFT: usize = ADDRESSES - ADDRESSES / 8;

/// Counts failed redemptions by the peer's address, the socket's and never a header's.
#[derive(Debug, Default)]
pub(super) struct AttemptLimiter {
    failures: Mutex<HashMap<IpAddr, Vec<i64>>>,
}

impl AttemptLimiter {
    /// Seconds until `peer` may try again, if it has to wait.
    pub(super) fn wait(&self, peer: IpAddr, now: i64) -> Option<i64> {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let times = failures.get_mut(&network(peer))?;
        times.retain(|time| now.saturating_sub(*time) < WINDOW);
        let oldest = *times.first()?;
        (times.len() >= ATTEMPTS).then(|| (oldest + WINDOW - now).max(1))
    }

    /// Notes a failure.
    pub(super) fn failed(&self, peer: IpAddr, now: i64) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= ADDRESSES {
            make_room(&mut failures, now);
        }
        let times = failures.entry(network(peer)).or_default();
        times.retain(|time| now.saturating_sub(*time) < WINDOW);
        // What is counted is bounded too: a caller in waiting is not looked up further.
        if times.len() < ATTEMPTS {
            times.push(now);
        }
    }
}

/// Forgets the addresses whose last failure no longer counts, and the oldest beyond [`LEFT`].
fn make_room(failures: &mut HashMap<IpAddr, Vec<i64>>, now: i64) {
    failures.retain(|_, times| {
        times
            .last()
            .is_some_and(|time| now.saturating_sub(*time) < WINDOW)
    });
    let surplus = failures.len().saturating_sub(LEFT);
    if surplus == 0 {
        return;
    }
    let mut by_age: Vec<(Option<i64>, IpAddr)> = failures
        .iter()
        .map(|(peer, times)| (times.last().copied(), *peer))
        .collect();
    by_age.sort_unstable();
    for (_, peer) in by_age.iter().take(surplus) {
        failures.remove(peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_in_a_minute() {
        let limiter = AttemptLimiter::default();
        let (one, other) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        for now in 0..5 {
            assert_eq!(limiter.wait(one, now), None);
            limiter.failed(one, now);
        }
        assert_eq!(limiter.wait(one, 5), Some(55));
        assert_eq!(limiter.wait(other, 5), None);
        assert_eq!(limiter.wait(one, 60), None, "the first has left the window");
    }

    #[test]
    fn one_network_is_one_caller() {
        let limiter = AttemptLimiter::default();
        for host in 0..5u16 {
            limiter.failed([0x2001, 0xdb8, 0, 1, 0, 0, 0, host].into(), 0);
        }
        assert!(
            limiter
                .wait([0x2001, 0xdb8, 0, 1, 9, 9, 9, 9].into(), 1)
                .is_some()
        );
        assert!(
            limiter
                .wait([0x2001, 0xdb8, 0, 2, 0, 0, 0, 1].into(), 1)
                .is_none()
        );
    }

    #[test]
    fn memory_is_bounded() {
        let limiter = AttemptLimiter::default();
        for address in 0..70_000u32 {
            limiter.failed(IpAddr::V4(address.into()), i64::from(address) / 10_000);
        }
        assert!(limiter.failures.lock().unwrap().len() <= ADDRESSES);
    }

    #[test]
    fn the_oldest_go_many_at_a_time() {
        let limiter = AttemptLimiter::default();
        let peer = |number: u32| IpAddr::V4(number.into());
        let most = u32::try_from(ADDRESSES).unwrap();
        for number in 0..most {
            limiter.failed(peer(number), i64::from(number >= 100));
        }
        assert_eq!(limiter.failures.lock().unwrap().len(), ADDRESSES);
        limiter.failed(peer(most), 2);
        let failures = limiter.failures.lock().unwrap();
        assert_eq!(failures.len(), LEFT + 1);
        assert!((0..100).all(|number| !failures.contains_key(&peer(number))));
        assert!(failures.contains_key(&peer(most)));
    }
}
