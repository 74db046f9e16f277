use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Request, Response, Uri};
use serde_json::{Map, Value};
use tokensmith_engine::decide::{ConfigError, Denial, Identity, Mode, Requires, RouteOverride};
use tower_layer::Layer;
use tower_service::Service;

use crate::current::Shared;
use crate::denial::{self, Protocol};
use crate::future::ResponseFuture;
use crate::head::{Head, Source};
use crate::header_edits::HeaderEdits;
use crate::principal::Before;
use crate::{DenialBody, Principal};

/// Decides requests before a service sees them. Made by [`crate::TokenSmith`].
#[derive(Clone)]
pub struct TokenSmithLayer {
    shared: Arc<Shared>,
    part: Part,
    /// What is said beside the route table, as a JSON object.
    said: Map<String, Value>,
    route_override: Option<Arc<RouteOverride>>,
    /// The same without policy's say, for [`Part::Authentication`].
    token_only: Option<Arc<RouteOverride>>,
}

/// What [`TokenSmithLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct TokenSmithService<S> {
    inner: S,
    layer: TokenSmithLayer,
}

/// What a layer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A token and policy.
    Both,
    /// A token; policy is a later layer's.
    Authentication,
}

/// Why policy refuses a request whose token is good, as records say it.
const POLICY_REASONS: [&str; 4] = [
    "policy_denied",
    "policy_unavailable",
    "unmapped_route",
    "engine_error",
];

/// What becomes of a request.
enum Answer {
    HandOn,
    Deny(Denial),
    /// It may be allowed when the first keys or the first policy are there.
    Early,
}

/// What a request that is handed on becomes.
struct Changes {
    edits: HeaderEdits,
    target: Option<String>,
    identity: Option<Arc<Identity>>,
    /// Whether tokens are cut out.
    is_cut: bool,
}

impl TokenSmithLayer {
    pub(crate) fn new(shared: Arc<Shared>, part: Part, said: Map<String, Value>) -> Self {
        Self {
            shared,
            part,
            said: Map::new(),
            route_override: None,
            token_only: None,
        }
        .saying(said)
    }

    /// The mode for what this layer is before, instead of the configuration's.
    #[must_use]
    pub fn mode(self, mode: Mode) -> Self {
        self.saying([("mode".to_owned(), Value::from(mode.name()))])
    }

    /// Which tokens what this layer is before needs, instead of what the configuration says.
    #[must_use]
    pub fn requires(self, requires: &Requires) -> Self {
        let requires = serde_json::to_value(requires).unwrap_or(Value::Null);
        self.saying([("requires".to_owned(), requires)])
    }

    /// Why this layer refuses every request: what was said of its route is not good. It is logged
    /// when the layer is made.
    pub fn error(&self) -> Option<&ConfigError> {
        self.route_override.as_ref()?.error()
    }

    fn saying(mut self, members: impl IntoIterator<Item = (String, Value)>) -> Self {
        self.said.extend(members);
        let current = self.shared.current.load();
        let compiled = |said: &Map<String, Value>| {
            // In mode off nothing is checked, whatever layers say.
            let counts = !said.is_empty() && current.decider.mode() != Mode::Off;
            counts.then(|| {
                let text = serde_json::to_string(said).unwrap_or_default();
                Arc::new(current.decider.route_override(&text))
            })
        };
        self.route_override = compiled(&self.said);
        if self.part == Part::Authentication {
            let mut said = self.said.clone();
            said.insert("mode".to_owned(), Mode::Shadow.name().into());
            self.token_only = compiled(&said);
        }
        drop(current);
        if let Some(error) = self.error() {
            tracing::error!(
                code = error.code(),
                %error,
                "a layer refuses every request: what it says of its route is not good"
            );
        }
        self
    }

    /// Decides, and makes the request what the service is to see. [`Answer::Early`] only where it
    /// may wait.
    fn answer(&self, parts: &mut Parts, may_wait: bool) -> Answer {
        let principal = parts
            .extensions
            .get::<Principal>()
            .filter(|principal| principal.is_verified_by(self.shared.id))
            .cloned();
        let Changes {
            edits,
            target,
            identity,
            is_cut,
        } = match self.decide(parts, principal.as_ref(), may_wait) {
            Ok(changes) => changes,
            Err(answer) => return answer,
        };
        let before = match principal.as_ref().and_then(Principal::before) {
            Some(before) => Some(Arc::clone(before)),
            None if is_cut => Some(Arc::new(Before {
                uri: Source::of(parts).uri.clone(),
                headers: parts.headers.clone(),
            })),
            None => None,
        };
        edits.apply(&mut parts.headers);
        if let Some(target) = target {
            set_target(parts, &target);
        }
        if let Some(identity) = identity {
            let principal = Principal::new(identity, self.shared.id, before);
            parts.extensions.insert(principal);
        }
        Answer::HandOn
    }

