//! The client's address.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use tidegate_config::{Cursor, Decode};
use tidegate_filter_api::{Exchange, Host, Property};

/// Where the client's address is read, and how much of it counts: `{trusted_hops: N, ipv6_prefix: 64}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress {
    /// How many entries of X-Forwarded-For, from the right, were added by proxies of one's own. 0: the peer's address
    /// counts, and the header is never looked at.
    trusted_hops: usize,
    /// Bits of an IPv6 address that tell clients apart: a client usually has a whole /64.
    ipv6_prefix: u32,
}

impl Default for ClientAddress {
    fn default() -> Self {
        Self { trusted_hops: 0, ipv6_prefix: 64 }
    }
}

impl ClientAddress {
    /// The client's whole address; `None` if the header has too few entries or nonsense where the address should be.
    #[must_use]
    pub fn of(&self, exchange: &Exchange, host: &dyn Host) -> Option<IpAddr> {
        let address = match self.trusted_hops {
            0 => address(&host.property(Property::SOURCE_ADDRESS)?)?,
            hops => forwarded(exchange, hops)?,
        };
        Some(address.to_canonical())
    }

    /// The part of an address that tells clients apart.
    #[must_use]
    pub fn significant(&self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - self.ipv6_prefix).unwrap_or(0);
                Ipv6Addr::from(u128::from(address) & mask).into()
            }
        }
    }
}

impl Decode for ClientAddress {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let default = Self::default();
        let mut object = cursor.object()?;
        let hops = object.get("trusted_hops").map_or(Some(0), |cursor| cursor.integer(0, 16));
        let prefix = object
            .get("ipv6_prefix")
            .map_or(Some(default.ipv6_prefix.into()), |cursor| cursor.integer(1, 128));
        object.finish();
        Some(Self { trusted_hops: usize::try_from(hops?).ok()?, ipv6_prefix: u32::try_from(prefix?).ok()? })
    }
}

/// `127.0.0.1:4321` or `[::1]:4321`, as Envoy and some load balancers write it, or an address alone.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse::<SocketAddr>().map(|address| address.ip()).or_else(|_| text.parse()).ok()
}

/// The entry that the outermost trusted proxy added: the `hops`-th from the right, over all lines of the header.
fn forwarded(exchange: &Exchange, hops: usize) -> Option<IpAddr> {
    let lines = exchange.request().values("x-forwarded-for");
    let entries: Vec<&[u8]> = lines.flat_map(|line| line.split(|byte| *byte == b',')).collect();
    let entry = entries.len().checked_sub(hops).and_then(|index| entries.get(index))?;
    address(entry.trim_ascii())
}
