//! Whom to challenge: the policy that Python pushes, and the judgement over one request (RFC 3261 §22.1, RFC 7616). Nothing is stored for a
//! challenge; only nonces that came back are remembered, in the nonce book.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use super::command::{ChallengeMode, Network};
use super::config::MAX_CREDENTIALS;
use crate::digest::{Algorithm, Credentials, challenge_value};
use crate::message::Message;
use crate::nonce::{Freshness, NonceBook};
use crate::time::Time;
use crate::uri::Uri;

/// Where a challenge that is sent before any policy was set belongs to.
const DEFAULT_REALM: &str = "trunkline";

/// Whom to challenge.
pub(super) struct Policy {
    pub(super) realm: String,
    pub(super) modes: HashMap<String, ChallengeMode>,
    pub(super) networks: Vec<Network>,
    pub(super) tokens: HashSet<String>,
    pub(super) algorithm: Algorithm,
    pub(super) lifetime: Duration,
}

/// What becomes of one request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes up.
    Pass {
        /// Credentials with a nonce of ours that is fresh.
        credentials: Option<Box<Credentials>>,
        /// Let through by network or token.
        trusted: bool,
    },
    /// It is challenged.
    Challenge {
        /// Only its nonce was old.
        stale: bool,
    },
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            realm: DEFAULT_REALM.to_owned(),
            modes: HashMap::new(),
            networks: Vec::new(),
            tokens: HashSet::new(),
            algorithm: Algorithm::Md5,
            lifetime: Duration::from_secs(300),
        }
    }
}

impl Policy {
    fn mode(&self, method: &str) -> ChallengeMode {
        self.modes
            .get(method)
            .or_else(|| self.modes.get("*"))
            .copied()
            .unwrap_or(ChallengeMode::Nobody)
    }

    /// Whether the network or the token that the Request-URI carries is one of those that are no strangers'.
    fn trusts(&self, message: &Message, source: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(source)) || self.trusts_token(message)
    }

    fn trusts_token(&self, message: &Message) -> bool {
        if self.tokens.is_empty() {
            return false;
        }
        let Ok(uri) = Uri::parse(message.uri_text()) else { return false };
        uri.user().is_some_and(|user| self.tokens.contains(user.as_ref()))
            || uri.param("tl").is_some_and(|token| self.tokens.contains(token))
    }

    /// Judge a request from `source`; one inside a known dialog is never challenged.
    pub(super) fn judge(&self, now: Time, nonces: &mut NonceBook, message: &Message, source: IpAddr, known: bool) -> Verdict {
        let mode = self.mode(message.method());
        let trusted = !known && mode == ChallengeMode::Strangers && self.trusts(message, source);
        let (freshness, credentials) = self.credentials(now, nonces, message, source);
        match freshness {
            Freshness::Fresh => Verdict::Pass { credentials, trusted },
            _ if known || trusted => Verdict::Pass {
                credentials: None,
                trusted,
            },
            // Also where nobody is challenged: Python has challenged this one itself.
            Freshness::Stale => Verdict::Challenge { stale: true },
            Freshness::Foreign if mode == ChallengeMode::Nobody => Verdict::Pass {
                credentials: None,
                trusted,
            },
            Freshness::Foreign => Verdict::Challenge { stale: false },
        }
    }

    /// The first credentials whose nonce is ours, and what that nonce is worth.
    fn credentials(&self, now: Time, nonces: &mut NonceBook, message: &Message, source: IpAddr) -> (Freshness, Option<Box<Credentials>>) {
        let lines = message.lines("Authorization");
        for credentials in lines
            .into_iter()
            .take(MAX_CREDENTIALS)
            .filter_map(|line| Credentials::parse(&line).ok())
        {
            if credentials.realm() != self.realm {
                continue;
            }
            match nonces.judge(
                now,
                &self.realm,
                source,
                credentials.nonce(),
                credentials.nonce_count(),
                self.lifetime,
            ) {
                Freshness::Foreign => {}
                Freshness::Stale => return (Freshness::Stale, None),
                Freshness::Fresh => return (Freshness::Fresh, Some(Box::new(credentials))),
            }
        }
        (Freshness::Foreign, None)
    }

    /// The value of a WWW-Authenticate with a fresh nonce for `source`.
    pub(super) fn challenge(&self, now: Time, nonces: &mut NonceBook, source: IpAddr, stale: bool) -> String {
        challenge_value(&self.realm, &nonces.mint(now, &self.realm, source), self.algorithm, stale)
    }
}
