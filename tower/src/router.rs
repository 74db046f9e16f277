use std::future::ready;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use crate::{Counts, TokenSmith};

impl TokenSmith {
    /// `GET /authz/diagnostics`: [`crate::Diagnostics`] as JSON, and `GET /authz/metrics`:
    /// [`Counts`] for Prometheus. Merged into a router before [`axum::Router::layer`] they are
    /// guarded as the rest of it, after that they are public.
    pub fn diagnostics_router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        let (diagnostics, metrics) = (self.clone(), self.clone());
        Router::new()
            .route(
                "/authz/diagnostics",
                get(move || ready(diagnostics_answer(&diagnostics))),
            )
            .route(
                "/authz/metrics",
                get(move || ready(metrics_answer(&metrics))),
            )
    }
}

fn diagnostics_answer(tokensmith: &TokenSmith) -> Response {
    let kind = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
    ];
    (kind, axum::Json(tokensmith.diagnostics())).into_response()
}

fn metrics_answer(tokensmith: &TokenSmith) -> Response {
    let kind = [(CONTENT_TYPE, Counts::CONTENT_TYPE)];
    (kind, tokensmith.metrics().counts().to_prometheus()).into_response()
}
