//! Address ranges (RFC 4632, RFC 4291 section 2.3).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::cursor::{Cursor, Decode};

/// An address range: `10.0.0.0/8`, `2001:db8::/32`; a bare address is the range of one. A range of IPv4-mapped IPv6
/// addresses is the range of what they map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    network: IpAddr,
    length: u8,
}

impl Cidr {
    /// Whether the range holds `address`. An IPv4-mapped IPv6 address counts as the IPv4 address it maps.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.network.is_ipv4() && first(address, self.length) == self.network
    }

    /// Whether every address of `other` is in the range.
    #[must_use]
    pub fn contains_all(&self, other: &Self) -> bool {
        self.length <= other.length && self.contains(other.network)
    }

    /// Its first address.
    #[must_use]
    pub fn network(&self) -> IpAddr {
        self.network
    }

    /// How many leading bits its addresses share.
    #[must_use]
    pub fn prefix_length(&self) -> u8 {
        self.length
    }

    /// An address and how many of its bits count.
    fn parse(text: &str) -> Option<(IpAddr, u8)> {
        let (address, length) =
            text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().ok()?;
        let bits: u8 = if address.is_ipv4() { 32 } else { 128 };
        let length: u8 = match length {
            None => bits,
            // `parse` takes a sign.
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => digits.parse().ok()?,
            Some(_) => return None,
        };
        let mapped = address.to_canonical();
        match length.checked_sub(96) {
            _ if length > bits => None,
            Some(length) if mapped.is_ipv4() && address.is_ipv6() => Some((mapped, length)),
            _ => Some((address, length)),
        }
    }
}

/// The first address of the range that `address` is in.
fn first(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
            Ipv4Addr::from(u32::from(address) & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0);
            Ipv6Addr::from(u128::from(address) & mask).into()
        }
    }
}

impl Decode for Cidr {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let Some((address, length)) = cursor.as_str().and_then(Self::parse) else {
            return cursor.expected("an address range such as \"10.0.0.0/8\" or \"2001:db8::/32\"");
        };
        let network = first(address, length);
        if network != address {
            // `10.1.2.3/8` is a typing error as often as not: say which range it would be.
            return cursor
                .expected(format_args!("the first address of a range, such as \"{network}/{length}\""));
        }
        Some(Self { network, length })
    }
}
