use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::ServiceClient;

/// Puts the token on the requests of a tonic client. Without a token they are not sent:
/// `UNAUTHENTICATED`.
#[derive(Clone, Debug)]
pub struct TokenInterceptor(ServiceClient);

impl TokenInterceptor {
    pub(crate) fn new(client: ServiceClient) -> Self {
        Self(client)
    }
}

impl Interceptor for TokenInterceptor {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let refused = |message: String| Status::unauthenticated(message);
        let token = self
            .0
            .token()
            .map_err(|error| refused(format!("{}: {error}", error.code())))?;
        let mut value: MetadataValue<Ascii> =
            MetadataValue::try_from(token.authorization().as_bytes())
                .map_err(|error| refused(error.to_string()))?;
        value.set_sensitive(true);
        request.metadata_mut().insert("authorization", value);
        Ok(request)
    }
}
