use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use ipnet::IpNet;

use super::ListenError;

/// Where to listen.
///
/// ```
/// use tokensmith::listener::ListenAddress;
/// let address: ListenAddress = "[::1]:8081".parse().unwrap();
/// assert!(address.is_local());
/// let address: ListenAddress = "unix:/run/tokensmith/admin.sock".parse().unwrap();
/// assert_eq!(address.to_string(), "unix:/run/tokensmith/admin.sock");
/// assert!("localhost:8081".parse::<ListenAddress>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address and a port; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl ListenAddress {
    /// Whether only this machine's processes can connect.
    pub fn is_local(&self) -> bool {
        match self {
            ListenAddress::Tcp(address) => address.ip().to_canonical().is_loopback(),
            ListenAddress::Unix(_) => true,
        }
    }
}

impl FromStr for ListenAddress {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        let address = match text.strip_prefix("unix:") {
            Some(path) if path.is_empty() || path.contains('\0') => None,
            Some(path) => Some(ListenAddress::Unix(path.into())),
            None => text.parse().ok().map(ListenAddress::Tcp),
        };
        address.ok_or_else(|| ListenError::Address {
            value: text.to_owned(),
        })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::Tcp(address) => address.fmt(formatter),
            ListenAddress::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// An IP network in CIDR notation (RFC 4632), or one address.
///
/// # Errors
/// [`ListenError::Network`].
///
/// ```
/// use tokensmith::listener::parse_network;
/// assert_eq!(parse_network("192.0.2.7").unwrap(), parse_network("192.0.2.7/32").unwrap());
/// assert!(parse_network("192.0.2.7/33").is_err());
/// ```
pub fn parse_network(text: &str) -> Result<IpNet, ListenError> {
    text.parse()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
        .ok_or_else(|| ListenError::Network {
            value: text.to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_alike() {
        for (text, local) in [
            ("127.0.0.1:8081", true),
            ("127.8.0.1:0", true),
            ("[::1]:8081", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("0.0.0.0:8080", false),
            ("[::]:8080", false),
            ("192.0.2.1:443", false),
            ("unix:/run/x.sock", true),
            ("unix:x.sock", true),
        ] {
            let address: ListenAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
            assert_eq!(address.is_local(), local, "{text}");
        }
    }

    #[test]
    fn all_else_is_named_in_the_error() {
        for text in [
            "",
            "8080",
            ":8080",
            "localhost:8080",
            "127.0.0.1",
            "127.0.0.1:65536",
            "::1:8080",
            "unix:",
            "unix:a\0b",
            "unix//x",
            "/run/x.sock",
        ] {
            let error = text.parse::<ListenAddress>().unwrap_err();
            assert_eq!(error.code(), "listen_address");
            assert!(error.to_string().contains(&format!("`{text}`")), "{error}");
        }
    }

    #[test]
    fn networks() {
        assert!(parse_network("10.0.0.0/8").is_ok());
        assert!(parse_network("2001:db8::/32").is_ok());
        assert!(parse_network("::1").is_ok());
        for text in ["", "10.0.0.0/", "10.0.0/8", "10.0.0.0/33", "proxy"] {
            let error = parse_network(text).unwrap_err();
            assert_eq!(error.code(), "listen_network");
        }
    }
}
