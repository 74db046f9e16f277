use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body of an answer: the service's own, or that of a denial.
    #[derive(Debug)]
    pub struct DenialBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = KindProjection]
    enum Kind<B> {
        Own { #[pin] body: B },
        Denial { bytes: Option<Bytes> },
    }
}

impl<B> DenialBody<B> {
    pub(crate) fn own(body: B) -> Self {
        Self {
            kind: Kind::Own { body },
        }
    }

    pub(crate) fn denial(bytes: Vec<u8>) -> Self {
        Self {
            kind: Kind::Denial {
                bytes: (!bytes.is_empty()).then(|| bytes.into()),
            },
        }
    }
}

impl<B: Body<Data = Bytes>> Body for DenialBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            KindProjection::Own { body } => body.poll_frame(context),
            KindProjection::Denial { bytes } => {
                Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Own { body } => body.is_end_stream(),
            Kind::Denial { bytes } => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Own { body } => body.size_hint(),
            Kind::Denial { bytes } => {
                let length = bytes.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
            }
        }
    }
}
