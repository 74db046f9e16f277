use super::{CertificateThumbprint, DpopProof};

/// The scheme of the `Authorization` header that brought the token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// RFC 6750.
    #[default]
    Bearer,
    /// RFC 9449 section 7.1.
    Dpop,
}

/// What the caller showed beside the token. The default is nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Presented<'p> {
    /// How the token came.
    pub scheme: Scheme,
    /// The client certificate of the connection, as the one who ended TLS saw it.
    pub certificate: Option<CertificateThumbprint>,
    /// The proof of the `DPoP` header, checked.
    pub proof: Option<&'p DpopProof>,
}
