//! Splits: which arm a key belongs to.
//!
//! Each arm draws a time for the key, exponentially distributed with the arm's weight as its rate, and the earliest wins
//! (weighted rendezvous hashing). So each arm's share is its share of the weights; changing one weight moves keys only to
//! or from that arm, and no more than its share changes by.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;
use tidegate_config::{Cursor, Decode, Duration, HeaderName, HeaderValue, Name, Object};
use tidegate_filter_api::Host;
use tidegate_matchers::{ClientAddress, Facts, cookie_values, query_values};

use crate::value::scalar;

/// `split: {by, issue_cookie, seed, to}`
#[derive(Debug)]
pub(crate) struct Split {
    by: Vec<KeyPart>,
    issue_cookie: Option<IssueCookie>,
    /// What makes this split another one than the next: the rule's name unless the configuration says otherwise.
    seed: String,
    pub(crate) arms: Vec<Arm>,
}

/// One of the routes that a split leads to.
#[derive(Debug)]
pub(crate) struct Arm {
    pub(crate) route: Name,
    weight: u32,
    digest: u64,
}

/// What a request is told apart by.
#[derive(Debug)]
enum KeyPart {
    Header(HeaderName),
    Cookie(String),
    Parameter(String),
    Claim(String),
    Principal,
    Source,
}

/// A cookie for those who have no key.
#[derive(Debug)]
struct IssueCookie {
    name: String,
    /// What follows the value in Set-Cookie, without `Secure`.
    attributes: String,
    /// `None`: as the request came.
    secure: Option<bool>,
}

/// What a split decided.
pub(crate) struct Chosen {
    pub(crate) arm: usize,
    pub(crate) set_cookie: Option<HeaderValue>,
}

impl Split {
    pub(crate) fn decode(cursor: Cursor<'_>, rule: &str) -> Option<Self> {
        let mut object = cursor.object()?;
        let by = object.or("by", Vec::new());
        let issue_cookie = object.optional("issue_cookie");
        let seed = object.or("seed", rule.to_owned());
        let arms = object.require("to").and_then(arms);
        object.finish();
        Some(Self { by: by?, issue_cookie: issue_cookie?, seed: seed?, arms: arms? })
    }

    /// The arm for a request. Without a key it is drawn, and kept by a cookie if one is to be issued. Where the host has no
    /// random numbers, those without a key go to the arm with the greatest weight.
    pub(crate) fn choose(&self, facts: &Facts<'_>, client: ClientAddress, host: &dyn Host) -> Chosen {
        if let Some(key) = self.key(facts, client) {
            return Chosen { arm: self.arm_of(&key), set_cookie: None };
        }
        let Ok(random) = host.random() else {
            let greatest = (0..).zip(&self.arms).max_by_key(|(_, arm)| arm.weight);
            return Chosen { arm: greatest.map_or(0, |(index, _)| index), set_cookie: None };
        };
        let Some(cookie) = &self.issue_cookie else {
            return Chosen { arm: self.arm_of(&random), set_cookie: None };
        };
        let value = format!("{:032x}", u128::from_le_bytes(random));
        let set_cookie = cookie.header(&value, facts);
        Chosen { arm: self.arm_of(value.as_bytes()), set_cookie }
    }

    /// The arm that `key` belongs to.
    pub(crate) fn arm_of(&self, key: &[u8]) -> usize {
        let mut hasher = SipHasher13::new();
        hasher.write(self.seed.as_bytes());
        // No text holds this byte, so no seed continues in a key.
        hasher.write_u8(0xff);
        hasher.write(key);
        let key = hasher.finish();
        let mut earliest = (f64::INFINITY, 0);
        for (index, arm) in self.arms.iter().enumerate().filter(|(_, arm)| arm.weight > 0) {
            let time = arm.time(key);
            if time < earliest.0 {
                earliest = (time, index);
            }
        }
        earliest.1
    }

    /// What tells the request apart: the first of `by` that it has, else the cookie that was issued to it.
    fn key(&self, facts: &Facts<'_>, client: ClientAddress) -> Option<Vec<u8>> {
        let issued = || {
            let name = &self.issue_cookie.as_ref()?.name;
            cookie_values(facts.exchange().request().values("cookie"), name).next().map(<[u8]>::to_vec)
        };
        let mut keys = self.by.iter().map(|part| part.of(facts, client));
        let filled = |key: &Vec<u8>| !key.is_empty();
        keys.find_map(|key| key.filter(filled)).or_else(|| issued().filter(filled))
    }
}

