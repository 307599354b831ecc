//! From the rules that concern a request to what becomes of it.
//!
//! What a provider says is kept for the exchange, so an evaluation that had to wait begins anew and comes as far at once:
//! no place in the tree of requirements has to be remembered.

use std::rc::Rc;

use tidegate_config::HeaderValue;
use tidegate_filter_api::{Exchange, Flow, Host, Timestamp};
use tidegate_matchers::Facts;

use crate::bounded::Digest;
use crate::config::{Action, Rule};
use crate::filter::Auth;
use crate::identity::{Denial, Identity, Verdict};
use crate::jwt::Answer;
use crate::provider::{Challenge, Method, Provider};
use crate::requirement::{Requirement, Wanted};
use crate::selection::Selection;
use crate::signed_request::Body;

/// What is kept of one exchange.
#[derive(Debug, Default)]
pub struct Stream {
    /// What each provider said, by its index.
    verdicts: Vec<Option<Verdict>>,
    /// The provider whose call is under way, and what its answer is remembered under.
    pub(crate) asked: Option<(usize, Option<Digest>)>,
    pub(crate) body: Body,
    /// How often it waited for keys.
    waits: u8,
}

/// Whether a rule lets a request pass.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    Allowed(Option<Rc<Identity>>),
    Refused(Refusal),
}

/// What the selected rules come to.
pub(crate) struct Judged {
    /// What each rule in shadow mode would do, by its index.
    pub(crate) shadows: Vec<(usize, Outcome)>,
    /// What the rule that decides does, if there is one.
    pub(crate) outcome: Option<Outcome>,
}

/// How a request is refused.
#[derive(Debug, PartialEq)]
pub(crate) enum Refusal {
    /// 401, or 403 where no credential could help, with these challenges.
    Unauthenticated(Vec<HeaderValue>),
    /// 403
    Forbidden(Vec<HeaderValue>),
    /// As the decision service wants it.
    Denied(Rc<Denial>),
    /// 503
    Undecided,
}

/// What a tree of requirements comes to.
enum Sum {
    Known(Rc<Identity>),
    /// Nobody, which is allowed.
    Anonymous,
    /// Nobody; `any` if there is some credential, but not all that are wanted.
    Missing {
        some: bool,
    },
    Refused,
    Denied(Rc<Denial>),
    Failed,
}

/// More waits than an exchange can need: one for the first keys, one for an unknown one, for each provider with tokens.
const MOST_WAITS: u8 = 16;

/// One evaluation.
pub(crate) struct Evaluation<'a, 'f> {
    pub(crate) auth: &'a Auth,
    pub(crate) exchange: &'a Exchange,
    pub(crate) host: &'a dyn Host,
    pub(crate) facts: &'a [Facts<'f>],
    now: Option<Timestamp>,
}

