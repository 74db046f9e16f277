use super::config::is_http_token;
use super::request::credentials;
use super::{ConfigError, IssuerConfig, Request, TokenLocation, cookies, query};
use crate::binding::Scheme;

/// One place where a request may have a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Location {
    /// The `Authorization` header with the scheme `Bearer` or `DPoP`.
    Credentials,
    /// A header, its name in lower case.
    Header { name: String, prefix: String },
    /// A parameter of the query.
    Query(String),
    /// A cookie.
    Cookie(String),
}

/// What a request has in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<'r> {
    Nothing,
    Token(Scheme, &'r str),
    /// Several values, of which servers take one or another.
    Several,
}

/// The places of all issuers, each once.
#[derive(Debug)]
pub(super) struct Locations {
    all: Vec<Place>,
    /// For each issuer its places, as positions in `all`, in their order.
    of_issuers: Vec<Vec<usize>>,
    /// The headers to read for them, but for `authorization`.
    headers: Vec<String>,
}

#[derive(Debug)]
struct Place {
    location: Location,
    /// Whether a token that was not verified is cut out of it: one of its issuers wants that.
    is_cut: bool,
}

impl Location {
    /// The place that `config` means, or what is wrong with it.
    pub(super) fn compile(config: &TokenLocation) -> Result<Self, String> {
        let prefix = config.prefix.as_deref();
        match (&config.header, &config.query, &config.cookie) {
            (Some(name), None, None) => {
                if !is_http_token(name) {
                    return Err(format!("`{name}` is not a header name"));
                }
                let name = name.to_ascii_lowercase();
                if name == COOKIE {
                    return Err("name a `cookie` instead of the header `cookie`".to_owned());
                }
                Ok(match prefix {
                    None if name == AUTHORIZATION => Location::Credentials,
                    prefix => Location::Header {
                        name,
                        prefix: prefix.unwrap_or_default().to_owned(),
                    },
                })
            }
            (_, Some(_), _) | (_, _, Some(_)) if prefix.is_some() => {
                Err("`prefix` is for `header` only".to_owned())
            }
            (None, Some(name), None) => {
                if query::is_name(name) {
                    Ok(Location::Query(name.clone()))
                } else {
                    Err(format!(
                        "query parameter `{name}` has other characters than letters, digits and `-._~`"
                    ))
                }
            }
            (None, None, Some(name)) => {
                if is_http_token(name) {
                    Ok(Location::Cookie(name.clone()))
                } else {
                    Err(format!("`{name}` is not a cookie name"))
                }
            }
            _ => Err("give exactly one of `header`, `query` and `cookie`".to_owned()),
        }
    }

    /// What `request` has here.
    pub(super) fn find<'r>(&self, request: &Request<'r>) -> Found<'r> {
        match self {
            Location::Credentials => match request.authorization.and_then(credentials) {
                Some((scheme, token)) => Found::Token(scheme, token),
                None => Found::Nothing,
            },
            Location::Header { name, prefix } => find_header(request, name, prefix),
            Location::Query(name) => bearer(query::find(request.target, name)),
            Location::Cookie(name) => bearer(cookies::find(request.headers, name)),
        }
    }

    /// The header it is in, in lower case.
    fn header(&self) -> Option<&str> {
        match self {
            Location::Credentials => Some(AUTHORIZATION),
            Location::Header { name, .. } => Some(name),
            Location::Query(_) => None,
            Location::Cookie(_) => Some(COOKIE),
        }
    }
}

impl Locations {
    /// Most different places.
    pub(super) const MOST: usize = 32;

    /// The places of the issuers, which are checked one by one before.
    pub(super) fn new(issuers: &[IssuerConfig]) -> Result<Self, ConfigError> {
        let mut own = Self {
            all: Vec::new(),
            of_issuers: Vec::new(),
            headers: Vec::new(),
        };
        for (index, issuer) in issuers.iter().enumerate() {
            let refused =
                |message: String| ConfigError::field(format!("issuers[{index}].from"), message);
            let mut places = Vec::new();
            for location in &issuer.from {
                let location = Location::compile(location).map_err(refused)?;
                places.push(own.add(location, issuer.forward));
            }
            if places.is_empty() {
                places.push(own.add(Location::Credentials, issuer.forward));
            }
            if own.all.len() > Self::MOST {
                let message = format!("there are more than {} different places", Self::MOST);
                return Err(refused(message));
            }
            own.of_issuers.push(places);
        }
        let headers = own.all.iter().filter_map(|place| place.location.header());
        for name in headers.filter(|name| *name != AUTHORIZATION) {
            if !own.headers.iter().any(|other| other == name) {
                own.headers.push(name.to_owned());
            }
        }
        Ok(own)
    }

