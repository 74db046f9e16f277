//! Traces as a collector gets them from the real binary, which has the features of this test.
#![cfg(feature = "otel")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::net::TcpListener;
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use serde_json::{Value, json};
use tokensmith_tests::http::{self, Response};
use tokensmith_tests::process::Process;
use tokensmith_tests::scratch::Scratch;
use tokio::runtime::Runtime;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN_ID: &str = "00f067aa0ba902b7";

/// Takes what is exported; ends with its handle.
struct Collector {
    url: String,
    received: mpsc::Receiver<Received>,
    _runtime: Runtime,
}

struct Received {
    content_type: String,
    body: Bytes,
}

impl Collector {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, received) = mpsc::channel();
        let traces = post(move |headers: HeaderMap, body: Bytes| {
            let content_type = headers
                .get("content-type")
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned();
            let sent = sender.send(Received { content_type, body });
            async move {
                match sent {
                    Ok(()) => StatusCode::OK,
                    Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
                }
            }
        });
        let router = Router::new().route("/v1/traces", traces);
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self {
            url,
            received,
            _runtime: runtime,
        }
    }

    /// All that came; to be asked for when the service has ended.
    fn exported(&self) -> Exported {
        let mut exported = Exported::default();
        for received in self.received.try_iter() {
            assert_eq!(received.content_type, "application/x-protobuf");
            let request = ExportTraceServiceRequest::decode(received.body.clone()).unwrap();
            for of_resource in request.resource_spans {
                exported.resource = attributes(&of_resource.resource.unwrap().attributes);
                for of_scope in of_resource.scope_spans {
                    assert_eq!(of_scope.scope.unwrap().name, "tokensmith");
                    exported.spans.extend(of_scope.spans);
                }
            }
            exported.bodies.extend_from_slice(&received.body);
        }
        exported
    }
}

#[derive(Default)]
struct Exported {
    resource: Value,
    spans: Vec<Span>,
    bodies: Vec<u8>,
}

impl Exported {
    /// The one span of this name.
    fn span(&self, name: &str) -> &Span {
        let mut found = self.spans.iter().filter(|span| span.name == name);
        match (found.next(), found.next()) {
            (Some(span), None) => span,
            _ => panic!("`{name}` is not there once: {:#?}", self.spans),
        }
    }

    fn contains(&self, text: &str) -> bool {
        self.bodies
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    }
}

/// A service that traces as `environment` says.
struct Running {
    process: Process,
    port: u16,
    _scratch: Scratch,
}

impl Running {
    /// # Errors
    /// What it wrote to standard error when it does not come up.
    fn start(environment: &[(&str, &str)]) -> Result<Self, String> {
        let scratch = Scratch::new();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokensmith"));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if ["OTEL_", "TOKENSMITH_", "AUTHZ_", "OIDC_", "RUST_LOG"]
                .iter()
                .any(|start| name.starts_with(start))
            {
                command.env_remove(&*name);
            }
        }
        command
            .current_dir(scratch.path())
            .args(["serve", "--issuer", "http://tokensmith.test"])
            .args(["--listen-address", "127.0.0.1", "--port", "0"])
            .env("NO_PROXY", "127.0.0.1")
            .envs(environment.iter().copied());
        let process = Process::start(command)?;
        let (_, port) = process.first_line.rsplit_once(':').unwrap();
        Ok(Self {
            port: port.parse().unwrap(),
            process,
            _scratch: scratch,
        })
    }

    fn get(&self, target: &str, headers: &[(&str, &str)]) -> Response {
        http::request(self.port, "GET", target, headers).unwrap()
    }

    /// Ends it: how long that took.
    fn end(mut self) -> Duration {
        let began = Instant::now();
        self.process.terminate();
        assert_eq!(self.process.ended(Duration::from_secs(30)), Some(0));
        began.elapsed()
    }
}

