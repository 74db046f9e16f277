use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::layers::{
    DEFAULT_BOOTSTRAP_STORE, DEFAULT_CLUSTER_ID, DEFAULT_ISSUER, DEFAULT_KEY_DIR,
    DEFAULT_OPENCHAMI_ID, KeyPlace, Layers,
};
use super::show::Show;
use super::{ServeArgs, StoreArgs};
use crate::listener::{Limits, TlsFiles};
use crate::oidc::{ClientSecret, OidcClient, OidcOptions};
use crate::service::{
    AccessTokenType, AdminListen, ExtAuthzPlace, Origin, Settings, ShownSetting, ShownValue,
};
use crate::store::StoreLocation;

/// Signing keys are not made more often than this.
const LEAST_ROTATION: Duration = Duration::from_secs(3600);
/// Access tokens do not last longer than this.
const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// The environment variable of the client's secret.
const CLIENT_SECRET: &str = "OIDC_CLIENT_SECRET";

/// What the layers come to.
#[derive(Debug)]
pub(in crate::cli) struct Resolved {
    /// To be used only where there are no problems.
    pub(in crate::cli) settings: Settings,
    /// What does not fit together, a sentence each.
    pub(in crate::cli) problems: Vec<String>,
    /// Settings that were given and do nothing.
    pub(in crate::cli) without_effect: Vec<&'static str>,
}