impl<'a, 'f> Evaluation<'a, 'f> {
    pub(crate) fn new(
        auth: &'a Auth,
        exchange: &'a Exchange,
        host: &'a dyn Host,
        facts: &'a [Facts<'f>],
    ) -> Self {
        Self { auth, exchange, host, facts, now: None }
    }

    /// What the selected rules come to: first those in shadow mode, to be counted, then the one that decides. `Err`: what
    /// has to be waited for.
    pub(crate) fn run(&mut self, selection: &Selection, stream: &mut Stream) -> Result<Judged, Flow> {
        let mut shadows = Vec::new();
        for index in &selection.shadows {
            if let Some(rule) = self.auth.rules.get(*index) {
                shadows.push((*index, self.rule(rule, stream)?));
            }
        }
        let Some(rule) = selection.deciding.and_then(|index| self.auth.rules.get(index)) else {
            return Ok(Judged { shadows, outcome: None });
        };
        Ok(Judged { shadows, outcome: Some(self.rule(rule, stream)?) })
    }

    /// Whether a rule that denies some denies this one.
    pub(crate) fn denies(&self, rule: &Rule, identity: Option<&Identity>) -> bool {
        identity
            .is_some_and(|identity| self.facts.iter().any(|facts| rule.entitlement.holds(identity, facts)))
    }

    fn rule(&mut self, rule: &Rule, stream: &mut Stream) -> Result<Outcome, Flow> {
        let requirement = match &rule.action {
            Action::AllowAnyone => return Ok(Outcome::Allowed(None)),
            Action::Deny => return Ok(Outcome::Refused(Refusal::Forbidden(Vec::new()))),
            Action::Require(requirement) => requirement,
        };
        Ok(match self.sum(requirement, stream)? {
            Sum::Known(identity) => {
                if self.facts.iter().all(|facts| rule.entitlement.holds(&identity, facts)) {
                    Outcome::Allowed(Some(identity))
                } else {
                    Outcome::Refused(Refusal::Forbidden(self.challenges(requirement, stream, true)))
                }
            }
            // Nobody has a name or claims.
            Sum::Anonymous if rule.entitlement.is_empty() => Outcome::Allowed(None),
            Sum::Anonymous | Sum::Missing { .. } | Sum::Refused => {
                Outcome::Refused(Refusal::Unauthenticated(self.challenges(requirement, stream, false)))
            }
            Sum::Denied(denial) => Outcome::Refused(Refusal::Denied(denial)),
            Sum::Failed => Outcome::Refused(Refusal::Undecided),
        })
    }

    fn sum(&mut self, requirement: &Requirement, stream: &mut Stream) -> Result<Sum, Flow> {
        let sum = match &requirement.wanted {
            Wanted::Provider(index) => match self.verdict(*index, stream)? {
                Verdict::Known(identity) => Sum::Known(identity),
                Verdict::Missing => Sum::Missing { some: false },
                Verdict::Refused(_) => Sum::Refused,
                Verdict::Denied(denial) => Sum::Denied(denial),
                Verdict::Failed(_) => Sum::Failed,
            },
            Wanted::Any(parts) => self.any(parts, stream)?,
            Wanted::All(parts) => self.all(parts, stream)?,
        };
        Ok(match sum {
            Sum::Missing { some: false } if requirement.allow_missing => Sum::Anonymous,
            other => other,
        })
    }

    /// The first that is known. If none is, the worst that was said: a bad credential beside a missing one is bad.
    fn any(&mut self, parts: &[Requirement], stream: &mut Stream) -> Result<Sum, Flow> {
        let (mut refused, mut failed, mut denied, mut anonymous, mut some) =
            (false, false, None, false, false);
        for part in parts {
            match self.sum(part, stream)? {
                Sum::Known(identity) => return Ok(Sum::Known(identity)),
                Sum::Anonymous => anonymous = true,
                Sum::Missing { some: of_it } => some |= of_it,
                Sum::Refused => refused = true,
                Sum::Denied(denial) => denied = denied.or(Some(denial)),
                Sum::Failed => failed = true,
            }
        }
        Ok(match denied {
            _ if refused => Sum::Refused,
            _ if failed => Sum::Failed,
            Some(denial) => Sum::Denied(denial),
            None if anonymous && !some => Sum::Anonymous,
            None => Sum::Missing { some },
        })
    }

    /// All must be known; the caller is the first's, and the claims are the first's that has any.
    fn all(&mut self, parts: &[Requirement], stream: &mut Stream) -> Result<Sum, Flow> {
        let (mut known, mut missing, mut anonymous) = (Vec::new(), 0_usize, 0_usize);
        for part in parts {
            // No service is bothered with a request that cannot pass.
            if missing > 0 && part.providers().iter().any(|index| self.calls_out(*index)) {
                continue;
            }
            match self.sum(part, stream)? {
                Sum::Known(identity) => known.push(identity),
                Sum::Anonymous => anonymous += 1,
                Sum::Missing { some: false } => missing += 1,
                worse => return Ok(worse),
            }
        }
        if missing > 0 {
            return Ok(Sum::Missing { some: !known.is_empty() });
        }
        Ok(match known.as_slice() {
            [] if anonymous > 0 => Sum::Anonymous,
            [only] => Sum::Known(Rc::clone(only)),
            several => Sum::Known(Rc::new(Identity {
                principal: several.iter().find_map(|identity| identity.principal.clone()),
                claims: several.iter().find_map(|identity| identity.claims.clone()),
                headers: several.iter().flat_map(|identity| identity.headers.clone()).collect(),
            })),
        })
    }

    fn calls_out(&self, index: usize) -> bool {
        let provider = self.auth.providers.get(index);
        provider.is_some_and(|provider| matches!(provider.method, Method::External(_)))
    }

    /// What the provider says, asked once for each exchange.
    fn verdict(&mut self, index: usize, stream: &mut Stream) -> Result<Verdict, Flow> {
        if let Some(verdict) = stream.verdict(index) {
            return Ok(verdict);
        }
        // The index was checked when the configuration was decoded; a provider that is not there lets nobody in.
        let Some(provider) = self.auth.providers.get(index) else {
            return Ok(Verdict::Failed("there is no such provider"));
        };
        let verdict = self.ask(index, provider, stream)?;
        self.auth.keep(index, &verdict, stream, self.host);
        Ok(verdict)
    }

    fn ask(&mut self, index: usize, provider: &Provider, stream: &mut Stream) -> Result<Verdict, Flow> {
        let (exchange, host) = (self.exchange, self.host);
        Ok(match &provider.method {
            Method::ApiKey(keys) => keys.identify(exchange),
            Method::Basic(basic) => basic.identify(exchange),
            Method::Peer(peer) => peer.identify(exchange, host),
            Method::Source(source) => source.identify(exchange, host, self.auth.client_address),
            Method::SignedRequest(signed) => {
                let now = self.now();
                signed.identify(exchange, &stream.body, host, now, &provider.name)
            }
            Method::Jwt(jwt) => match jwt.identify(exchange, host, self.now()) {
                Answer::Done(verdict) => verdict,
                Answer::Wait(_) if stream.waits >= MOST_WAITS => Verdict::Failed("the keys do not arrive"),
                Answer::Wait(flow) => {
                    stream.waits += 1;
                    return Err(flow);
                }
            },
            Method::External(external) => {
                match external.ask(exchange, host, self.auth.client_address, self.now()) {
                    Ok(verdict) => verdict,
                    Err(asked) => {
                        stream.asked = Some((index, asked.digest));
                        return Err(Flow::Call(asked.callout));
                    }
                }
            }
        })
    }

    /// Asks the host's clock once.
    fn now(&mut self) -> Timestamp {
        *self.now.get_or_insert_with(|| self.host.now())
    }

    /// What to answer a request with that a rule refuses: a challenge for each way in, each once.
    fn challenges(&self, requirement: &Requirement, stream: &Stream, forbidden: bool) -> Vec<HeaderValue> {
        let mut challenges: Vec<HeaderValue> = Vec::new();
        for index in requirement.providers() {
            let Some(challenge) = self.auth.providers.get(index).and_then(|it| it.challenge.as_ref()) else {
                continue;
            };
            let value = match (stream.verdict(index), forbidden) {
                // Only the scheme that let somebody in has something to say about rights.
                (Some(Verdict::Known(_)), true) => challenge.forbidden.as_ref(),
                (_, true) => None,
                (verdict, false) => Some(said(challenge, verdict.as_ref())),
            };
            if let Some(value) = value
                && !challenges.contains(value)
            {
                challenges.push(value.clone());
            }
        }
        challenges
    }
}

fn said<'c>(challenge: &'c Challenge, verdict: Option<&Verdict>) -> &'c HeaderValue {
    match verdict {
        Some(Verdict::Refused(_)) => &challenge.refused,
        _ => &challenge.missing,
    }
}

impl Stream {
    fn verdict(&self, index: usize) -> Option<Verdict> {
        self.verdicts.get(index).cloned().flatten()
    }

    /// Notes what the provider of this index said.
    pub(crate) fn note(&mut self, index: usize, verdict: Verdict) {
        if self.verdicts.len() <= index {
            self.verdicts.resize(index + 1, None);
        }
        if let Some(slot) = self.verdicts.get_mut(index) {
            *slot = Some(verdict);
        }
    }
}
