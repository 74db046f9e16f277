use serde_json::{Map, Value, json};

use super::{Algorithm, Curve, JwkError, KeyType, base64url, spki, thumbprint};

/// Public key material in canonical form: minimal RSA integers, fixed-length EC coordinates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// RSA modulus and exponent, big-endian without leading zeros.
    Rsa {
        /// `n`.
        n: Vec<u8>,
        /// `e`.
        e: Vec<u8>,
    },
    /// A point, each coordinate [`Curve::coordinate_bytes`] long.
    Ec {
        /// `crv`.
        curve: Curve,
        /// `x`.
        x: Vec<u8>,
        /// `y`.
        y: Vec<u8>,
    },
    /// A 32-byte Ed25519 public key.
    Ed25519 {
        /// `x`.
        x: Vec<u8>,
    },
}

/// A public JSON Web Key that may verify signatures (RFC 7517).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwk {
    kid: Option<String>,
    algorithm: Option<Algorithm>,
    public_key: PublicKey,
}

impl Jwk {
    /// Builds a key from public material, named by its thumbprint.
    ///
    /// # Errors
    /// [`JwkError::RsaStrength`], [`JwkError::Encoding`] or [`JwkError::AlgorithmMismatch`].
    pub fn from_public(
        public_key: PublicKey,
        algorithm: Option<Algorithm>,
    ) -> Result<Self, JwkError> {
        let kid = Some(thumbprint::thumbprint(&public_key));
        let jwk = Self {
            kid,
            algorithm,
            public_key,
        };
        jwk.check()?;
        Ok(jwk)
    }

    /// Reads a JWK from a JSON object.
    ///
    /// # Errors
    /// Any [`JwkError`] but those of a set.
    ///
    /// ```
    /// use tokensmith_engine::jose::{Jwk, Limits, parse_object};
    /// let json = br#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    /// let jwk = Jwk::from_json(&parse_object(json, &Limits::default()).unwrap()).unwrap();
    /// assert_eq!(jwk.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    /// ```
    pub fn from_json(map: &Map<String, Value>) -> Result<Self, JwkError> {
        for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            if map.contains_key(private) {
                return Err(JwkError::Private);
            }
        }
        let public_key = match required(map, "kty")? {
            "RSA" => PublicKey::Rsa {
                n: integer(map, "n")?,
                e: integer(map, "e")?,
            },
            "EC" => {
                let name = required(map, "crv")?;
                let curve = Curve::from_name(name).ok_or_else(|| unsupported("crv", name))?;
                PublicKey::Ec {
                    curve,
                    x: fixed(map, "x", curve.coordinate_bytes())?,
                    y: fixed(map, "y", curve.coordinate_bytes())?,
                }
            }
            "OKP" => match required(map, "crv")? {
                "Ed25519" => PublicKey::Ed25519 {
                    x: fixed(map, "x", 32)?,
                },
                name => return Err(unsupported("crv", name)),
            },
            name => return Err(unsupported("kty", name)),
        };
        if optional(map, "use")?.is_some_and(|value| value != "sig") {
            return Err(JwkError::NotForVerification);
        }
        if let Some(value) = map.get("key_ops") {
            let operations = value.as_array().ok_or(JwkError::Member("key_ops"))?;
            if !operations.iter().any(|operation| operation == "verify") {
                return Err(JwkError::NotForVerification);
            }
        }
        let algorithm = match optional(map, "alg")? {
            None => None,
            Some(name) => Some(Algorithm::from_name(name).map_err(|_| unsupported("alg", name))?),
        };
        let jwk = Self {
            kid: optional(map, "kid")?.map(str::to_owned),
            algorithm,
            public_key,
        };
        jwk.check()?;
        Ok(jwk)
    }

    /// `kid`, if the key has one.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// `alg`, if the key is bound to one.
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// The key material.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Whether a signature with `algorithm` may be checked with this key: type, curve and the
    /// key's own `alg` must all agree (RFC 8725 section 3.1).
    pub fn allows(&self, algorithm: Algorithm) -> bool {
        self.public_key.key_type() == algorithm.key_type()
            && self.algorithm.is_none_or(|own| own == algorithm)
    }

    /// The RFC 7638 SHA-256 thumbprint, base64url without padding.
    pub fn thumbprint(&self) -> String {
        thumbprint::thumbprint(&self.public_key)
    }

    /// The key as a DER SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7).
    pub fn spki_der(&self) -> Vec<u8> {
        spki::encode(&self.public_key)
    }

    /// The key as it is published in a JWK set.
    pub fn to_json(&self) -> Value {
        let mut value = match &self.public_key {
            PublicKey::Rsa { n, e } => {
                json!({"kty": "RSA", "n": base64url::encode(n), "e": base64url::encode(e)})
            }
            PublicKey::Ec { curve, x, y } => json!({
                "kty": "EC",
                "crv": curve.name(),
                "x": base64url::encode(x),
                "y": base64url::encode(y),
            }),
            PublicKey::Ed25519 { x } => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": base64url::encode(x)})
            }
        };
        if let Some(map) = value.as_object_mut() {
            map.insert("use".to_owned(), "sig".into());
            if let Some(kid) = &self.kid {
                map.insert("kid".to_owned(), kid.as_str().into());
            }
            if let Some(algorithm) = self.algorithm {
                map.insert("alg".to_owned(), algorithm.name().into());
            }
        }
        value
    }

    fn check(&self) -> Result<(), JwkError> {
        if let PublicKey::Rsa { n, e } = &self.public_key {
            let bits = bit_length(n);
            let odd = |integer: &[u8]| integer.last().is_some_and(|byte| byte & 1 == 1);
            let exponent_safe = odd(e) && e.len() <= 4 && e.as_slice() != [1];
            if !(2048..=8192).contains(&bits) || !odd(n) || !exponent_safe {
                return Err(JwkError::RsaStrength(bits));
            }
        }
        if let PublicKey::Ec { curve, x, y } = &self.public_key {
            let bytes = curve.coordinate_bytes();
            if x.len() != bytes || y.len() != bytes {
                return Err(JwkError::Encoding("x"));
            }
        }
        match self.algorithm {
            Some(algorithm) if algorithm.key_type() != self.public_key.key_type() => {
                Err(JwkError::AlgorithmMismatch)
            }
            _ => Ok(()),
        }
    }
}

