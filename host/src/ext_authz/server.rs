use std::convert::Infallible;
use std::future::{Ready, ready};
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::service::Routes;
use tonic_prost::ProstCodec;

use super::configuration::{self, ConfigurationFile};
use super::key_fetching;
use super::messages::{CheckRequest, CheckResponse};
use super::{Authorization, ExtAuthzError};
use crate::clock::unix_now;
use crate::hangup::Hangups;
use crate::listener::{self, Bound, Limits, ListenAddress};
use crate::oidc::http_get;

/// What external authorization is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtAuthzSettings {
    /// Where to listen. There is no TLS: an address of this machine, or a network of one's own.
    pub listen: ListenAddress,
    /// The configuration's file: JSON, as the filter takes it.
    pub config: PathBuf,
    /// What the listener allows.
    pub limits: Limits,
}

/// External authorization that is listening.
#[derive(Debug)]
pub struct ExtAuthz {
    bound: Bound,
    limits: Limits,
    file: ConfigurationFile,
    authorization: Arc<Authorization>,
    client: reqwest::Client,
}

impl ExtAuthz {
    /// Loads the configuration and binds the address. Nothing is answered yet.
    ///
    /// # Errors
    /// [`ExtAuthzError`].
    pub async fn start(settings: &ExtAuthzSettings) -> Result<Self, ExtAuthzError> {
        let (file, authorization) = ConfigurationFile::open(&settings.config)?;
        let client =
            http_get::client(key_fetching::TIMEOUT, None).map_err(ExtAuthzError::Client)?;
        let bound = listener::bind(&settings.listen).await?;
        if !bound.address().is_local() {
            tracing::warn!(
                address = %bound.address(),
                "external authorization is answered without TLS on more than this machine"
            );
        }
        Ok(Self {
            bound,
            limits: settings.limits,
            file,
            authorization: Arc::new(authorization),
            client,
        })
    }

    /// The address listened on, with the port that the system chose if it was to choose one.
    pub fn address(&self) -> &ListenAddress {
        self.bound.address()
    }

    /// What decides, for its metrics and its policy's version.
    pub fn authorization(&self) -> Arc<Authorization> {
        Arc::clone(&self.authorization)
    }

    /// Answers until `shutdown`, as [`Bound::serve`] does; the gRPC health service
    /// (`grpc.health.v1`) too. Meanwhile keys are fetched and the configuration is followed.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let fetching = key_fetching::fetching(Arc::clone(&self.authorization), self.client);
        let fetching = tokio::spawn(fetching);
        let following = configuration::following(
            self.file,
            Arc::clone(&self.authorization),
            Hangups::listen(),
        );
        let following = tokio::spawn(following);
        let router = router(self.authorization).await;
        self.bound
            .serve(router, None, self.limits, Vec::new(), shutdown)
            .await;
        fetching.abort();
        following.abort();
    }
}

async fn router(authorization: Arc<Authorization>) -> Router {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<AuthorizationService>().await;
    Routes::new(AuthorizationService(authorization))
        .add_service(health)
        .into_axum_router()
}

/// `envoy.service.auth.v3.Authorization`.
#[derive(Clone, Debug)]
struct AuthorizationService(Arc<Authorization>);

impl NamedService for AuthorizationService {
    const NAME: &'static str = "envoy.service.auth.v3.Authorization";
}

impl Service<http::Request<Body>> for AuthorizationService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let check = Check(Arc::clone(&self.0));
        Box::pin(async move {
            if request.uri().path() != "/envoy.service.auth.v3.Authorization/Check" {
                return Ok(tonic::Status::unimplemented("the method is `Check`").into_http());
            }
            let codec = ProstCodec::<CheckResponse, CheckRequest>::default();
            Ok(Grpc::new(codec).unary(check, request).await)
        })
    }
}

/// The method `Check`.
struct Check(Arc<Authorization>);

impl UnaryService<CheckRequest> for Check {
    type Response = CheckResponse;
    type Future = Ready<Result<tonic::Response<CheckResponse>, tonic::Status>>;

    fn call(&mut self, request: tonic::Request<CheckRequest>) -> Self::Future {
        let answer = self.0.check(request.get_ref(), unix_now());
        ready(Ok(tonic::Response::new(answer)))
    }
}
