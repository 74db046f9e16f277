//! A service's own tokens: got once, kept fresh, put on requests.
//!
//! A [`ServiceClient`] exchanges what a service has (a bootstrap token, a client certificate, a
//! client's assertion) for tokens of TokenSmith, and renews them before they end, with jitter, and
//! with growing waits while the token service does not answer.
//!
//! ```no_run
//! use tokensmith_client::{Credential, ServiceClient, Settings};
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let credential = Credential::from_environment()?;
//! let settings = Settings::new("https://tokensmith.example", credential)
//!     .refresh_file("/var/lib/inventory/refresh-token");
//! let client = ServiceClient::start(settings).await?;
//!
//! let http = reqwest::Client::new();
//! let request = client.authorize(http.get("https://smd.example/nodes"))?;
//! let nodes = request.send().await?.text().await?;
//! # drop(nodes);
//! client.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! Refresh tokens are good once. Where a [`Settings::refresh_file`] is given the newest is in it,
//! so that a restarted service goes on without a new bootstrap token.

mod access_token;
mod answer;
mod client;
mod connection;
mod credential;
mod environment;
mod error;
#[cfg(feature = "tonic")]
mod interceptor;
mod refresh_file;
mod schedule;
mod secret;
mod session;
mod settings;
mod status;

pub use access_token::AccessToken;
pub use client::ServiceClient;
pub use credential::{AssertionSigner, CertificateFiles, Credential};
pub use environment::Environment;
pub use error::ClientError;
#[cfg(feature = "tonic")]
pub use interceptor::TokenInterceptor;
pub use schedule::Schedule;
pub use secret::Secret;
pub use settings::Settings;
pub use status::Status;
