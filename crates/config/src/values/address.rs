//! Address ranges (RFC 4632, RFC 4291 section 2.3).

use std::net::IpAddr;

use ipnet::IpNet;

use crate::cursor::{Cursor, Decode};

/// An address range: `10.0.0.0/8`, `2001:db8::/32`; a bare address is the range of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr(IpNet);

impl Cidr {
    /// Whether the range holds `address`. An IPv4-mapped IPv6 address counts as the IPv4 address it maps.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// Whether every address of `other` is in the range.
    #[must_use]
    pub fn contains_all(&self, other: &Self) -> bool {
        self.0.contains(&other.0)
    }

    /// Its first address.
    #[must_use]
    pub fn network(&self) -> IpAddr {
        self.0.network()
    }

    /// How many leading bits its addresses share.
    #[must_use]
    pub fn prefix_length(&self) -> u8 {
        self.0.prefix_len()
    }
}

impl Decode for Cidr {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let parsed = cursor.as_str().and_then(|text| {
            text.parse::<IpNet>()
                .ok()
                .or_else(|| text.parse::<IpAddr>().ok().map(|address| address.to_canonical().into()))
        });
        match parsed {
            Some(range) if range.addr() == range.network() => Some(Self(range)),
            // `10.1.2.3/8` is a typing error as often as not: say which range it would be.
            Some(range) => {
                cursor.expected(format_args!("the first address of a range, such as \"{}\"", range.trunc()))
            }
            None => cursor.expected("an address range such as \"10.0.0.0/8\" or \"2001:db8::/32\""),
        }
    }
}
