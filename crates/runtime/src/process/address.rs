//! Which loopback address each workload has.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr},
};

/// The first and the last address of 127.64.0.0/10. All of 127.0.0.0/8 is this machine, for any user and without setup.
const FIRST: u32 = 0x7f40_0000;
const LAST: u32 = 0x7f7f_ffff;

/// The addresses that are taken, and the one given last.
pub(super) struct Addresses {
    taken: HashSet<u32>,
    last: u32,
}

impl Addresses {
    /// Begins at a block of 256 that `seed` picks: two folders on one machine are then unlikely to give the same ones.
    pub(super) fn new(seed: u64) -> Self {
        let blocks = u64::from((LAST - FIRST + 1) / 256);
        let block = u32::try_from(seed % blocks).expect("less than 2^14");
        Self { taken: HashSet::new(), last: FIRST + block * 256 }
    }

    /// Notes an address that is in use. Those noted last are given last.
    pub(super) fn note(&mut self, address: Ipv4Addr) {
        self.taken.insert(address.into());
        self.last = u32::from(address);
    }

    /// The next free address; `None` when four millions are in use.
    pub(super) fn take(&mut self) -> Option<Ipv4Addr> {
        let mut candidate = self.last;
        for _ in FIRST..=LAST {
            candidate = if candidate >= LAST { FIRST } else { candidate + 1 };
            // Programs that know only /24 networks see these two as network and broadcast.
            let usable = !matches!(candidate & 0xff, 0 | 0xff);
            if usable && self.taken.insert(candidate) {
                self.last = candidate;
                return Some(candidate.into());
            }
        }
        None
    }

    /// Takes the address that was asked for.
    pub(super) fn take_wanted(&mut self, wanted: &str) -> Result<Ipv4Addr, String> {
        let range = "an address from 127.64.0.0 to 127.127.255.255";
        let address: Ipv4Addr = match wanted.parse() {
            Ok(IpAddr::V4(address)) if (FIRST..=LAST).contains(&u32::from(address)) => address,
            _ => {
                let quoted = eru_types::name::excerpt(wanted);
                return Err(format!("network loopback: address must be {range}, got \"{quoted}\""));
            }
        };
        if !self.taken.insert(address.into()) {
            return Err(format!("network loopback: address {address} is in use by another workload"));
        }
        Ok(address)
    }

    /// Gives an address back.
    pub(super) fn free(&mut self, address: Ipv4Addr) {
        self.taken.remove(&address.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_unique_and_come_back_late() {
        let mut addresses = Addresses::new(0);
        let first = addresses.take().unwrap();
        assert_eq!(first, Ipv4Addr::new(127, 64, 0, 1));
        let second = addresses.take().unwrap();
        addresses.free(first);
        assert_eq!((second, addresses.take().unwrap()), (Ipv4Addr::new(127, 64, 0, 2), Ipv4Addr::new(127, 64, 0, 3)));
        addresses.note(Ipv4Addr::from(LAST - 1));
        assert_eq!(addresses.take().unwrap(), first, "it wraps around, past what is in use");
        assert!((0..600).map(|_| addresses.take().unwrap().octets()[3]).all(|last| last != 0 && last != 255));
    }

    #[test]
    fn wanted_addresses_are_checked() {
        let mut addresses = Addresses::new(7);
        assert_eq!(addresses.take_wanted("127.100.0.9").unwrap(), Ipv4Addr::new(127, 100, 0, 9));
        for (wanted, part) in [
            ("127.100.0.9", "in use"),
            ("127.0.0.1", "must be"),
            ("10.0.0.1", "must be"),
            ("::1", "must be"),
            ("x", "\"x\""),
        ] {
            let error = addresses.take_wanted(wanted).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
