use tokensmith_engine::binding::CertificateThumbprint;
use tokensmith_engine::exchange::CertificateNames;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

/// A client's certificate, which the handshake has verified.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// Who it is for.
    pub names: CertificateNames,
    /// The certificate (RFC 5280) in DER.
    pub der: Vec<u8>,
    /// The last moment of its validity, Unix time in seconds.
    pub not_after: i64,
}

impl ClientCertificate {
    /// Reads the names. A common name that is not the only one, and any name that is empty or has
    /// control characters, is left out; what is no certificate at all has no names and has ended.
    pub(super) fn from_der(der: &[u8]) -> Self {
        let mut names = CertificateNames {
            common_name: None,
            dns: Vec::new(),
            uris: Vec::new(),
            thumbprint: CertificateThumbprint::of_der(der).to_base64url(),
        };
        let mut not_after = 0;
        if let Ok((_, certificate)) = x509_parser::parse_x509_certificate(der) {
            not_after = certificate.validity().not_after.timestamp();
            names.common_name = common_name(&certificate);
            // An extension that is there twice counts as none.
            if let Ok(Some(extension)) = certificate.subject_alternative_name() {
                for name in &extension.value.general_names {
                    match name {
                        GeneralName::DNSName(name) => names.dns.extend(usable(name)),
                        GeneralName::URI(name) => names.uris.extend(usable(name)),
                        _ => {}
                    }
                }
            }
        }
        Self {
            names,
            der: der.to_vec(),
            not_after,
        }
    }
}

fn common_name(certificate: &X509Certificate<'_>) -> Option<String> {
    let mut found = certificate.subject().iter_common_name();
    let (first, second) = (found.next(), found.next());
    match (first, second) {
        (Some(only), None) => usable(only.as_str().ok()?),
        _ => None,
    }
}

fn usable(name: &str) -> Option<String> {
    (!name.is_empty() && !name.contains(char::is_control)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made with `openssl x509 -req`, for a hundred years.
    const NAMED: &str = "\
-----BEGIN CERTIFICATE-----
MIIBkzCCATigAwIBAgIBATAKBggqhkjOPQQDAjASMRAwDgYDVQQDDAdjYS50ZXN0
MCAXDTI2MTEyNTAxMzE1MVoYDzIxMjYxMTAxMDEzMTUxWjAUMRIwEAYDVQQDDAlp
bnZlbnRvcnkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARgImoQz2+SuSE6lBDq
4ZQNwE1nqd+kaIsp36+WxJsJM0NwS1hO5IwklZMiRewo9RU9g+JFYC1065v49pPc
C0g+o3sweTA3BgNVHREEMDAuggZhLnRlc3SCBmIudGVzdIYcc3BpZmZlOi8vc2l0
ZS50ZXN0L2ludmVudG9yeTAdBgNVHQ4EFgQUoGeOsoLKF69kAJt1fZZMnAYYL2Mw
HwYDVR0jBBgwFoAUzQlGC0XJe9/k3ldsQTByi7cWrH0wCgYIKoZIzj0EAwIDSQAw
RgIhAKL8IVTDs+gOBzYTuWmNofsmk2x/vBbanisRRMDh5wyhAiEAph4ojc4rINsv
RcInHIj6a/8vU28OWdAgHmBTV5TN0Ts=
-----END CERTIFICATE-----
";
    const TWO_COMMON_NAMES: &str = "\
-----BEGIN CERTIFICATE-----
MIIBezCCASKgAwIBAgIBAjAKBggqhkjOPQQDAjASMRAwDgYDVQQDDAdjYS50ZXN0
MCAXDTI2MTEyNTAxMzE1MVoYDzIxMjYxMTAxMDEzMTUxWjAkMRIwEAYDVQQDDAlp
bnZlbnRvcnkxDjAMBgNVBAMMBWFkbWluMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD
QgAEIcwnFCHxhqe2GharsRWoRgm8ZpQjKtf56Gy4ShKgogfl6ZQSje2SMxROzhXF
kWRDajLolQnlVeJ3FHLaXNcIC6NVMFMwEQYDVR0RBAowCIIGYS50ZXN0MB0GA1Ud
DgQWBBT9scUAstAfZIv7+W4Hx9pwD1r45jAfBgNVHSMEGDAWgBTNCUYLRcl73+Te
V2xBMHKLtxasfTAKBggqhkjOPQQDAgNHADBEAiBEVHF0cGoCkPTK89baiMLPN91n
QRfzZ8NqrJJcU14k+gIgIt1VWdswEhkW9ZxTaBkKCMA1vu9aH5FfXzsQo7qjoiQ=
-----END CERTIFICATE-----
";
    const CONTROL_CHARACTERS: &str = "\
-----BEGIN CERTIFICATE-----
MIIBezCCASGgAwIBAgIBAzAKBggqhkjOPQQDAjASMRAwDgYDVQQDDAdjYS50ZXN0
MCAXDTI2MTEyNTAxMzE1MVoYDzIxMjYxMTAxMDEzMTUxWjAVMRMwEQYDVQQDDApp
bnZlbgF0b3J5MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEwVYhOQzO73gSsiCR
SFzLj9JYmjh4s3lBtYUyeOu1fygmaQ6XLZVjVogfqUe6ydKzMRtIsMEsn4zcOsbu
Lc3rf6NjMGEwHwYDVR0RBBgwFoIJYmEBZC50ZXN0gglnb29kLnRlc3QwHQYDVR0O
BBYEFHUz6RC1OJVbg5KE5LwoNUznfQMmMB8GA1UdIwQYMBaAFM0JRgtFyXvf5N5X
bEEwcou3Fqx9MAoGCCqGSM49BAMCA0gAMEUCIQDQDGWxfVrnN/8kv1dcBENwn/CS
+biDvFUZ5MouL9YmCAIgYHIXitBU4ifbB9ySlMEE18Qmjs7eU8O8L+VKQMHSU9Q=
-----END CERTIFICATE-----
";
    const NAMED_THUMBPRINT: &str = "eltvNB2W5sgvIc4WJBjr5uzPcfaI4egbjL2M_bcAO5A";
    const NAMED_NOT_AFTER: i64 = 4_949_170_311;

    fn certificate(text: &str) -> ClientCertificate {
        ClientCertificate::from_der(pem::parse(text).unwrap().contents())
    }

    #[test]
    fn names_and_end() {
        let certificate = certificate(NAMED);
        assert_eq!(certificate.names.common_name.as_deref(), Some("inventory"));
        assert_eq!(certificate.names.dns, ["a.test", "b.test"]);
        assert_eq!(certificate.names.uris, ["spiffe://site.test/inventory"]);
        assert_eq!(certificate.names.thumbprint, NAMED_THUMBPRINT);
        assert_eq!(certificate.not_after, NAMED_NOT_AFTER);
    }

    #[test]
    fn ambiguous_names_are_none() {
        assert_eq!(certificate(TWO_COMMON_NAMES).names.common_name, None);
        let controls = certificate(CONTROL_CHARACTERS).names;
        assert_eq!(controls.common_name, None);
        assert_eq!(controls.dns, ["good.test"]);
        let nothing = ClientCertificate::from_der(b"no certificate");
        assert_eq!((nothing.not_after, nothing.names.dns.len()), (0, 0));
    }
}
