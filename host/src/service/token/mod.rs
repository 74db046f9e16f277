//! The token endpoint: grants, and how they are answered.

mod answer;
mod bootstrap;
mod client_credentials;
mod endpoint;
mod exchange;
mod failure;
mod refresh;
mod session;

use failure::GrantError;

pub(super) use answer::{Granted, no_store};
pub(super) use endpoint::{CLIENT_CREDENTIALS, REFRESH_TOKEN, TOKEN_EXCHANGE, token};
pub(super) use exchange::of_identity;
pub(super) use session::session;