impl ServeArgs {
    /// Takes each setting from the highest layer that has it, and looks whether they fit
    /// together. Opens nothing.
    pub(in crate::cli) fn resolve(self, layers: &Layers) -> Resolved {
        let file = layers.file().serve.clone();
        let mut own = Resolving {
            layers,
            shown: Vec::new(),
            problems: Vec::new(),
            without_effect: Vec::new(),
        };
        let issuer = DEFAULT_ISSUER.to_owned();
        let issuer = own.value("issuer", self.issuer, file.issuer, issuer);
        let everywhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let address = own.value(
            "listen_address",
            self.listen_address,
            file.listen_address,
            everywhere,
        );
        let port = own.value("port", self.port, file.port, 8080);
        let cluster_id = DEFAULT_CLUSTER_ID.to_owned();
        let cluster_id = own.value("cluster_id", self.cluster_id, file.cluster_id, cluster_id);
        let openchami_id = own.value(
            "openchami_id",
            self.openchami_id,
            file.openchami_id,
            DEFAULT_OPENCHAMI_ID.to_owned(),
        );
        let audiences = vec!["openchami".to_owned()];
        let audiences = own.value("audience", self.audience, file.audience, audiences);
        if audiences.is_empty() || audiences.iter().any(|name| name.trim().is_empty()) {
            own.problem("audience", "is empty");
        }
        let oidc_issuer = match (self.oidc_issuer, provider_from_environment()) {
            (None, Some(issuer)) => {
                own.note("oidc_issuer", issuer.show(), Origin::Environment);
                Some(issuer)
            }
            (given, _) => own.optional("oidc_issuer", given, file.oidc_issuer),
        };
        let oidc_client_id =
            own.optional("oidc_client_id", self.oidc_client_id, file.oidc_client_id);
        let client_secret = own.client_secret();
        let allow_http = own.value(
            "oidc_allow_http",
            self.oidc_allow_http,
            file.oidc_allow_http,
            false,
        );
        let oidc_ca = own.optional("oidc_ca", self.oidc_ca, file.oidc_ca);
        let oidc_timeout = own.value(
            "oidc_timeout",
            self.oidc_timeout,
            file.oidc_timeout,
            Duration::from_secs(5),
        );
        own.some_time("oidc_timeout", oidc_timeout);
        let oidc = match (oidc_issuer, oidc_client_id) {
            (Some(issuer), Some(client_id)) => Some(OidcClient { issuer, client_id }),
            (Some(_), None) => {
                own.problem(
                    "oidc_issuer",
                    "needs `--oidc-client-id`, the client that its tokens are issued to",
                );
                None
            }
            (None, _) => None,
        };
        let (key_file, key_dir) = own.keys(self.key_file, self.key_dir);
        let rotate_every = own.optional("rotate_every", self.rotate_every, file.rotate_every);
        let rotate_every = own.rotation(rotate_every, key_file.is_some());
        let store = own.store(&self.store, file.bootstrap_store);
        let ignored = own.optional(
            "rfc8693_refresh_store",
            self.rfc8693_refresh_store,
            file.rfc8693_refresh_store,
        );
        own.ignored("rfc8693_refresh_store", ignored.is_some());
        let audit_log = own.optional("audit_log", self.audit.audit_log, file.audit_log);
        let policy_dir = match (self.policy_dir, policy_dir_from_environment()) {
            (None, Some(path)) => {
                own.note("policy_dir", path.show(), Origin::Environment);
                Some(path)
            }
            (given, _) => own.optional("policy_dir", given, file.policy_dir),
        };
        let cert = own.optional("tls_cert_file", self.tls_cert_file, file.tls_cert_file);
        let key = own.optional("tls_key_file", self.tls_key_file, file.tls_key_file);
        let client_ca = own.optional(
            "service_identity_ca",
            self.service_identity_ca,
            file.service_identity_ca,
        );
        let tls = own.tls(cert, key, client_ca);
        let admin_listen = own.value(
            "admin_listen",
            self.admin_listen,
            file.admin_listen,
            AdminListen::Off,
        );
        let trusted_proxies = own.value(
            "trusted_proxy",
            self.trusted_proxy,
            file.trusted_proxy,
            Vec::new(),
        );
        let limits = Limits::default();
        let limits = Limits {
            max_connections: own.value(
                "max_connections",
                self.max_connections,
                file.max_connections,
                limits.max_connections,
            ),
            request_timeout: own.value(
                "request_timeout",
                self.request_timeout,
                file.request_timeout,
                limits.request_timeout,
            ),
            header_timeout: own.value(
                "header_timeout",
                self.header_timeout,
                file.header_timeout,
                limits.header_timeout,
            ),
            shutdown_timeout: own.value(
                "shutdown_timeout",
                self.shutdown_timeout,
                file.shutdown_timeout,
                limits.shutdown_timeout,
            ),
            ..limits
        };
        if limits.max_connections == 0 {
            own.problem("max_connections", "has to be at least 1");
        }
        own.some_time("request_timeout", limits.request_timeout);
        own.some_time("header_timeout", limits.header_timeout);
        let token_lifetime = own.value(
            "token_lifetime",
            self.token_lifetime,
            file.token_lifetime,
            Duration::from_secs(3600),
        );
        let token_lifetime = own.lifetime(token_lifetime);
        let access_token_type = own.value(
            "access_token_type",
            self.access_token_type,
            file.access_token_type,
            AccessTokenType::default(),
        );
        let issued_token_type = own.value(
            "issued_token_type",
            self.issued_token_type,
            file.issued_token_type,
            Default::default(),
        );
        let ignored = own.value(
            "non_enforcing",
            self.non_enforcing,
            file.non_enforcing,
            false,
        );
        own.ignored("non_enforcing", ignored);
        let ignored = own.value(
            "enable_local_user_mint",
            self.enable_local_user_mint,
            file.enable_local_user_mint,
            false,
        );
        own.ignored("enable_local_user_mint", ignored);
        let listen = own.optional(
            "ext_authz_listen",
            self.ext_authz_listen,
            file.ext_authz_listen,
        );
        let config = own.optional(
            "ext_authz_config",
            self.ext_authz_config,
            file.ext_authz_config,
        );
        let ext_authz = match (listen, config) {
            (Some(listen), Some(config)) => Some(ExtAuthzPlace { listen, config }),
            (None, None) => None,
            (Some(_), None) => {
                own.problem("ext_authz_listen", "needs `--ext-authz-config`");
                None
            }
            (None, Some(_)) => {
                own.problem("ext_authz_config", "needs `--ext-authz-listen`");
                None
            }
        };
        let config = layers.file().clone();
        let access_token_audiences = config
            .oidc
            .as_ref()
            .map(|mapping| mapping.access_token_audiences.clone())
            .unwrap_or_default();
        Resolved {
            settings: Settings {
                listen: SocketAddr::new(address, port),
                admin_listen: match admin_listen {
                    AdminListen::Off => None,
                    AdminListen::On(address) => Some(address),
                },
                tls,
                trusted_proxies,
                limits,
                token_lifetime,
                access_token_type,
                issued_token_type,
                issuer,
                cluster_id,
                openchami_id,
                audiences,
                key_file,
                key_dir,
                rotate_every,
                store,
                policy_dir,
                config,
                audit_log,
                oidc,
                oidc_options: OidcOptions {
                    allow_http,
                    authorities: oidc_ca,
                    timeout: oidc_timeout,
                    client_secret,
                    access_token_audiences,
                },
                ext_authz,
                shown: own.shown,
            },
            problems: own.problems,
            without_effect: own.without_effect,
        }
    }
}

