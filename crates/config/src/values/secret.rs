//! Secrets that have to be known in the clear: read from the environment, never from the document.

use std::fmt;

use crate::cursor::{Cursor, Decode};

/// A secret, in a document the name of the environment variable that holds it. Prints as `[redacted]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Takes a secret.
    #[must_use]
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The secret's bytes. Compare them in constant time.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Decodes the name of a variable whose value has at least `least` bytes. What stands there instead is not quoted: it
    /// may be the secret itself.
    pub fn decode_of(cursor: Cursor<'_>, least: usize) -> Option<Self> {
        let Some(name) = cursor.as_str().filter(|name| is_variable_name(name)) else {
            return cursor.expected_secret("the name of an environment variable such as \"HOOK_SECRET\"");
        };
        match cursor.variable(name) {
            None => cursor.expected_found(
                "the name of an environment variable of the module (vm_config.environment_variables)",
                "none of that name",
            ),
            Some(value) if value.len() < least => cursor.expected_found(
                format_args!("a variable that holds a secret of at least {least} bytes"),
                format_args!("one of {} bytes", value.len()),
            ),
            Some(value) => Some(Self(value.into())),
        }
    }
}

/// IEEE Std 1003.1, section 8.1.
fn is_variable_name(text: &str) -> bool {
    text.len() <= 128
        && text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

/// With at least one byte.
impl Decode for Secret {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        Self::decode_of(cursor, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode_in;

    #[derive(Debug)]
    struct Hook(Secret);

    impl Decode for Hook {
        fn decode(cursor: Cursor<'_>) -> Option<Self> {
            let mut object = cursor.object()?;
            let secret = object.require("secret_env").and_then(|cursor| Secret::decode_of(cursor, 16));
            object.finish();
            secret.map(Self)
        }
    }

    fn decode(name: &str) -> Result<Hook, String> {
        let environment = |name: &str| match name {
            "GOOD" => Some(b"0123456789abcdef".to_vec()),
            "SHORT" => Some(b"hunter2".to_vec()),
            _ => None,
        };
        let document = format!(r#"{{"secret_env": "{name}"}}"#);
        decode_in(document.as_bytes(), &environment).map_err(|errors| errors.to_string())
    }

    #[test]
    fn a_secret_comes_from_the_environment_and_is_never_shown() {
        let hook = decode("GOOD").unwrap();
        assert_eq!(hook.0.as_bytes(), b"0123456789abcdef");
        assert_eq!(format!("{hook:?}"), "Hook([redacted])");
    }

    #[test]
    fn a_missing_or_short_secret_is_refused_and_a_pasted_one_not_quoted() {
        for (name, error) in [
            (
                "NONE",
                "secret_env: expected the name of an environment variable of the module (vm_config.environment_variables), found none of that name",
            ),
            (
                "SHORT",
                "secret_env: expected a variable that holds a secret of at least 16 bytes, found one of 7 bytes",
            ),
            (
                "hunter2 in the clear",
                "secret_env: expected the name of an environment variable such as \"HOOK_SECRET\", found 20 characters (not shown)",
            ),
        ] {
            assert_eq!(decode(name).unwrap_err(), error);
        }
    }
}
