//! Authentication and authorization as [`tower_layer::Layer`]s, for axum, hyper and tonic: the
//! same configuration, decisions and answers as the Envoy filter's.
//!
//! ```
//! use axum::{Router, routing::get};
//! use tokensmith_engine::decide::Config;
//! use tokensmith_tower::{Principal, TokenSmith};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::from_json(br#"{
//!     "issuers": [{
//!         "issuer": "https://tokensmith.example", "audiences": ["inventory"],
//!         "jwks_uri": "https://tokensmith.example/.well-known/jwks.json"
//!     }],
//!     "routes": [
//!         {"match": {"exact": "/healthz"}, "public": true},
//!         {"match": {"prefix": "/nodes", "methods": ["GET"]}, "object": "metadata:nodes", "action": "read"}
//!     ]
//! }"#)?;
//! let tokensmith = TokenSmith::builder(config).start()?;
//!
//! async fn nodes(principal: Principal) -> String {
//!     format!("for {}", principal.id())
//! }
//! let app: Router = Router::new()
//!     .route("/healthz", get(async || "ok"))
//!     .route("/nodes", get(nodes))
//!     .layer(tokensmith.layer());
//! # drop(app);
//! # Ok(())
//! # }
//! ```
//!
//! [`TokenSmith::require`] says of one route what policy is asked, [`TokenSmith::authn_layer`]
//! asks for a token only. Keys and policies are followed by tasks that end with the last handle.

mod body;
mod builder;
mod bundle;
mod current;
mod decision;
mod denial;
mod diagnostics;
mod error;
mod fetch;
mod future;
mod head;
mod header_edits;
mod key_refresh;
mod layer;
mod memories;
mod metrics;
mod policy_follow;
mod principal;
#[cfg(feature = "reqwest")]
mod reqwest_fetch;
#[cfg(feature = "axum")]
mod router;
mod tokensmith;

pub use body::DenialBody;
pub use builder::Builder;
pub use diagnostics::{Diagnostics, IssuerDiagnostics};
pub use error::TowerError;
pub use fetch::{Document, Fetch, FetchFailed, FetchFn, Fetching};
pub use future::ResponseFuture;
pub use head::PeerCertificate;
pub use layer::{TokenSmithLayer, TokenSmithService};
pub use metrics::{Counts, Metrics};
#[cfg(feature = "axum")]
pub use principal::NoPrincipal;
pub use principal::{Principal, VerifiedClaims};
#[cfg(feature = "reqwest")]
pub use reqwest_fetch::ReqwestFetch;
pub use tokensmith::TokenSmith;

pub use tokensmith_engine as engine;
pub use tokensmith_policy_files as policy_files;

/// The examples of the guide compile.
#[cfg(doctest)]
#[doc = include_str!("../../docs/embedding.md")]
struct Guide;