    /// What a request that is handed on becomes, else its answer. `principal` is what a layer
    /// before found out.
    fn decide(
        &self,
        parts: &Parts,
        principal: Option<&Principal>,
        may_wait: bool,
    ) -> Result<Changes, Answer> {
        let (shared, options) = (&*self.shared, &self.shared.options);
        let source = match principal.and_then(Principal::before) {
            // A layer before has cut out the token that this one needs.
            Some(before) => Source {
                uri: &before.uri,
                headers: &before.headers,
                ..Source::of(parts)
            },
            None => Source::of(parts),
        };
        let head = Head::read(source, &options.needs);
        let said = self.route_override.as_deref();
        let now = shared.now();
        let mut outcome = match self.part {
            Part::Both => shared.decide(&head.request(said), principal.is_some(), now),
            Part::Authentication => {
                let outcome = shared.decide(&head.request(said), principal.is_some(), now);
                // The token is good. What is left is another layer's.
                if outcome.denial.is_some() && POLICY_REASONS.contains(&outcome.record.reason) {
                    shared.decide(&head.request(self.token_only.as_deref()), true, now)
                } else {
                    outcome
                }
            }
        };
        if may_wait && outcome.came_early() {
            return Err(Answer::Early);
        }
        // What the authentication part finds out about policy is no decision.
        if self.part == Part::Both || outcome.denial.is_some() {
            shared.record(&outcome);
        }
        if let Some(denial) = outcome.denial.take() {
            return Err(Answer::Deny(denial));
        }
        Ok(Changes {
            edits: HeaderEdits::of(&outcome, &options.names, options.identity_headers),
            is_cut: outcome.target.is_some() || !outcome.token_headers.is_empty(),
            target: outcome.target.take(),
            identity: outcome.identity.take(),
        })
    }

    /// As [`TokenSmithLayer::answer`], once it can be decided or the time for that is over.
    async fn answer_later(&self, parts: &mut Parts) -> Answer {
        let shared = &*self.shared;
        let Ok(_permit) = shared.waiting.try_acquire() else {
            return self.answer(parts, false);
        };
        shared.metrics.waited();
        let wait = Duration::from_millis(shared.options.key_wait.timeout_ms);
        let end = tokio::time::Instant::now() + wait;
        let mut changes = shared.subscribe();
        loop {
            // Also what was published while nobody was told of it.
            match self.answer(parts, true) {
                Answer::Early => {}
                answer => return answer,
            }
            match tokio::time::timeout_at(end, changes.changed()).await {
                Ok(Ok(())) => {}
                _ => return self.answer(parts, false),
            }
        }
    }
}

impl<S> Layer<S> for TokenSmithLayer {
    type Service = TokenSmithService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TokenSmithService {
            inner,
            layer: self.clone(),
        }
    }
}

impl<S, B, R> Service<Request<B>> for TokenSmithService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Send + 'static,
    R: 'static,
{
    type Response = Response<DenialBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        match self.layer.answer(&mut parts, true) {
            Answer::HandOn => {
                let request = Request::from_parts(parts, body);
                return ResponseFuture::handed_on(self.inner.call(request));
            }
            Answer::Deny(denial) => {
                let protocol = Protocol::of(&parts.headers);
                return ResponseFuture::denied(denial::response(denial, protocol));
            }
            Answer::Early => {}
        }
        // The one that said it is ready is the one to call.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let layer = self.layer.clone();
        ResponseFuture::waiting(Box::pin(async move {
            let denial = match layer.answer_later(&mut parts).await {
                Answer::HandOn => {
                    let answer = inner.call(Request::from_parts(parts, body)).await?;
                    return Ok(answer.map(DenialBody::own));
                }
                Answer::Deny(denial) => denial,
                Answer::Early => Denial::unavailable(),
            };
            let protocol = Protocol::of(&parts.headers);
            Ok(denial::response(denial, protocol))
        }))
    }
}

impl fmt::Debug for TokenSmithLayer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TokenSmithLayer")
            .field("part", &self.part)
            .field("said", &self.said)
            .finish_non_exhaustive()
    }
}

/// Puts a path and query in the place of the request's, also where a nested router has cut off
/// the beginning of its path. The path is the same: only the query has changed.
fn set_target(parts: &mut Parts, target: &str) {
    let query = target.split_once('?').map(|(_, query)| query);
    replace_query(&mut parts.uri, query);
    #[cfg(feature = "axum")]
    if let Some(original) = parts.extensions.get_mut::<axum::extract::OriginalUri>() {
        replace_query(&mut original.0, query);
    }
}

fn replace_query(uri: &mut Uri, query: Option<&str>) {
    let target = match query {
        Some(query) => format!("{}?{query}", uri.path()),
        None => uri.path().to_owned(),
    };
    let mut own = uri.clone().into_parts();
    // It is made of what was a URI.
    if let Ok(target) = target.parse::<PathAndQuery>() {
        own.path_and_query = Some(target);
        if let Ok(changed) = Uri::from_parts(own) {
            *uri = changed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_query_is_replaced() {
        let cases = [
            ("/a?token=x", None, "/a"),
            ("/a?token=x&b=1", Some("b=1"), "/a?b=1"),
            (
                "http://h:1/a%20b?token=x",
                Some("c=d"),
                "http://h:1/a%20b?c=d",
            ),
        ];
        for (before, query, after) in cases {
            let mut uri: Uri = before.parse().unwrap();
            replace_query(&mut uri, query);
            assert_eq!(uri.to_string(), after);
        }
    }
}
