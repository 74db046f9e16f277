use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde_json::Value;
use tokensmith_engine::exchange::TokenTypeSpelling;

use crate::listener::ListenAddress;
use crate::service::{AccessTokenType, AdminListen};
use crate::store::StoreLocation;

/// A setting's value as the configuration file has it, without passwords.
pub(super) trait Show {
    /// A string, a number, a boolean or a list.
    fn show(&self) -> Value;
}

impl Show for String {
    fn show(&self) -> Value {
        self.as_str().into()
    }
}

impl Show for PathBuf {
    fn show(&self) -> Value {
        self.display().to_string().into()
    }
}

impl Show for bool {
    fn show(&self) -> Value {
        (*self).into()
    }
}

impl Show for u16 {
    fn show(&self) -> Value {
        (*self).into()
    }
}

impl Show for usize {
    fn show(&self) -> Value {
        (*self).into()
    }
}

impl Show for Duration {
    fn show(&self) -> Value {
        humantime::format_duration(*self).to_string().into()
    }
}

impl Show for IpAddr {
    fn show(&self) -> Value {
        self.to_string().into()
    }
}

impl Show for IpNet {
    fn show(&self) -> Value {
        self.to_string().into()
    }
}

impl Show for StoreLocation {
    fn show(&self) -> Value {
        self.to_string().into()
    }
}

impl Show for ListenAddress {
    fn show(&self) -> Value {
        self.to_string().into()
    }
}

impl Show for AdminListen {
    fn show(&self) -> Value {
        self.to_string().into()
    }
}

impl Show for AccessTokenType {
    fn show(&self) -> Value {
        self.name().into()
    }
}

impl Show for TokenTypeSpelling {
    fn show(&self) -> Value {
        match self {
            TokenTypeSpelling::Openchami => "openchami".into(),
            TokenTypeSpelling::Rfc8693 => "rfc8693".into(),
        }
    }
}

impl<T: Show> Show for Vec<T> {
    fn show(&self) -> Value {
        self.iter().map(Show::show).collect()
    }
}
