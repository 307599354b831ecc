//! Which of many address ranges hold an address: one look-up for each length of prefix.

use std::net::IpAddr;

use tidegate_config::Cidr;

use crate::bytemap::ByteMap;

/// Address ranges.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    /// Networks by the length of their prefix, which is their tag.
    networks: ByteMap,
    places: Vec<u32>,
    /// The lengths there are, IPv4's first.
    lengths: [Vec<u8>; 2],
}

impl Addresses {
    pub(super) fn insert(&mut self, cidr: &Cidr, place: u32) {
        let (family, length) = (usize::from(cidr.network().is_ipv6()), cidr.prefix_length());
        if let Some(lengths) = self.lengths.get_mut(family)
            && !lengths.contains(&length)
        {
            lengths.push(length);
        }
        self.networks.insert_tagged(length.into(), &bits(cidr.network(), length));
        self.places.push(place);
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Hands on the places of all ranges that hold `address`.
    pub(super) fn each(&self, address: IpAddr, visit: &mut dyn FnMut(u32)) {
        for length in self.lengths.get(usize::from(address.is_ipv6())).into_iter().flatten() {
            let network = self.networks.get_tagged((*length).into(), &bits(address, *length));
            network
                .and_then(|number| self.places.get(number as usize).copied())
                .into_iter()
                .for_each(&mut *visit);
        }
    }
}

/// The address with all but its first bits cleared; 4 or 16 bytes, so that families do not mix.
fn bits(address: IpAddr, length: u8) -> Vec<u8> {
    let mut octets = super::clause::octets(address);
    let mut left = length;
    for octet in &mut octets {
        let kept = left.min(8);
        *octet &= 0xff_u8.checked_shl(8 - u32::from(kept)).unwrap_or(0);
        left -= kept;
    }
    octets
}
