use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// How many connections each source has, an address or, as [`network`] says, a network.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// The place of one connection; free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    source: IpAddr,
}

impl Places {
    /// With `most` for each address.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            taken: Mutex::default(),
        }
    }

    /// A place for a connection from `source`, unless it has all of its own.
    pub(super) fn take(self: &Arc<Self>, source: IpAddr) -> Option<Place> {
        let source = network(source);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(source).or_default();
        if *count >= self.most {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Place {
            places: Arc::clone(self),
            source,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let taken = &self.places.taken;
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut entry) = taken.entry(self.source) {
            let left = entry.get().saturating_sub(1);
            if left == 0 {
                entry.remove();
            } else {
                entry.insert(left);
            }
        }
    }
}

/// What counts as one caller: an IPv6 host has a whole /64 to choose its address from.
pub(crate) fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(network.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_network_has_its_own_and_gives_them_back() {
        let places = Arc::new(Places::new(2));
        let take = |text: &str| places.take(text.parse().unwrap());
        let first = take("192.0.2.1");
        let second = take("::ffff:192.0.2.1");
        assert!(first.is_some() && second.is_some());
        assert!(take("192.0.2.1").is_none());
        assert!(take("192.0.2.2").is_some());
        drop(first);
        assert!(take("192.0.2.1").is_some());
        let six = (take("2001:db8::1"), take("2001:db8::2"));
        assert!(six.0.is_some() && six.1.is_some());
        assert!(take("2001:db8::3").is_none());
        assert!(take("2001:db8:0:1::3").is_some());
        drop((second, six));
        assert!(places.taken.lock().unwrap().is_empty());
    }
}
