use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::FAMILIES;
use super::filled_store::{bootstrap_token, refresh_token};
use crate::requests::{Requests, good, introspect, member, redeem, rotate};

/// Has no factor in common with [`FAMILIES`]: steps of it reach every family once.
const STEP: usize = 611_953;
/// Refresh tokens that came with answers and are kept to be used; the oldest go first.
const KEPT: usize = 10_000;

/// The tokens of all connections.
pub(super) struct Tokens {
    bootstrap: std::ops::Range<usize>,
    refreshes: usize,
    answered: VecDeque<String>,
}

/// One connection: redeem, refresh, refresh, introspect, and again.
pub(super) struct Steady {
    tokens: Arc<Mutex<Tokens>>,
    step: usize,
    access_token: Option<String>,
}

impl Tokens {
    /// Of a store that was made with `bootstrap` bootstrap tokens.
    pub(super) fn new(bootstrap: usize) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            bootstrap: 0..bootstrap,
            refreshes: 0,
            answered: VecDeque::new(),
        }))
    }

    /// In turn one of a family that was never used, anywhere in the store, and one that came with
    /// an answer.
    fn refresh(&mut self) -> Option<String> {
        self.refreshes += 1;
        let never_used = self.refreshes / 2;
        if self.refreshes.is_multiple_of(2) && never_used < FAMILIES {
            return Some(refresh_token(never_used * STEP % FAMILIES));
        }
        self.answered.pop_front()
    }

    fn keep(&mut self, token: String) {
        self.answered.push_back(token);
        if self.answered.len() > KEPT {
            self.answered.pop_front();
        }
    }
}

impl Steady {
    /// The connection of this number; they do not all begin with the same.
    pub(super) fn new(tokens: &Arc<Mutex<Tokens>>, number: usize) -> Self {
        Self {
            tokens: Arc::clone(tokens),
            step: number,
            access_token: None,
        }
    }
}

impl Requests for Steady {
    fn write_next(&mut self, request: &mut Vec<u8>) -> bool {
        let mut tokens = self.tokens.lock().unwrap();
        match (self.step % 4, &self.access_token) {
            (1 | 2, _) => {
                if let Some(token) = tokens.refresh() {
                    rotate(request, &token);
                    return true;
                }
            }
            (3, Some(own)) => {
                introspect(request, own, own);
                return true;
            }
            _ => {}
        }
        // Also for whoever has nothing to refresh or to ask about yet.
        self.step = 0;
        let number = tokens.bootstrap.next();
        if let Some(number) = number {
            redeem(request, &bootstrap_token(number));
        }
        number.is_some()
    }

    fn hear(&mut self, status: u16, body: &[u8]) -> Result<(), String> {
        good(status, body)?;
        if self.step % 4 == 3 {
            if !String::from_utf8_lossy(body).contains("\"active\":true") {
                return Err(format!("not active: `{}`", String::from_utf8_lossy(body)));
            }
        } else {
            let token = member(body, "refresh_token")?;
            self.tokens.lock().unwrap().keep(token);
            if self.step.is_multiple_of(4) {
                self.access_token = Some(member(body, "access_token")?);
            }
        }
        self.step += 1;
        Ok(())
    }
}
