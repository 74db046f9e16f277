use std::sync::Arc;

use super::location::{Found, Locations};
use super::requirement::{Failure, Finding, Findings, worse};
use super::{Identity, Request};
use crate::binding::Scheme;
use crate::verify::{SignatureJob, TokenDigest, VerifyError};

/// The tokens of a request, each of another place.
#[derive(Debug)]
pub(super) struct Tokens<'r> {
    /// Most requests have one at most.
    first: Option<Token<'r>>,
    rest: Vec<Token<'r>>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Token<'r> {
    /// Its position in [`Locations`].
    pub(super) place: usize,
    pub(super) scheme: Scheme,
    /// Empty where several were found.
    pub(super) text: &'r str,
    pub(super) state: TokenState<'r>,
}

/// How far it was looked at.
#[derive(Debug)]
pub(super) enum TokenState<'r> {
    /// Its signature has to be checked.
    Unchecked(Box<TokenCheck<'r>>),
    /// Whether it is the caller's own has to be checked.
    Verified(Arc<Identity>),
    /// It is the caller's own.
    Good(Arc<Identity>),
    Refused(Arc<VerifyError>),
    /// A check is under way.
    InHand,
}

/// A token whose signature has to be checked.
#[derive(Debug)]
pub(super) struct TokenCheck<'r> {
    pub(super) job: SignatureJob<'r>,
    /// Under which the verdict is kept.
    pub(super) digest: Option<TokenDigest>,
    /// Of the keys that the job was begun with.
    pub(super) epoch: u64,
}

/// The tokens as requirements look at them.
#[derive(Clone, Copy, Debug)]
pub(super) struct TokensOfIssuers<'c, 'r> {
    pub(super) tokens: &'c Tokens<'r>,
    pub(super) locations: &'c Locations,
    /// The issuers' names.
    pub(super) names: &'c [Arc<str>],
}

impl<'r> Tokens<'r> {
    /// The tokens that count in `request`: of each issuer that of the first place with a value.
    pub(super) fn find(request: &Request<'r>, locations: &Locations) -> Self {
        let mut own = Self {
            first: None,
            rest: Vec::new(),
        };
        if locations.are_plain() {
            own.add(0, request, locations);
            return own;
        }
        for issuer in 0..locations.issuers() {
            for place in locations.of_issuer(issuer) {
                if own.at(*place).is_some() || own.add(*place, request, locations) {
                    break;
                }
            }
        }
        own
    }

    /// Adds what is found at `place`; whether that is anything.
    fn add(&mut self, place: usize, request: &Request<'r>, locations: &Locations) -> bool {
        let found = locations
            .get(place)
            .map_or(Found::Nothing, |location| location.find(request));
        let token = match found {
            Found::Nothing => return false,
            Found::Token(scheme, text) => Token {
                place,
                scheme,
                text,
                state: TokenState::InHand,
            },
            Found::Several => Token {
                place,
                scheme: Scheme::Bearer,
                text: "",
                state: TokenState::Refused(Arc::new(VerifyError::SeveralTokens)),
            },
        };
        if self.first.is_none() {
            self.first = Some(token);
        } else {
            self.rest.push(token);
        }
        true
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Token<'r>> {
        self.first.iter().chain(&self.rest)
    }

    pub(super) fn get(&self, token: usize) -> Option<&Token<'r>> {
        match token {
            0 => self.first.as_ref(),
            other => self.rest.get(other - 1),
        }
    }

    /// Puts a state in the place of another, which is returned.
    pub(super) fn put(&mut self, token: usize, state: TokenState<'r>) -> TokenState<'r> {
        let own = match token {
            0 => self.first.as_mut(),
            other => self.rest.get_mut(other - 1),
        };
        match own {
            Some(own) => std::mem::replace(&mut own.state, state),
            None => TokenState::InHand,
        }
    }

    /// The identity of a token that is good.
    pub(super) fn identity(&self, token: usize) -> Option<&Arc<Identity>> {
        match &self.get(token)?.state {
            TokenState::Good(identity) => Some(identity),
            _ => None,
        }
    }

    /// Why a token was refused.
    pub(super) fn error(&self, token: usize) -> Option<&Arc<VerifyError>> {
        match &self.get(token)?.state {
            TokenState::Refused(error) => Some(error),
            _ => None,
        }
    }

    /// The position of the token of `place`.
    fn at(&self, place: usize) -> Option<usize> {
        self.iter().position(|token| token.place == place)
    }

    fn finding(&self, token: usize) -> Finding {
        match self.get(token).map(|own| &own.state) {
            Some(TokenState::Unchecked(_) | TokenState::Verified(_)) => Finding::Open(token),
            Some(TokenState::Good(_)) => Finding::Good(token),
            Some(TokenState::Refused(error)) => Finding::Failed(match **error {
                VerifyError::KeysUnavailable(_) => Failure::Unavailable(token),
                _ => Failure::Refused(token),
            }),
            Some(TokenState::InHand) => Finding::Failed(Failure::Incomplete),
            None => Finding::Absent,
        }
    }
}

impl TokensOfIssuers<'_, '_> {
    /// The position of the token that counts for an issuer.
    pub(super) fn token_of(&self, issuer: usize) -> Option<usize> {
        let places = self.locations.of_issuer(issuer);
        places.iter().find_map(|place| self.tokens.at(*place))
    }

    /// Whether `token` is in the place that counts for the issuer named `name`.
    pub(super) fn is_in_place(&self, token: usize, name: &str) -> bool {
        self.locations.are_plain()
            || self
                .names
                .iter()
                .position(|own| **own == *name)
                .is_some_and(|issuer| self.token_of(issuer) == Some(token))
    }
}

impl Findings for TokensOfIssuers<'_, '_> {
    fn of_issuer(&self, issuer: usize) -> Finding {
        let Some(token) = self.token_of(issuer) else {
            return Finding::Absent;
        };
        let is_own = self.tokens.identity(token).is_none_or(|identity| {
            self.names
                .get(issuer)
                .is_some_and(|name| name == identity.issuer())
        });
        if is_own {
            self.tokens.finding(token)
        } else {
            Finding::Failed(Failure::OtherIssuer(token))
        }
    }

    fn of_any_issuer(&self) -> Finding {
        let mut failure = None;
        for token in 0..self.tokens.iter().count() {
            match self.tokens.finding(token) {
                Finding::Absent => {}
                Finding::Failed(own) => failure = Some(worse(failure, own)),
                finding @ (Finding::Open(_) | Finding::Good(_)) => return finding,
            }
        }
        failure.map_or(Finding::Absent, Finding::Failed)
    }
}
