//! Where the keys of an issuer are: in the configuration, or at the issuer's.

use std::rc::Rc;

use tidegate_config::{Cursor, Decode};
use tidegate_filter_api::{CallToken, Host, Timestamp};
use tidegate_jose::{Header, Key, KeySet};

use super::remote::Remote;

/// The keys of an issuer.
#[derive(Debug)]
pub(super) enum Keys {
    Inline(Rc<KeySet>),
    Remote(Remote),
}

/// What there is to verify a token with.
pub(super) enum Found {
    /// These.
    Keys(Rc<KeySet>),
    /// None has the token's name, and asking again would not help yet.
    Unknown,
    /// There are none at all: fetching them failed.
    Unavailable,
    /// They are being fetched.
    Wait(CallToken),
}

impl Keys {
    pub(super) fn for_token(&self, header: &Header, host: &dyn Host, now: Timestamp) -> Found {
        match self {
            Self::Inline(keys) => Found::Keys(Rc::clone(keys)),
            Self::Remote(remote) => remote.for_token(header, host, now),
        }
    }
}

/// `{inline: {keys: […]}}` or `{cluster, path, …}`.
impl Decode for Keys {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        if !cursor.keys().contains(&"inline") {
            return cursor.decode().map(Self::Remote);
        }
        let mut object = cursor.object()?;
        let set = object.require("inline").and_then(inline);
        object.finish();
        set.map(|set| Self::Inline(Rc::new(set)))
    }
}

fn inline(cursor: Cursor<'_>) -> Option<KeySet> {
    let mut object = cursor.object()?;
    let keys = object.require("keys").and_then(|cursor| {
        let keys: Vec<Key> = cursor.non_empty_list()?;
        let twice = keys.iter().enumerate().find_map(|(index, key)| {
            let kid = key.kid()?;
            keys.iter().take(index).any(|earlier| earlier.kid() == Some(kid)).then_some((index, kid))
        });
        match twice {
            Some((index, kid)) => cursor.expected_found(
                "each kid once",
                format_args!("that of keys[{index}] (\"{kid}\") earlier too"),
            ),
            None => Some(keys),
        }
    });
    object.finish();
    keys.map(KeySet::new)
}
