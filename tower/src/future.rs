use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;

use crate::DenialBody;

pin_project! {
    /// The answer of a service that has a layer before it.
    pub struct ResponseFuture<F, B, E> {
        #[pin]
        kind: Kind<F, B, E>,
    }
}

/// An answer that is waited for in other ways than the service's.
pub(crate) type Waiting<B, E> =
    Pin<Box<dyn Future<Output = Result<Response<DenialBody<B>>, E>> + Send>>;

pin_project! {
    #[project = KindProjection]
    enum Kind<F, B, E> {
        HandedOn { #[pin] future: F },
        Denied { response: Option<Response<DenialBody<B>>> },
        Waiting { future: Waiting<B, E> },
    }
}

impl<F, B, E> ResponseFuture<F, B, E> {
    pub(crate) fn handed_on(future: F) -> Self {
        Self {
            kind: Kind::HandedOn { future },
        }
    }

    pub(crate) fn denied(response: Response<DenialBody<B>>) -> Self {
        Self {
            kind: Kind::Denied {
                response: Some(response),
            },
        }
    }

    pub(crate) fn waiting(future: Waiting<B, E>) -> Self {
        Self {
            kind: Kind::Waiting { future },
        }
    }
}

impl<F, B, E> Future for ResponseFuture<F, B, E>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<DenialBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProjection::HandedOn { future } => {
                let answer = ready!(future.poll(context));
                Poll::Ready(answer.map(|response| response.map(DenialBody::own)))
            }
            KindProjection::Denied { response } => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                // Asked again after its end, which nobody may do.
                None => Poll::Pending,
            },
            KindProjection::Waiting { future } => future.as_mut().poll(context),
        }
    }
}

impl<F, B, E> fmt::Debug for ResponseFuture<F, B, E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ResponseFuture(..)")
    }
}