fn attributes(of: &[KeyValue]) -> Value {
    of.iter()
        .map(|one| {
            let value = match one.value.as_ref().and_then(|any| any.value.as_ref()) {
                Some(any_value::Value::StringValue(text)) => Value::from(text.as_str()),
                Some(any_value::Value::IntValue(number)) => Value::from(*number),
                other => panic!("`{}` is {other:?}", one.key),
            };
            (one.key.clone(), value)
        })
        .collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_request_is_a_span_of_the_callers_trace() {
    let collector = Collector::start();
    let service = Running::start(&[(ENDPOINT, collector.url.as_str())]).unwrap();
    let traceparent = format!("00-{TRACE_ID}-{SPAN_ID}-01");
    let ready = service.get(
        "/ready",
        &[
            ("traceparent", traceparent.as_str()),
            ("x-request-id", "request-of-test"),
        ],
    );
    assert_eq!(ready.status, 200, "{ready:?}");
    service.end();
    let exported = collector.exported();
    assert_eq!(exported.resource["service.name"], "tokensmith");
    assert_eq!(
        exported.resource["service.version"],
        env!("CARGO_PKG_VERSION")
    );
    let request = exported.span("GET /ready");
    assert_eq!(hexadecimal(&request.trace_id), TRACE_ID);
    assert_eq!(hexadecimal(&request.parent_span_id), SPAN_ID);
    assert_eq!(request.kind, SpanKind::Server as i32);
    assert_eq!(
        attributes(&request.attributes),
        json!({
            "http.request.method": "GET",
            "http.route": "/ready",
            "http.response.status_code": 200,
            "tokensmith.request_id": "request-of-test",
        })
    );
    assert!(request.events.is_empty(), "{request:?}");
    let ping = exported.span("store ping");
    assert_eq!(ping.trace_id, request.trace_id);
    assert_eq!(ping.parent_span_id, request.span_id);
    assert_eq!(ping.kind, SpanKind::Internal as i32);
    assert!(request.start_time_unix_nano <= ping.start_time_unix_nano);
    assert!(ping.end_time_unix_nano <= request.end_time_unix_nano);
    assert_eq!(exported.spans.len(), 2, "{:#?}", exported.spans);
}

#[test]
fn what_is_no_traceparent_begins_a_trace() {
    let collector = Collector::start();
    let service = Running::start(&[(ENDPOINT, collector.url.as_str())]).unwrap();
    let upper = TRACE_ID.to_uppercase();
    let refused = [
        format!("00-{upper}-{SPAN_ID}-01"),
        format!("00-{TRACE_ID}-{SPAN_ID}-01-more"),
        format!("ff-{TRACE_ID}-{SPAN_ID}-01"),
        "\u{fc}".to_owned(),
    ];
    for traceparent in &refused {
        let health = service.get("/health", &[("traceparent", traceparent.as_str())]);
        assert_eq!(health.status, 200, "{health:?}");
    }
    // Whoever asks for no trace gets none.
    let unsampled = format!("00-{TRACE_ID}-{SPAN_ID}-00");
    service.get("/ready", &[("traceparent", unsampled.as_str())]);
    service.end();
    let spans = collector.exported().spans;
    assert_eq!(spans.len(), refused.len(), "{spans:#?}");
    for span in &spans {
        assert_eq!(span.name, "GET /health");
        assert_ne!(hexadecimal(&span.trace_id), TRACE_ID);
        assert!(span.parent_span_id.is_empty(), "{span:?}");
    }
}

#[test]
fn nothing_private_is_exported() {
    let collector = Collector::start();
    let service = Running::start(&[(ENDPOINT, collector.url.as_str())]).unwrap();
    let traceparent = format!("00-{TRACE_ID}-{SPAN_ID}-01");
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("traceparent", traceparent.as_str()),
        ("tracestate", "vendor=secret-state"),
        ("user-agent", "secret-agent"),
    ];
    let body = "grant_type=refresh_token&refresh_token=secret-token";
    let refused = http::send(service.port, "POST", "/token", &headers, body).unwrap();
    assert_eq!(refused.status, 400, "{refused:?}");
    let authorization = [("authorization", "Bearer secret-bearer")];
    let unknown = service.get("/secret-path?secret-query", &authorization);
    assert_eq!(unknown.status, 404, "{unknown:?}");
    let other = http::request(service.port, "SECRET-METHOD", "/health", &[]).unwrap();
    assert_eq!(other.status, 405, "{other:?}");
    service.end();
    let exported = collector.exported();
    let request = exported.span("POST /token");
    assert_eq!(
        attributes(&request.attributes)["http.response.status_code"],
        400
    );
    let store = exported.span("store rotate_refresh");
    assert_eq!(store.parent_span_id, request.span_id);
    let unknown = attributes(&exported.span("GET").attributes);
    assert_eq!(unknown["http.response.status_code"], 404);
    assert_eq!(unknown.get("http.route"), None);
    let other = attributes(&exported.span("HTTP /health").attributes);
    assert_eq!(other["http.request.method"], "_OTHER");
    for private in ["secret", "SECRET"] {
        assert!(!exported.contains(private), "{:#?}", exported.spans);
    }
}

#[test]
fn the_environment_names_the_service_and_turns_traces_off() {
    let collector = Collector::start();
    let traces = format!("{}/v1/traces", collector.url);
    let endpoint = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", traces.as_str());
    for (environment, name) in [
        (("OTEL_SERVICE_NAME", "site-tokens"), json!("site-tokens")),
        (
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=by-attribute"),
            json!("by-attribute"),
        ),
        (("OTEL_SDK_DISABLED", "true"), Value::Null),
    ] {
        let service = Running::start(&[endpoint, environment]).unwrap();
        assert_eq!(service.get("/health", &[]).status, 200);
        service.end();
        assert_eq!(collector.exported().resource["service.name"], name);
    }
    let service = Running::start(&[(ENDPOINT, "")]).unwrap();
    assert_eq!(service.get("/health", &[]).status, 200);
    service.end();
    assert!(collector.exported().spans.is_empty());
}

#[test]
fn a_collector_that_is_down_holds_up_nothing() {
    // One that refuses connections, and one that takes them and never answers.
    let refusing = TcpListener::bind("127.0.0.1:0").unwrap();
    let refusing_url = format!("http://{}", refusing.local_addr().unwrap());
    drop(refusing);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_url = format!("http://{}", silent.local_addr().unwrap());
    for url in [&refusing_url, &silent_url] {
        let service = Running::start(&[
            (ENDPOINT, url.as_str()),
            // Full with the first requests.
            ("OTEL_BSP_MAX_QUEUE_SIZE", "2"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1"),
        ])
        .unwrap();
        let began = Instant::now();
        for _ in 0..50 {
            assert_eq!(service.get("/ready", &[]).status, 200);
        }
        let answered = began.elapsed();
        assert!(answered < Duration::from_secs(10), "{url}: {answered:?}");
        let ended = service.end();
        assert!(ended < Duration::from_secs(9), "{url}: {ended:?}");
    }
    drop(silent);
}

#[test]
fn what_is_no_url_is_refused_and_not_told() {
    for value in [
        "localhost:4318",
        "grpc://secret@collector:4317",
        "http://secret@",
    ] {
        let Err(errors) = Running::start(&[(ENDPOINT, value)]) else {
            panic!("`{value}` is taken");
        };
        assert!(errors.contains(ENDPOINT), "{errors}");
        assert!(errors.contains("http://127.0.0.1:4318"), "{errors}");
        assert!(!errors.contains("secret"), "{errors}");
    }
}
