//! Traces of requests, sent by OTLP over HTTP as OpenTelemetry's environment variables say. Names
//! are those of its semantic conventions for HTTP servers. Nothing of a caller is in them but the
//! identifiers of the trace and of the request.

use std::sync::OnceLock;
use std::time::Duration;

use axum::http::{HeaderMap, Uri};
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{
    FutureExt as _, Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _,
    TracerProvider as _,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_otlp::{
    ExporterBuildError, OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
    SpanExporter,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};
use reqwest::Url;
use thiserror::Error;

/// How long the end of the process waits for the last traces to be sent.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
const TRACEPARENT: &str = "traceparent";

/// Makes the spans, where there is a collector to send them to.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Why traces cannot be sent.
#[derive(Debug, Error)]
pub(crate) enum TracesError {
    /// The variable's value is no address. It may hold a password, so it is not told.
    #[error(
        "`{0}` is not the URL of a collector: set it to one such as `http://127.0.0.1:4318`, or to \
         nothing for no traces"
    )]
    Collector(&'static str),
    /// The exporter cannot be made.
    #[error("cannot make the exporter of traces: {0}")]
    Exporter(#[from] ExporterBuildError),
}

/// Sends the spans of the process from a thread of its own. What does not fit into its queue is
/// left out, so that no request waits for a collector.
pub(crate) struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Starts where there is a collector. Not to be called within an asynchronous runtime.
    ///
    /// # Errors
    /// [`TracesError`].
    pub(crate) fn start() -> Result<Self, TracesError> {
        if is_disabled() || !has_collector()? {
            return Ok(Self(None));
        }
        let exporter = SpanExporter::builder().with_http().build()?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource())
            .with_batch_exporter(exporter)
            .build();
        let scope = InstrumentationScope::builder("tokensmith")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        // Of a process that starts them twice the first ones stay.
        drop(TRACER.set(provider.tracer_with_scope(scope)));
        Ok(Self(Some(provider)))
    }

    /// Sends what is left, for at most 5 seconds.
    pub(crate) fn end(self) {
        let Some(provider) = self.0 else { return };
        if let Err(error) = provider.shutdown_with_timeout(FLUSH_TIMEOUT) {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// The span of a request. One that is given up, as the caller has gone, ends without a status.
pub(crate) struct RequestSpan(Option<Context>);

impl RequestSpan {
    /// Starts one beneath the caller's, if its `traceparent` (W3C Trace Context) names one. No
    /// method or route is one that the service does not know.
    pub(crate) fn start(
        headers: &HeaderMap,
        method: Option<&'static str>,
        route: Option<&'static str>,
        request_id: &str,
    ) -> Self {
        let Some(tracer) = TRACER.get() else {
            return Self(None);
        };
        let parent = parent(headers);
        let verb = method.unwrap_or("HTTP");
        let name = match route {
            Some(route) => format!("{verb} {route}"),
            None => verb.to_owned(),
        };
        let mut attributes = vec![
            KeyValue::new("http.request.method", method.unwrap_or("_OTHER")),
            KeyValue::new("tokensmith.request_id", request_id.to_owned()),
        ];
        attributes.extend(route.map(|route| KeyValue::new("http.route", route)));
        let span = tracer
            .span_builder(name)
            .with_kind(SpanKind::Server)
            .with_attributes(attributes)
            .start_with_context(tracer, &parent);
        Self(Some(parent.with_span(span)))
    }

    /// Does `work` so that what it does in the store is beneath this span.
    pub(crate) async fn around<F: Future>(&self, work: F) -> F::Output {
        match &self.0 {
            Some(context) => work.with_context(context.clone()).await,
            None => work.await,
        }
    }

    /// The request was answered.
    pub(crate) fn end(self, status: u16) {
        let Some(context) = self.0 else { return };
        let span = context.span();
        span.set_attribute(KeyValue::new(
            "http.response.status_code",
            i64::from(status),
        ));
        if status >= 500 {
            span.set_attribute(KeyValue::new("error.type", status.to_string()));
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// The work, beneath the span that is current now, in whichever task it is done.
pub(crate) fn in_this_span<F: Future>(work: F) -> impl Future<Output = F::Output> {
    work.with_current_context()
}

/// The span of an operation of the store within a request.
pub(crate) struct StoreSpan(Option<Span>);

impl StoreSpan {
    pub(crate) fn start(operation: &'static str) -> Self {
        let Some(tracer) = TRACER.get() else {
            return Self(None);
        };
        let request = Context::current();
        Self(request.has_active_span().then(|| {
            tracer
                .span_builder(format!("store {operation}"))
                .start_with_context(tracer, &request)
        }))
    }

    pub(crate) fn end(&mut self) {
        if let Some(span) = &mut self.0 {
            span.end();
        }
    }
}

fn is_disabled() -> bool {
    std::env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Whether a variable names a collector. An empty one is as none.
fn has_collector() -> Result<bool, TracesError> {
    let names = [
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
        OTEL_EXPORTER_OTLP_ENDPOINT,
    ];
    for name in names {
        match std::env::var_os(name) {
            Some(value) if value.is_empty() => {}
            None => {}
            Some(value) if value.to_str().is_some_and(is_collector) => return Ok(true),
            Some(_) => return Err(TracesError::Collector(name)),
        }
    }
    Ok(false)
}

fn is_collector(text: &str) -> bool {
    // The exporter reads it as the one type and its client as the other.
    text.parse::<Uri>().is_ok()
        && Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// What the spans are of: `OTEL_SERVICE_NAME` comes before `OTEL_RESOURCE_ATTRIBUTES`, and that
/// before the program's own name.
fn resource() -> Resource {
    let resource = Resource::builder_empty()
        .with_service_name("tokensmith")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_detectors(&[
            Box::new(TelemetryResourceDetector),
            Box::new(EnvResourceDetector::new()),
        ]);
    match std::env::var("OTEL_SERVICE_NAME") {
        Ok(name) if !name.is_empty() => resource.with_service_name(name).build(),
        _ => resource.build(),
    }
}

/// What the caller's `traceparent` says; nothing if it is not valid or there are several.
fn parent(headers: &HeaderMap) -> Context {
    let mut given = headers.get_all(TRACEPARENT).iter();
    let text = match (given.next(), given.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    };
    match text.filter(|text| is_traceparent(text)) {
        Some(text) => {
            TraceContextPropagator::new().extract_with_context(&Context::new(), &Traceparent(text))
        }
        None => Context::new(),
    }
}

/// Whether a value has the form that W3C Trace Context gives it. The propagator takes shorter
/// numbers too.
fn is_traceparent(text: &str) -> bool {
    let mut fields = text.split('-');
    let has_fields = [2, 32, 16, 2].into_iter().all(|length| {
        fields.next().is_some_and(|field| {
            field.len() == length
                && field
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        })
    });
    // Later versions than 00 may have more.
    has_fields && (fields.next().is_none() || !text.starts_with("00-"))
}

/// The one header that is taken over: `tracestate` may hold anything.
struct Traceparent<'h>(&'h str);

impl Extractor for Traceparent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACEPARENT).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN_ID: &str = "00f067aa0ba902b7";

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRACEPARENT, HeaderValue::from_str(value).unwrap());
        }
        headers.append("tracestate", HeaderValue::from_static("vendor=value"));
        headers
    }

    #[test]
    fn a_valid_traceparent_is_the_parent() {
        for (version, flags, rest) in [
            ("00", "01", ""),
            ("00", "00", ""),
            ("cc", "01", ""),
            ("cc", "09", "-later"),
        ] {
            let text = format!("{version}-{TRACE_ID}-{SPAN_ID}-{flags}{rest}");
            let parent = parent(&headers(&[&text]));
            let span = parent.span();
            let context = span.span_context();
            assert_eq!(context.trace_id().to_string(), TRACE_ID, "{text}");
            assert_eq!(context.span_id().to_string(), SPAN_ID, "{text}");
            assert_eq!(context.is_sampled(), flags != "00", "{text}");
            assert!(context.is_remote(), "{text}");
            assert_eq!(context.trace_state().header(), "", "{text}");
        }
    }

    #[test]
    fn another_traceparent_is_as_none() {
        let upper = TRACE_ID.to_uppercase();
        for text in [
            String::new(),
            "-".to_owned(),
            TRACE_ID.to_owned(),
            format!("00-{TRACE_ID}-{SPAN_ID}"),
            format!("00-{TRACE_ID}-{SPAN_ID}-01-"),
            format!("00-{TRACE_ID}-{SPAN_ID}-01-more"),
            format!("ff-{TRACE_ID}-{SPAN_ID}-01"),
            format!("0-{TRACE_ID}-{SPAN_ID}-01"),
            format!("00-{upper}-{SPAN_ID}-01"),
            format!("00-{TRACE_ID}-{SPAN_ID}-1"),
            format!("00-{TRACE_ID}-{SPAN_ID}-+1"),
            format!("00-4bf9-{SPAN_ID}-01"),
            format!("00-{TRACE_ID}-0-01"),
            format!("00-{:032}-{SPAN_ID}-01", 0),
            format!("00-{TRACE_ID}-{:016}-01", 0),
        ] {
            assert!(!parent(&headers(&[&text])).has_active_span(), "{text}");
        }
        let text = format!("00-{TRACE_ID}-{SPAN_ID}-01");
        assert!(!parent(&headers(&[&text, &text])).has_active_span());
        assert!(!parent(&HeaderMap::new()).has_active_span());
    }

    #[test]
    fn collectors_have_http_urls() {
        for (text, is) in [
            ("http://127.0.0.1:4318", true),
            ("https://collector.example/otlp/v1/traces", true),
            ("localhost:4318", false),
            ("127.0.0.1:4318", false),
            ("/v1/traces", false),
            ("ftp://collector.example", false),
            ("http://", false),
            ("http://two words", false),
        ] {
            assert_eq!(is_collector(text), is, "{text}");
        }
    }
}