    /// Whether every token comes in the `Authorization` header, as `Bearer` or `DPoP`.
    pub(super) fn are_plain(&self) -> bool {
        let mut all = self.all.iter();
        all.all(|place| place.location == Location::Credentials)
    }

    /// The headers to read, in lower case; `authorization` is always read.
    pub(super) fn headers(&self) -> &[String] {
        &self.headers
    }

    /// Whether a token may come in the header `name`.
    pub(super) fn has_header(&self, name: &str) -> bool {
        let mut all = self.all.iter();
        all.any(|place| {
            place
                .location
                .header()
                .is_some_and(|own| own.eq_ignore_ascii_case(name))
        })
    }

    /// The places of an issuer, in their order.
    pub(super) fn of_issuer(&self, issuer: usize) -> &[usize] {
        self.of_issuers
            .get(issuer)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// How many issuers there are.
    pub(super) fn issuers(&self) -> usize {
        self.of_issuers.len()
    }

    pub(super) fn get(&self, place: usize) -> Option<&Location> {
        self.all.get(place).map(|place| &place.location)
    }

    /// Whether a token that was not verified is cut out of this place.
    pub(super) fn is_cut(&self, place: usize) -> bool {
        self.all.get(place).is_some_and(|place| place.is_cut)
    }

    fn add(&mut self, location: Location, forward: bool) -> usize {
        let known = self.all.iter().position(|place| place.location == location);
        let position = known.unwrap_or_else(|| {
            self.all.push(Place {
                location,
                is_cut: false,
            });
            self.all.len() - 1
        });
        if let Some(place) = self.all.get_mut(position) {
            place.is_cut |= !forward;
        }
        position
    }
}

pub(super) const AUTHORIZATION: &str = "authorization";
pub(super) const COOKIE: &str = "cookie";

fn find_header<'r>(request: &Request<'r>, name: &str, prefix: &str) -> Found<'r> {
    let is_authorization = name == AUTHORIZATION;
    let value = if is_authorization {
        request.authorization
    } else {
        let mut values = request
            .headers
            .iter()
            .filter(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| *value);
        let first = values.next();
        if values.next().is_some() {
            return Found::Several;
        }
        first
    };
    let Some(value) = value.map(str::trim) else {
        return Found::Nothing;
    };
    let Some((start, token)) = value.split_at_checked(prefix.len()) else {
        return Found::Nothing;
    };
    // The scheme's case does not matter (RFC 9110 section 11.1).
    let fits = start == prefix || (is_authorization && start.eq_ignore_ascii_case(prefix));
    let token = token.trim();
    if !fits || token.is_empty() {
        return Found::Nothing;
    }
    let is_dpop = is_authorization && prefix.trim().eq_ignore_ascii_case("DPoP");
    let scheme = if is_dpop {
        Scheme::Dpop
    } else {
        Scheme::Bearer
    };
    Found::Token(scheme, token)
}

/// A token that comes without a scheme is a bearer's.
fn bearer(found: Result<Option<&str>, Several>) -> Found<'_> {
    match found {
        Ok(Some(token)) => Found::Token(Scheme::Bearer, token),
        Ok(None) => Found::Nothing,
        Err(Several) => Found::Several,
    }
}

/// More than one value of a name that has to be there once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Several;

