use proxy_wasm::types::LogLevel;
use tokensmith_engine::decide::{ConfigError, WantedKeys};
use tokensmith_engine::jose::Limits;
use tokensmith_engine::keys::{IssuerSource, KeySources, Loaded, SharedDocument};
use tokensmith_engine::verify::portable::Portable;

use crate::answered::shared_answer;
use crate::document::{Document, Event, Place};
use crate::host::{Clock, log, seed};
use crate::metrics::Metrics;

/// Keys of issuers, configured and fetched.
pub(crate) struct Keys {
    pub(crate) sources: KeySources,
    documents: Vec<IssuerDocument>,
    /// Keys that tokens, or a bundle, named and that are not there, since the last look.
    pub(crate) wanted: WantedKeys,
    limits: Limits,
}

/// The JWK set of one issuer.
struct IssuerDocument {
    issuer: String,
    document: Document,
}

/// Where the JWK set of one issuer is, and the configuration's names of that.
pub(crate) struct JwksPlace<'c> {
    pub(crate) issuer: &'c str,
    pub(crate) uri: &'c str,
    pub(crate) uri_field: String,
    pub(crate) cluster: Option<&'c str>,
    pub(crate) cluster_field: String,
}

impl Keys {
    pub(crate) fn new(
        sources: Vec<IssuerSource>,
        places: Vec<JwksPlace<'_>>,
        limits: Limits,
    ) -> Result<Self, ConfigError> {
        let documents = places
            .into_iter()
            .map(|place| {
                Ok(IssuerDocument {
                    issuer: place.issuer.to_owned(),
                    document: Document::new(Place {
                        label: format!("issuer `{}`", place.issuer),
                        uri: place.uri,
                        uri_field: place.uri_field,
                        cluster: place.cluster,
                        cluster_field: place.cluster_field,
                        accept: "application/jwk-set+json, application/json",
                        longest: limits.jwk_set_bytes,
                    })?,
                })
            })
            .collect::<Result<Vec<_>, ConfigError>>()?;
        Ok(Self {
            sources: KeySources::new(sources, &Portable, seed()),
            documents,
            wanted: WantedKeys::default(),
            limits,
        })
    }

    /// Takes over what was fetched before this VM came up.
    pub(crate) fn begin(&mut self, now: Clock, metrics: &mut Metrics) {
        for index in 0..self.documents.len() {
            let event = self
                .documents
                .get_mut(index)
                .and_then(|own| own.document.begin());
            if let Some(event) = event {
                self.take(index, event, now, metrics);
            }
        }
    }

    /// Lets the engine say what to fetch, and takes what other workers have fetched.
    pub(crate) fn look(&mut self, now: Clock, metrics: &mut Metrics) {
        for fetch in self.wanted.fetches(&mut self.sources, now.seconds) {
            let issuer = self.sources.issuer_of(fetch.id);
            let own = self
                .documents
                .iter_mut()
                .find(|own| Some(own.issuer.as_str()) == issuer);
            match own {
                Some(own) => own.document.want(fetch),
                None => self.sources.failed(fetch.id),
            }
        }
        for index in 0..self.documents.len() {
            let event = self
                .documents
                .get_mut(index)
                .and_then(|own| own.document.look(now));
            if let Some(event) = event {
                self.take(index, event, now, metrics);
            }
        }
    }

    /// Takes Envoy's answer to `call`, if it is for one of these sets.
    pub(crate) fn answered(
        &mut self,
        call: u32,
        headers: usize,
        body_size: usize,
        metrics: &mut Metrics,
    ) -> bool {
        let Some(own) = self
            .documents
            .iter_mut()
            .find(|own| own.document.is_waiting_for(call))
        else {
            return false;
        };
        let Some(answered) = own.document.answered(headers, body_size) else {
            log(
                LogLevel::Warn,
                &format!(
                    "{}: no answer, or one that is too large; keeping the keys before",
                    own.document.label()
                ),
            );
            metrics.jwks_fetched(&own.issuer, false);
            if let Some(fetch) = own.document.ended(false) {
                self.sources.failed(fetch);
            }
            return true;
        };
        let answer = answered.answer();
        let loaded = self
            .sources
            .fetched(answered.fetch, &answer, &self.limits, &Portable);
        metrics.jwks_fetched(&own.issuer, loaded.is_ok());
        match loaded {
            Ok(loaded) => {
                own.document.keep(&answered);
                say(&loaded);
            }
            Err(error) => {
                own.document.ended(false);
                log(
                    LogLevel::Warn,
                    &format!("{}: {error}; keeping the keys before", own.document.label()),
                );
            }
        }
        true
    }

    /// Whether the keys of `issuer` may come soon.
    pub(crate) fn are_on_their_way(&self, issuer: &str) -> bool {
        self.documents
            .iter()
            .any(|own| own.issuer == issuer && own.document.is_on_its_way())
    }

    /// How many sets may come soon.
    pub(crate) fn under_way(&self) -> usize {
        self.documents
            .iter()
            .filter(|own| own.document.is_on_its_way())
            .count()
    }

    fn take(&mut self, index: usize, event: Event, now: Clock, metrics: &mut Metrics) {
        let Some(own) = self.documents.get(index) else {
            return;
        };
        let bytes = match event {
            Event::Shared(bytes) => bytes,
            Event::Failed(fetch) => {
                self.sources.failed(fetch);
                return;
            }
        };
        let Some(document) = SharedDocument::parse(&bytes) else {
            return;
        };
        // A clock that went back must not make keys that never grow old.
        let at = document.at.min(now.seconds);
        let answer = shared_answer(&document);
        match self
            .sources
            .share(&own.issuer, at, &answer, &self.limits, &Portable)
        {
            Ok(loaded) => {
                metrics.jwks_shared();
                say(&loaded);
            }
            Err(error) => log(
                LogLevel::Warn,
                &format!(
                    "{}: what another worker fetched is refused: {error}",
                    own.document.label()
                ),
            ),
        }
    }
}

fn say(loaded: &Loaded) {
    if loaded.changed {
        log(
            LogLevel::Info,
            &format!(
                "issuer `{}`: {} keys loaded, {} left out",
                loaded.issuer,
                loaded.keys,
                loaded.rejected.len()
            ),
        );
    }
}
