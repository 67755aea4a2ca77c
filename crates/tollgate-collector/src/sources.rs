//! Where connections come from, so that nobody takes all of them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The open connections by source. It holds no more sources than there are connections.
#[derive(Clone)]
pub(crate) struct Sources {
    n_open: Arc<Mutex<HashMap<Source, usize>>>,
    connections_max: usize,
}

/// What counts as one sender: an address, or the network of an IPv6 address, all of whose 2^64 addresses one host can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Source(IpAddr);

/// One connection of a source, counted until this is dropped.
#[must_use]
pub(crate) struct Share {
    sources: Sources,
    source: Source,
}

impl Source {
    fn of(address: IpAddr) -> Self {
        // A socket for both families shows IPv4 addresses within IPv6.
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.into()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
        }
    }
}

impl Sources {
    /// None yet; each may have so many.
    pub(crate) fn new(connections_max: usize) -> Self {
        Self { n_open: Arc::default(), connections_max }
    }

    /// Counts one more connection from `address`; `None` when there are as many as one source may have.
    pub(crate) fn share(&self, address: IpAddr) -> Option<Share> {
        let source = Source::of(address);
        let mut n_open = self.n_open();
        let n_of_source = n_open.entry(source).or_default();
        if *n_of_source == self.connections_max {
            return None;
        }
        *n_of_source += 1;
        Some(Share { sources: self.clone(), source })
    }

    fn n_open(&self) -> MutexGuard<'_, HashMap<Source, usize>> {
        self.n_open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut n_open = self.sources.n_open();
        match n_open.get_mut(&self.source) {
            Some(n_of_source) if 1 < *n_of_source => *n_of_source -= 1,
            _ => {
                n_open.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_same(one: &str, other: &str, expected: bool) {
        let source = |text: &str| Source::of(text.parse().expect("an address"));
        assert_eq!(source(one) == source(other), expected, "{one} and {other}");
    }

    #[test]
    fn one_source_is_one_ipv4_address_or_one_ipv6_network() {
        check_same("192.0.2.1", "192.0.2.1", true);
        check_same("192.0.2.1", "192.0.2.2", false);
        check_same("192.0.2.1", "::ffff:192.0.2.1", true);
        check_same("::ffff:192.0.2.1", "::ffff:192.0.2.2", false);
        check_same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true);
        check_same("2001:db8:1:2::1", "2001:db8:1:3::1", false);
        check_same("::1", "127.0.0.1", false);
    }

    #[test]
    fn a_source_has_its_share_and_leaves_nothing_behind() {
        let sources = Sources::new(2);
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().expect("an address"));
        let first = sources.share(one).expect("the first");
        let second = sources.share(one).expect("the second");
        assert!(sources.share(one).is_none());
        assert!(sources.share(other).is_some(), "others have their own");
        drop(first);
        let third = sources.share(one).expect("the place of the first");
        assert!(sources.share(one).is_none());
        drop((second, third));
        assert!(sources.n_open().is_empty());
    }
}