impl PublicKey {
    /// The type and curve of the key.
    pub fn key_type(&self) -> KeyType {
        match self {
            PublicKey::Rsa { .. } => KeyType::Rsa,
            PublicKey::Ec { curve, .. } => KeyType::Ec(*curve),
            PublicKey::Ed25519 { .. } => KeyType::Ed25519,
        }
    }
}

fn bit_length(integer: &[u8]) -> usize {
    match integer.first() {
        Some(first) => integer.len() * 8 - first.leading_zeros() as usize,
        None => 0,
    }
}

fn required<'m>(map: &'m Map<String, Value>, name: &'static str) -> Result<&'m str, JwkError> {
    optional(map, name)?.ok_or(JwkError::Member(name))
}

fn optional<'m>(
    map: &'m Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'m str>, JwkError> {
    match map.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(JwkError::Member(name)),
    }
}

fn unsupported(member: &'static str, value: &str) -> JwkError {
    JwkError::Unsupported {
        member,
        value: value.chars().take(32).collect(),
    }
}

/// Base64urlUInt (RFC 7518 section 2). Leading zero octets are dropped: some issuers send one.
fn integer(map: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, JwkError> {
    let bytes = base64url::decode(required(map, name)?).ok_or(JwkError::Encoding(name))?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    Ok(bytes.into_iter().skip(zeros).collect())
}

fn fixed(map: &Map<String, Value>, name: &'static str, length: usize) -> Result<Vec<u8>, JwkError> {
    base64url::decode(required(map, name)?)
        .filter(|bytes| bytes.len() == length)
        .ok_or(JwkError::Encoding(name))
}
