//! Subnets for private networks: a /28 each, out of a range of our own. The engine's default pools
//! hold about thirty networks, which is no number of sandboxes.

use std::{net::Ipv4Addr, str::FromStr};

use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// Prefix length of one private network: 13 addresses beside the engine's own.
const NETWORK_BITS: u8 = 28;
/// Addresses of one private network.
const NETWORK_SIZE: u32 = 1 << (32 - NETWORK_BITS);

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subnet {
    base: u32,
    bits: u8,
}

/// Why a text is no range to cut networks from.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("write an IPv4 range as in 10.213.0.0/16, no larger than /8 and no smaller than /28")]
pub(crate) struct NotAPool;

impl Subnet {
    /// Reads any IPv4 range; nothing for IPv6 and for malformed ones.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (base, bits) = text.split_once('/')?;
        let (base, bits) = (base.parse::<Ipv4Addr>().ok()?, bits.parse::<u8>().ok()?);
        (bits <= 32).then(|| Self {
            base: u32::from(base) & mask(bits),
            bits,
        })
    }

    fn overlaps(self, other: Self) -> bool {
        let mask = mask(self.bits.min(other.bits));
        self.base & mask == other.base & mask
    }
}

impl std::fmt::Display for Subnet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.base), self.bits)
    }
}

const fn mask(bits: u8) -> u32 {
    match bits {
        0 => 0,
        bits => u32::MAX << (32 - bits),
    }
}

/// The range that private networks are cut from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pool(Subnet);

impl FromStr for Pool {
    type Err = NotAPool;

    fn from_str(text: &str) -> Result<Self, NotAPool> {
        let range = Subnet::read(text).ok_or(NotAPool)?;
        // Host bits would hide a typing error.
        let exact = text.starts_with(&format!("{}/", Ipv4Addr::from(range.base)));
        if !exact || !(8..=NETWORK_BITS).contains(&range.bits) {
            return Err(NotAPool);
        }
        Ok(Self(range))
    }
}

impl Pool {
    /// Networks that overlap none of `taken`, in an order that depends on `seed`, so that two
    /// creates at once rarely want the same one.
    pub(crate) fn free(self, seed: &str, taken: Vec<Subnet>) -> impl Iterator<Item = Subnet> {
        let count = 1u32 << (NETWORK_BITS - self.0.bits);
        let hash = Sha256::digest(seed);
        let number =
            |at: usize| u32::from_be_bytes([hash[at], hash[at + 1], hash[at + 2], hash[at + 3]]);
        // An odd step meets every network once: their number is a power of two.
        let (start, step) = (number(0), number(4) | 1);
        (0..count)
            .map(move |turn| start.wrapping_add(turn.wrapping_mul(step)) % count)
            .map(move |at| Subnet {
                base: self.0.base + at * NETWORK_SIZE,
                bits: NETWORK_BITS,
            })
            .filter(move |subnet| !taken.iter().any(|other| subnet.overlaps(*other)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn free(pool: &str, taken: &[&str]) -> Vec<String> {
        let taken = taken.iter().filter_map(|text| Subnet::read(text)).collect();
        pool.parse::<Pool>()
            .unwrap()
            .free("seed", taken)
            .map(|subnet| subnet.to_string())
            .collect()
    }

    #[test]
    fn every_network_of_the_pool_is_met_once() {
        let all = free("10.213.0.0/16", &[]);
        assert_eq!(all.len(), 4096);
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 4096);
        assert!(
            all.iter()
                .all(|subnet| subnet.starts_with("10.213.") && subnet.ends_with("/28"))
        );
    }

    #[test]
    fn what_is_taken_is_left_out_whatever_its_size() {
        assert_eq!(free("10.0.0.0/27", &["10.0.0.4/30"]), ["10.0.0.16/28"]);
        assert_eq!(
            free("10.0.0.0/27", &["10.0.0.0/8", "fd00::/64"]),
            Vec::<String>::new()
        );
        assert_eq!(
            free("10.0.0.0/24", &["10.0.0.128/25", "192.168.0.0/16"]).len(),
            8
        );
        assert_eq!(free("10.0.0.0/28", &[]), ["10.0.0.0/28"]);
    }

    #[test]
    fn another_seed_begins_elsewhere() {
        let pool: Pool = "10.213.0.0/16".parse().unwrap();
        let first = |seed| pool.free(seed, Vec::new()).next();
        assert_ne!(first("a"), first("b"));
        assert_eq!(first("a"), first("a"));
    }

    #[test]
    fn only_a_clean_range_is_a_pool() {
        for text in [
            "10.213.0.0",
            "10.213.0.1/16",
            "10.213.0.0/29",
            "10.0.0.0/7",
            "fd00::/64",
            "x/16",
            "10.0.0.0/40",
        ] {
            assert_eq!(text.parse::<Pool>(), Err(NotAPool), "{text}");
        }
    }
}