/// The only value, if there is one and it is not empty.
pub(super) fn only<'r>(
    mut values: impl Iterator<Item = &'r str>,
) -> Result<Option<&'r str>, Several> {
    let first = values.next();
    match values.next() {
        Some(_) => Err(Several),
        None => Ok(first.filter(|value| !value.is_empty())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn location(config: serde_json::Value) -> Result<Location, String> {
        Location::compile(&serde_json::from_value(config).unwrap())
    }

    #[test]
    fn mistakes() {
        for config in [
            json!({}),
            json!({"header": "a", "query": "b"}),
            json!({"query": "b", "cookie": "c"}),
            json!({"query": "b", "prefix": "p"}),
            json!({"cookie": "c", "prefix": "p"}),
            json!({"prefix": "p"}),
            json!({"header": "a b"}),
            json!({"header": ""}),
            json!({"header": "Cookie"}),
            json!({"query": ""}),
            json!({"query": "a&b"}),
            json!({"cookie": "a=b"}),
        ] {
            assert!(location(config.clone()).is_err(), "{config}");
        }
    }

    #[test]
    fn places() {
        let headers = [
            ("x-token", " t1 "),
            ("x-two", "a"),
            ("X-Two", "b"),
            ("x-none", ""),
            ("cookie", "a=1; session=t2"),
            ("cookie", "twice=1"),
            ("cookie", "twice=2"),
        ];
        let request = Request {
            target: "/a?access_token=t3&x=&y=1&y=2",
            authorization: Some("bearer t4"),
            headers: &headers,
            ..Request::default()
        };
        let token = |text| Found::Token(Scheme::Bearer, text);
        let cases = [
            (json!({"header": "X-Token"}), token("t1")),
            (json!({"header": "x-token", "prefix": "t"}), token("1")),
            (json!({"header": "x-token", "prefix": "T"}), Found::Nothing),
            (json!({"header": "x-token", "prefix": "t1"}), Found::Nothing),
            (
                json!({"header": "x-token", "prefix": "long prefix"}),
                Found::Nothing,
            ),
            (json!({"header": "x-two"}), Found::Several),
            (json!({"header": "x-none"}), Found::Nothing),
            (json!({"header": "x-other"}), Found::Nothing),
            (json!({"header": "Authorization"}), token("t4")),
            (
                json!({"header": "authorization", "prefix": "Bearer "}),
                token("t4"),
            ),
            (
                json!({"header": "authorization", "prefix": "DPoP "}),
                Found::Nothing,
            ),
            (json!({"query": "access_token"}), token("t3")),
            (json!({"query": "x"}), Found::Nothing),
            (json!({"query": "y"}), Found::Several),
            (json!({"query": "z"}), Found::Nothing),
            (json!({"cookie": "session"}), token("t2")),
            (json!({"cookie": "twice"}), Found::Several),
            (json!({"cookie": "Session"}), Found::Nothing),
        ];
        for (config, expected) in cases {
            let found = location(config.clone()).unwrap().find(&request);
            assert_eq!(found, expected, "{config}");
        }
        let request = Request {
            authorization: Some("dpop t5"),
            ..request
        };
        let own = location(json!({"header": "authorization", "prefix": "DPoP "})).unwrap();
        assert_eq!(own.find(&request), Found::Token(Scheme::Dpop, "t5"));
    }

    #[test]
    fn each_place_is_there_once() {
        let issuer = |name: &str, from: serde_json::Value, forward: bool| {
            let config = json!({
                "issuer": name, "audiences": ["a"], "jwks_uri": "u", "from": from, "forward": forward,
            });
            serde_json::from_value::<IssuerConfig>(config).unwrap()
        };
        let plain = Locations::new(&[issuer("a", json!([]), true), issuer("b", json!([]), true)]);
        let plain = plain.unwrap();
        assert!(plain.are_plain() && plain.headers().is_empty() && !plain.is_cut(0));
        let own = Locations::new(&[
            issuer("a", json!([{"header": "X-A"}, {"cookie": "c"}]), true),
            issuer("b", json!([{"cookie": "d"}, {"header": "x-a"}]), false),
            issuer("c", json!([]), true),
        ])
        .unwrap();
        assert!(!own.are_plain());
        assert_eq!(own.headers(), ["x-a", "cookie"]);
        assert_eq!(own.of_issuer(0), [0, 1]);
        assert_eq!(own.of_issuer(1), [2, 0]);
        assert_eq!(own.of_issuer(2), [3]);
        assert!(own.is_cut(0) && !own.is_cut(1) && own.is_cut(2) && !own.is_cut(3));
        assert!(own.has_header("Authorization") && !own.has_header("x-b"));
        let many: Vec<_> = (0..=Locations::MOST)
            .map(|number| json!({"query": format!("q{number}")}))
            .collect();
        assert!(Locations::new(&[issuer("a", json!(many), true)]).is_err());
    }
}
