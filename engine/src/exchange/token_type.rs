use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The kinds of tokens that an exchange names (RFC 8693 section 3). SAML assertions are none:
/// they are neither taken nor made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenType {
    /// An access token (RFC 6749 section 1.4).
    AccessToken,
    /// A refresh token (RFC 6749 section 1.5).
    RefreshToken,
    /// An ID token (OpenID Connect Core section 2).
    IdToken,
    /// A JWT (RFC 7519) of any kind.
    Jwt,
    /// A bootstrap token, good once, that becomes a service's first tokens.
    BootstrapToken,
}

/// How answers spell token types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenTypeSpelling {
    /// With hyphens, as clients of the Go release expect it.
    #[default]
    Openchami,
    /// As RFC 8693 spells them.
    Rfc8693,
}

impl TokenType {
    const ALL: [TokenType; 5] = [
        TokenType::AccessToken,
        TokenType::RefreshToken,
        TokenType::IdToken,
        TokenType::Jwt,
        TokenType::BootstrapToken,
    ];

    /// The type that `text` names in either spelling; `None` for any other text.
    ///
    /// ```
    /// use tokensmith_engine::exchange::TokenType;
    /// for text in ["access_token", "access-token"] {
    ///     let urn = format!("urn:ietf:params:oauth:token-type:{text}");
    ///     assert_eq!(TokenType::parse(&urn), Some(TokenType::AccessToken));
    /// }
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| text == kind.urn() || text == kind.hyphenated_urn())
    }

    /// As RFC 8693 spells it.
    pub fn urn(self) -> &'static str {
        match self {
            TokenType::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            TokenType::RefreshToken => "urn:ietf:params:oauth:token-type:refresh_token",
            TokenType::IdToken => "urn:ietf:params:oauth:token-type:id_token",
            TokenType::Jwt => "urn:ietf:params:oauth:token-type:jwt",
            TokenType::BootstrapToken => "urn:openchami:params:oauth:token-type:bootstrap-token",
        }
    }

    /// With hyphens.
    pub fn hyphenated_urn(self) -> &'static str {
        match self {
            TokenType::AccessToken => "urn:ietf:params:oauth:token-type:access-token",
            TokenType::RefreshToken => "urn:ietf:params:oauth:token-type:refresh-token",
            TokenType::IdToken => "urn:ietf:params:oauth:token-type:id-token",
            TokenType::Jwt | TokenType::BootstrapToken => self.urn(),
        }
    }
}

impl TokenTypeSpelling {
    /// How `kind` is spelled.
    pub fn urn(self, kind: TokenType) -> &'static str {
        match self {
            TokenTypeSpelling::Openchami => kind.hyphenated_urn(),
            TokenTypeSpelling::Rfc8693 => kind.urn(),
        }
    }
}

impl FromStr for TokenTypeSpelling {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "openchami" => Ok(TokenTypeSpelling::Openchami),
            "rfc8693" => Ok(TokenTypeSpelling::Rfc8693),
            _ => Err(format!("`{text}` is neither `openchami` nor `rfc8693`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_and_no_other() {
        for kind in TokenType::ALL {
            assert_eq!(TokenType::parse(kind.urn()), Some(kind));
            assert_eq!(TokenType::parse(kind.hyphenated_urn()), Some(kind));
        }
        for text in [
            "",
            "access_token",
            "urn:ietf:params:oauth:token-type:",
            "urn:ietf:params:oauth:token-type:ACCESS_TOKEN",
            "urn:ietf:params:oauth:token-type:access_token ",
            "urn:ietf:params:oauth:token-type:saml2",
            "urn:openchami:params:oauth:token-type:bootstrap_token",
        ] {
            assert_eq!(TokenType::parse(text), None, "{text}");
        }
    }

    #[test]
    fn answers_are_spelled_as_set() {
        for (setting, urn) in [
            ("openchami", "urn:ietf:params:oauth:token-type:access-token"),
            ("rfc8693", "urn:ietf:params:oauth:token-type:access_token"),
        ] {
            let spelling: TokenTypeSpelling = setting.parse().unwrap();
            assert_eq!(spelling.urn(TokenType::AccessToken), urn);
            let quoted = format!("\"{setting}\"");
            assert_eq!(serde_json::to_string(&spelling).unwrap(), quoted);
        }
        assert!("RFC8693".parse::<TokenTypeSpelling>().is_err());
    }
}