impl Arm {
    /// When the arm's clock rings for a key.
    fn time(&self, key: u64) -> f64 {
        // Steele, Lea, Flood: Fast splittable pseudorandom number generators (the finaliser of SplitMix64).
        let mut mixed = key ^ self.digest;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // From above 0 up to 1, in steps of 2^-53.
        let uniform = ((mixed >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        -uniform.ln() / f64::from(self.weight)
    }
}

impl KeyPart {
    fn of(&self, facts: &Facts<'_>, client: ClientAddress) -> Option<Vec<u8>> {
        let exchange = facts.exchange();
        let request = exchange.request();
        Some(match self {
            Self::Header(name) => {
                let values: Vec<&[u8]> = request.values(name.as_str()).collect();
                values.join(&0)
            }
            Self::Cookie(name) => cookie_values(request.values("cookie"), name).next()?.to_vec(),
            Self::Parameter(name) => query_values(exchange.path(), name).next()?.into_owned(),
            Self::Claim(name) => scalar(facts, name)?.into_owned(),
            Self::Principal => facts.principal()?.to_vec(),
            Self::Source => client.significant(facts.source()?).to_string().into_bytes(),
        })
    }
}

impl Decode for KeyPart {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        match cursor.as_str() {
            Some("principal") => return Some(Self::Principal),
            Some("source") => return Some(Self::Source),
            _ if cursor.is_object() => {}
            _ => {
                return cursor.expected("\"principal\", \"source\", {header}, {cookie}, {query} or {claim}");
            }
        }
        let mut object = cursor.object()?;
        let variant = object.one_of(&["header", "cookie", "query", "claim"]);
        object.finish();
        let variant = variant?;
        let text = || variant.cursor.decode::<String>();
        Some(match variant.key {
            "header" => Self::Header(variant.cursor.decode()?),
            "cookie" => Self::Cookie(text()?),
            "query" => Self::Parameter(text()?),
            _ => Self::Claim(text()?),
        })
    }
}

fn arms(cursor: Cursor<'_>) -> Option<Vec<Arm>> {
    const MOST: i64 = 1_000_000;
    let list: Vec<(Name, i64)> = {
        let mut list = Vec::new();
        let mut complete = true;
        for element in cursor.elements()? {
            let Some(mut object) = element.object() else {
                complete = false;
                continue;
            };
            let route = object.required::<Name>("route");
            let weight = object.require("weight").and_then(|cursor| cursor.integer(0, MOST));
            object.finish();
            match (route, weight) {
                (Some(route), Some(weight)) => list.push((route, weight)),
                _ => complete = false,
            }
        }
        complete.then_some(list)?
    };
    if list.is_empty() || list.len() > 64 {
        return cursor.expected_found("1 to 64 arms", list.len());
    }
    if list.iter().all(|(_, weight)| *weight == 0) {
        return cursor.expected_found("weights whose sum is above 0", "0");
    }
    for (index, (route, _)) in list.iter().enumerate() {
        if list.iter().take(index).any(|(earlier, _)| earlier == route) {
            return cursor.expected_found("each route in one arm", format_args!("\"{route}\" in two"));
        }
    }
    let arm = |(route, weight): (Name, i64)| {
        let mut hasher = SipHasher13::new();
        hasher.write(route.as_str().as_bytes());
        Some(Arm { digest: hasher.finish(), weight: u32::try_from(weight).ok()?, route })
    };
    list.into_iter().map(arm).collect()
}

impl Decode for IssueCookie {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object: Object<'_> = cursor.object()?;
        let name = object.require("name").and_then(crate::edits::cookie_named);
        let max_age = object.optional::<Duration>("max_age");
        let path = object.get("path").map_or(Some("/".to_owned()), attribute);
        let domain = object.get("domain").map_or(Some(None), |cursor| attribute(cursor).map(Some));
        let same_site = object.get("same_site").map_or(Some("Lax"), |cursor| {
            cursor.word(&[("strict", "Strict"), ("lax", "Lax"), ("none", "None")])
        });
        let secure = object.get("secure").map_or(Some(None), |cursor| match cursor.decode()? {
            false if same_site == Some("None") => {
                cursor.expected("true, without which browsers drop a cookie of \"same_site\": \"none\"")
            }
            secure => Some(Some(secure)),
        });
        object.finish();
        let (name, max_age, path, domain, same_site) = (name?, max_age?, path?, domain?, same_site?);
        let mut attributes = format!("; Path={path}");
        if let Some(domain) = domain {
            attributes.push_str("; Domain=");
            attributes.push_str(&domain);
        }
        if let Some(max_age) = max_age {
            attributes.push_str(&format!("; Max-Age={}", max_age.get().as_secs()));
        }
        attributes.push_str("; HttpOnly; SameSite=");
        attributes.push_str(same_site);
        let secure = secure?.or((same_site == "None").then_some(true));
        Some(Self { name, attributes, secure })
    }
}

/// The value of a cookie's attribute (RFC 6265 section 4.1.1).
fn attribute(cursor: Cursor<'_>) -> Option<String> {
    let usable =
        |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';');
    cursor
        .as_str()
        .filter(usable)
        .map(str::to_owned)
        .or_else(|| cursor.expected("a text without blanks and \";\""))
}

impl IssueCookie {
    fn header(&self, value: &str, facts: &Facts<'_>) -> Option<HeaderValue> {
        let scheme = || facts.exchange().request().first(":scheme") == Some(b"https");
        let secure = if self.secure.unwrap_or_else(scheme) { "; Secure" } else { "" };
        HeaderValue::new(format!("{}={value}{}{secure}", self.name, self.attributes).into_bytes()).ok()
    }
}

#[cfg(test)]
mod tests;