/// Settings on the way.
struct Resolving<'l> {
    layers: &'l Layers,
    shown: Vec<ShownSetting>,
    problems: Vec<String>,
    without_effect: Vec<&'static str>,
}

impl Resolving<'_> {
    fn value<T: Show + Clone>(
        &mut self,
        name: &'static str,
        given: Option<T>,
        file: Option<T>,
        default: T,
    ) -> T {
        let (value, origin) = self
            .layers
            .pick(name, given, file.as_ref())
            .unwrap_or((default, Origin::Default));
        self.note(name, value.show(), origin);
        value
    }

    fn optional<T: Show + Clone>(
        &mut self,
        name: &'static str,
        given: Option<T>,
        file: Option<T>,
    ) -> Option<T> {
        match self.layers.pick(name, given, file.as_ref()) {
            Some((value, origin)) => {
                self.note(name, value.show(), origin);
                Some(value)
            }
            None => {
                self.unset(name);
                None
            }
        }
    }

    fn note(&mut self, name: &'static str, value: serde_json::Value, origin: Origin) {
        self.shown.push(ShownSetting {
            name,
            value: ShownValue::Value(value),
            origin,
        });
    }

    fn unset(&mut self, name: &'static str) {
        self.shown.push(ShownSetting {
            name,
            value: ShownValue::Unset,
            origin: Origin::Default,
        });
    }

    fn origin(&self, name: &str) -> Origin {
        let found = self.shown.iter().find(|setting| setting.name == name);
        found.map_or(Origin::Default, |setting| setting.origin)
    }

    /// Says what is wrong with a setting, which is called as where it is written calls it.
    fn problem(&mut self, name: &'static str, what: &str) {
        let called = match self.origin(name) {
            Origin::File => format!("serve.{name}"),
            _ => format!("--{}", name.replace('_', "-")),
        };
        self.problems.push(format!("`{called}` {what}"));
    }

    fn some_time(&mut self, name: &'static str, time: Duration) {
        if time.is_zero() {
            self.problem(name, "has to be longer than 0s");
        }
    }

    fn ignored(&mut self, name: &'static str, given: bool) {
        if given {
            self.without_effect.push(name);
        }
    }

    /// The one setting that is taken from nowhere but the environment.
    fn client_secret(&mut self) -> Option<ClientSecret> {
        let secret = match std::env::var_os(CLIENT_SECRET).map(|text| text.into_string()) {
            Some(Ok(text)) => ClientSecret::new(text),
            Some(Err(_)) => {
                self.problems
                    .push(format!("`{CLIENT_SECRET}` is not UTF-8"));
                None
            }
            None => None,
        };
        self.shown.push(ShownSetting {
            name: "oidc_client_secret",
            value: ShownValue::Secret(secret.is_some()),
            origin: match secret {
                Some(_) => Origin::Environment,
                None => Origin::Default,
            },
        });
        secret
    }

    fn keys(
        &mut self,
        key_file: Option<PathBuf>,
        key_dir: Option<PathBuf>,
    ) -> (Option<PathBuf>, PathBuf) {
        let default = PathBuf::from(DEFAULT_KEY_DIR);
        let (place, origin) = match self.layers.keys(key_file, key_dir) {
            Ok(Some(chosen)) => chosen,
            Ok(None) => (KeyPlace::Folder(default.clone()), Origin::Default),
            Err(problem) => {
                self.problems.push(problem);
                (KeyPlace::Folder(default.clone()), Origin::Default)
            }
        };
        match place {
            KeyPlace::File(path) => {
                self.note("key_file", path.show(), origin);
                self.unset("key_dir");
                (Some(path), default)
            }
            KeyPlace::Folder(path) => {
                self.unset("key_file");
                self.note("key_dir", path.show(), origin);
                (None, path)
            }
        }
    }

    /// A key must be published, and known everywhere, long before the next one is.
    fn rotation(&mut self, every: Option<Duration>, one_key: bool) -> Option<Duration> {
        let every = every?;
        if every < LEAST_ROTATION {
            self.problem("rotate_every", "has to be at least an hour");
        }
        if !one_key {
            return Some(every);
        }
        if self.origin("rotate_every") >= self.origin("key_file") {
            self.problem(
                "rotate_every",
                "needs a folder of keys, and `--key-file` is given",
            );
        }
        None
    }

    fn store(&mut self, given: &StoreArgs, file: Option<PathBuf>) -> StoreLocation {
        let store = match self.layers.store_and_origin(given) {
            Ok((store, origin)) => {
                self.note("store", store.show(), origin);
                store
            }
            Err(problem) => {
                self.problems.push(problem);
                self.unset("store");
                StoreLocation::in_folder(Path::new(DEFAULT_BOOTSTRAP_STORE))
            }
        };
        self.value(
            "bootstrap_store",
            given.bootstrap_store.clone(),
            file,
            DEFAULT_BOOTSTRAP_STORE.into(),
        );
        store
    }

    fn tls(
        &mut self,
        cert: Option<PathBuf>,
        key: Option<PathBuf>,
        client_ca: Option<PathBuf>,
    ) -> Option<TlsFiles> {
        match (cert, key) {
            (Some(cert), Some(key)) => {
                return Some(TlsFiles {
                    cert,
                    key,
                    client_ca,
                });
            }
            (Some(_), None) => self.problem("tls_cert_file", "needs `--tls-key-file`"),
            (None, Some(_)) => self.problem("tls_key_file", "needs `--tls-cert-file`"),
            (None, None) if client_ca.is_some() => self.problem(
                "service_identity_ca",
                "needs `--tls-cert-file` and `--tls-key-file`: certificates are shown over TLS only",
            ),
            (None, None) => {}
        }
        None
    }

    /// In seconds.
    fn lifetime(&mut self, lifetime: Duration) -> i64 {
        if lifetime < Duration::from_secs(1) || lifetime > LONGEST_LIFETIME {
            self.problem("token_lifetime", "has to be between 1s and 24h");
        }
        i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX)
    }
}

/// As container images of the Go release name it.
fn provider_from_environment() -> Option<String> {
    let issuer = std::env::var("TOKENSMITH_OIDC_PROVIDER").ok()?;
    Some(issuer.trim().to_owned()).filter(|issuer| !issuer.is_empty())
}

/// The first of the two variables that is not blank.
fn policy_dir_from_environment() -> Option<PathBuf> {
    ["TOKENSMITH_POLICY_DIR", "AUTHZ_POLICY_DIR"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .map(|value| value.trim().to_owned())
        .find(|value| !value.is_empty())
        .map(PathBuf::from)
}
