//! Address ranges (RFC 4632, RFC 4291 section 2.3).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use crate::cursor::{Cursor, Decode};

/// An address range: `10.0.0.0/8`, `2001:db8::/32`; a bare address is the range of one.
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
        address.is_ipv4() == self.network.is_ipv4() && truncated(address, self.length) == self.network
    }

    /// Whether every address of `other` is in the range.
    #[must_use]
    pub fn contains_all(&self, other: &Self) -> bool {
        self.length <= other.length
            && self.network.is_ipv4() == other.network.is_ipv4()
            && truncated(other.network, self.length) == self.network
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

    /// Address and length as they are written, which need not be the first address of a range.
    fn parse(text: &str) -> Option<(IpAddr, u8)> {
        let Some((address, length)) = text.split_once('/') else {
            let address = text.parse::<IpAddr>().ok()?.to_canonical();
            return Some((address, if address.is_ipv4() { 32 } else { 128 }));
        };
        let address: IpAddr = address.parse().ok()?;
        // No sign, and no zero in front, which somebody might take for octal.
        let decimal =
            length.bytes().all(|byte| byte.is_ascii_digit()) && (length == "0" || !length.starts_with('0'));
        let length = length.parse().ok().filter(|_| decimal)?;
        (length <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, length))
    }
}

/// The address with all but its first bits zero.
fn truncated(address: IpAddr, length: u8) -> IpAddr {
    let kept = |width: u32| u128::MAX.checked_shl(width.saturating_sub(length.into())).unwrap_or(0);
    match address {
        // The lower 32 bits of the mask.
        IpAddr::V4(address) => IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & kept(32) as u32)),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & kept(128)).into()),
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.network, self.length)
    }
}

impl Decode for Cidr {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let Some((address, length)) = cursor.as_str().and_then(Self::parse) else {
            return cursor.expected("an address range such as \"10.0.0.0/8\" or \"2001:db8::/32\"");
        };
        let range = Self { network: truncated(address, length), length };
        // `10.1.2.3/8` is a typing error as often as not: say which range it would be.
        if range.network != address {
            return cursor.expected(format_args!("the first address of a range, such as \"{range}\""));
        }
        Some(range)
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use std::net::Ipv6Addr;

    use ipnet::IpNet;
    use proptest::prelude::*;

    use super::*;

    fn address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<u32>().prop_map(|bits| IpAddr::V4(bits.into())),
            // Few bits, so that ranges hold each other now and then.
            (0_u32..8, 0_u32..32).prop_map(|(bits, shift)| IpAddr::V4((bits << shift).into())),
            any::<u128>().prop_map(|bits| IpAddr::V6(bits.into())),
            (0_u128..8, 0_u32..128).prop_map(|(bits, shift)| IpAddr::V6((bits << shift).into())),
            any::<u32>().prop_map(|bits| IpAddr::V6(Ipv4Addr::from(bits).to_ipv6_mapped())),
        ]
    }

    fn range() -> impl Strategy<Value = (Cidr, IpNet)> {
        (address(), 0_u8..=128).prop_filter_map("no such range", |(address, length)| {
            let length = length.min(if address.is_ipv4() { 32 } else { 128 });
            let net = IpNet::new(address, length).ok()?.trunc();
            Some((Cidr { network: truncated(address, length), length }, net))
        })
    }

    proptest! {
        #[test]
        fn it_agrees_with_ipnet((one, one_net) in range(), (two, two_net) in range(), address in address()) {
            prop_assert_eq!(one.to_string(), one_net.to_string());
            prop_assert_eq!(one.contains(address), one_net.contains(&address.to_canonical()));
            prop_assert_eq!(one.contains_all(&two), one_net.contains(&two_net));
        }

        #[test]
        fn it_reads_what_ipnet_reads(text in "[0-9a-f.:/]{0,24}|[0-9.]{7,15}/[0-9]{1,3}|[0-9a-f:]{2,30}/[0-9]{1,3}") {
            let own = Cidr::parse(&text).filter(|_| text.contains('/'));
            // A zero in front, which somebody might take for octal, is refused here: `010.0.0.0`, `/08`.
            let octal = text.split(['.', '/']).any(|part| {
                part.len() > 1 && part.starts_with('0') && part.bytes().all(|byte| byte.is_ascii_digit())
            });
            let theirs = text.parse::<IpNet>().ok().filter(|_| !octal);
            prop_assert_eq!(own, theirs.map(|net| (net.addr(), net.prefix_len())), "{}", text);
        }
    }

    #[test]
    fn a_bare_address_is_the_range_of_one() {
        for (text, expected) in
            [("10.0.0.1", "10.0.0.1/32"), ("::1", "::1/128"), ("::ffff:10.0.0.1", "10.0.0.1/32")]
        {
            let (network, length) = Cidr::parse(text).unwrap();
            assert_eq!(Cidr { network, length }.to_string(), expected);
        }
        for octal in ["10.0.0.0/+8", "10.0.0.0/08", "010.0.0.0/8"] {
            assert!(Cidr::parse(octal).is_none(), "{octal}");
        }
        let all = Cidr { network: Ipv6Addr::UNSPECIFIED.into(), length: 0 };
        assert!(all.contains(Ipv6Addr::LOCALHOST.into()) && !all.contains(Ipv4Addr::LOCALHOST.into()));
    }
}
