/// Who a client's certificate, which was verified, is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateNames {
    /// The one common name of its subject (RFC 5280 section 4.1.2.6).
    pub common_name: Option<String>,
    /// Its alternative names (section 4.2.1.6) that are DNS names.
    pub dns: Vec<String>,
    /// Its alternative names that are URIs, such as SPIFFE ids.
    pub uris: Vec<String>,
    /// The SHA-256 digest of its DER in base64url, `x5t#S256` (RFC 8705 section 3.1).
    pub thumbprint: String,
}

impl CertificateNames {
    /// Whether one of the names is `name`, to the letter.
    ///
    /// ```
    /// use tokensmith_engine::exchange::CertificateNames;
    /// let names = CertificateNames {
    ///     uris: vec!["spiffe://site.example/smd".to_owned()],
    ///     ..CertificateNames::default()
    /// };
    /// assert!(names.has("spiffe://site.example/smd"));
    /// assert!(!names.has("spiffe://site.example"));
    /// ```
    pub fn has(&self, name: &str) -> bool {
        self.common_name.as_deref() == Some(name) || self.has_dns(name) || self.has_uri(name)
    }

    pub(super) fn has_dns(&self, name: &str) -> bool {
        self.dns.iter().any(|own| own == name)
    }

    pub(super) fn has_uri(&self, name: &str) -> bool {
        self.uris.iter().any(|own| own == name)
    }
}
