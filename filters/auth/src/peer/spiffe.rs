//! SPIFFE IDs, strictly (SPIFFE-ID section 2): one workload has one ID, so names can be compared as they stand.

/// `spiffe://cluster.local/ns/shop/sa/web`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SpiffeId<'t> {
    text: &'t str,
    trust_domain: &'t str,
}

/// SPIFFE-ID section 2.3.
const LONGEST: usize = 2048;

impl<'t> SpiffeId<'t> {
    pub(super) fn parse(text: &'t [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= LONGEST)?;
        let rest = text.strip_prefix("spiffe://")?;
        let (trust_domain, path) = rest.split_once('/')?;
        (is_trust_domain(trust_domain) && path.split('/').all(is_segment))
            .then_some(Self { text, trust_domain })
    }

    pub(super) fn as_str(&self) -> &'t str {
        self.text
    }

    pub(super) fn trust_domain(&self) -> &'t str {
        self.trust_domain
    }
}

/// SPIFFE-ID section 2.1: lower case, no port.
pub(super) fn is_trust_domain(text: &str) -> bool {
    let usable = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    (1..=255).contains(&text.len()) && text.bytes().all(usable)
}

/// SPIFFE-ID section 2.2: not empty, no dots alone, nothing escaped.
fn is_segment(segment: &str) -> bool {
    let usable = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    !matches!(segment, "" | "." | "..") && segment.bytes().all(usable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_has_one_id() {
        let id = SpiffeId::parse(b"spiffe://cluster.local/ns/shop/sa/web").unwrap();
        assert_eq!(
            (id.trust_domain(), id.as_str()),
            ("cluster.local", "spiffe://cluster.local/ns/shop/sa/web")
        );
        for bad in [
            "spiffe://cluster.local",
            "spiffe://cluster.local/",
            "spiffe://cluster.local/a/",
            "spiffe://cluster.local//a",
            "spiffe://cluster.local/a/../b",
            "spiffe://cluster.local/a%2fb",
            "spiffe://Cluster.local/a",
            "spiffe://cluster.local:80/a",
            "spiffe://u@cluster.local/a",
            "spiffe:///a",
            "SPIFFE://cluster.local/a",
            "spiffe://cluster.local/a?b",
            "spiffe://cluster.local/a#b",
            "https://cluster.local/a",
            "",
        ] {
            assert_eq!(SpiffeId::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
