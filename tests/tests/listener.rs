//! What is between a socket and the endpoints: TLS, client certificates, limits, and the end.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::{Service, run, tokensmith};

const HEALTH: &str = "GET /health HTTP/1.1\r\nhost: test\r\n\r\n";
const LEAF: &str = "basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n";
const TLS: [&str; 6] = [
    "--tls-cert-file",
    "server.pem",
    "--tls-key-file",
    "server.key",
    "--service-identity-ca",
    "ca.pem",
];

/// A folder with two authorities, and certificates of the first for the servers `one` and `two`
/// and for `client`, of the other for `stranger`. The server's files are those of `one`.
fn site() -> Scratch {
    let scratch = Scratch::new();
    let folder = scratch.path();
    scratch.write("leaf.cnf", LEAF);
    for name in ["ca", "other-ca"] {
        openssl(
            folder,
            &format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
                 -subj /CN={name}.test -keyout {name}.key -out {name}.pem"
            ),
        );
    }
    for (name, authority) in [
        ("one", "ca"),
        ("two", "ca"),
        ("client", "ca"),
        ("stranger", "other-ca"),
    ] {
        openssl(
            folder,
            &format!(
                "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
                 -subj /CN={name}.test -keyout {name}.key -out {name}.csr"
            ),
        );
        openssl(
            folder,
            &format!(
                "x509 -req -in {name}.csr -CA {authority}.pem -CAkey {authority}.key \
                 -CAcreateserial -days 2 -extfile leaf.cnf -out {name}.pem"
            ),
        );
    }
    serve_as(folder, "one");
    scratch
}

fn openssl(folder: &Path, arguments: &str) {
    let made = run(Command::new("openssl")
        .current_dir(folder)
        .args(arguments.split_whitespace()));
    assert!(made.status.success(), "{made:?}");
}

/// Puts the files of `name` in the place of the server's.
fn serve_as(folder: &Path, name: &str) {
    for kind in ["pem", "key"] {
        let own = folder.join(format!("{name}.{kind}"));
        fs::copy(own, folder.join(format!("server.{kind}"))).unwrap();
    }
}

/// Runs curl on `/health`; prints status code and HTTP version after the body.
fn curl(service: &Service, arguments: &[&str]) -> Output {
    run(Command::new("curl")
        .current_dir(&service.folder)
        .args(["--silent", "--show-error", "--max-time", "10"])
        .args([
            "--cacert",
            "ca.pem",
            "--write-out",
            "\n%{http_code} %{http_version}",
        ])
        .args(arguments)
        .arg(format!("https://127.0.0.1:{}/health", service.port)))
}

fn last_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().last().unwrap_or_default().to_owned()
}

/// What `openssl s_client` says of a handshake.
fn handshake(service: &Service, arguments: &[&str]) -> String {
    let output = run(Command::new("openssl")
        .args(["s_client", "-connect"])
        .arg(format!("127.0.0.1:{}", service.port))
        .args(arguments)
        .stdin(Stdio::null()));
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn connect(service: &Service) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", service.port)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream
}

/// All that comes until the other side closes.
fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// One response of a connection that stays open: its status code.
fn response(stream: &mut impl BufRead) -> String {
    let (mut line, mut status, mut length) = (String::new(), None, 0);
    while stream.read_line(&mut line).unwrap() > 0 {
        let text = line.trim().to_ascii_lowercase();
        if text.is_empty() {
            break;
        }
        status = status.or_else(|| text.split(' ').nth(1).map(str::to_owned));
        if let Some(value) = text.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    status.unwrap_or_else(|| panic!("no response"))
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn https_with_both_versions_of_http() {
    let site = site();
    let service = Service::start(site.path(), &TLS).unwrap();
    for (arguments, expected) in [
        (vec!["--http2"], "200 2"),
        (vec!["--http1.1"], "200 1.1"),
        (vec!["--tls-max", "1.2"], "200 2"),
        (vec!["--tlsv1.3"], "200 2"),
    ] {
        let output = curl(&service, &arguments);
        assert_eq!(last_line(&output), expected, "{output:?}");
    }
    let old = handshake(&service, &["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]);
    assert!(old.contains("Cipher is (NONE)"), "{old}");
    assert!(old.contains("SSL alert number"), "{old}");
}

#[test]
fn http_2_without_tls() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &[]).unwrap();
    let output = run(Command::new("curl")
        .args(["--silent", "--http2-prior-knowledge", "--max-time", "10"])
        .args(["--write-out", "\n%{http_code} %{http_version}"])
        .arg(format!("http://127.0.0.1:{}/health", service.port)));
    assert_eq!(last_line(&output), "200 2", "{output:?}");
}

#[test]
fn client_certificates_are_optional_and_verified() {
    let site = site();
    let service = Service::start(site.path(), &TLS).unwrap();
    for version in ["1.2", "1.3"] {
        let with = |name: &str| {
            let (cert, key) = (format!("{name}.pem"), format!("{name}.key"));
            curl(
                &service,
                &["--tls-max", version, "--cert", &cert, "--key", &key],
            )
        };
        let output = curl(&service, &["--tls-max", version]);
        assert!(last_line(&output).starts_with("200 "), "{output:?}");
        let output = with("client");
        assert!(last_line(&output).starts_with("200 "), "{output:?}");
        let output = with("stranger");
        assert!(!output.status.success(), "{output:?}");
        assert!(last_line(&output).starts_with("000 "), "{output:?}");
    }
}

#[test]
fn files_that_do_not_fit_are_named() {
    let site = site();
    fs::copy(site.path().join("one.key"), site.path().join("open.key")).unwrap();
    fs::set_permissions(
        site.path().join("open.key"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let cases = [
        (
            ["one.pem", "two.key", "ca.pem"],
            "private key `two.key` does not belong to the first certificate of `one.pem`",
        ),
        (["one.pem", "open.key", "ca.pem"], "chmod 600 open.key"),
        (
            ["missing.pem", "one.key", "ca.pem"],
            "cannot read `missing.pem`",
        ),
        (
            ["leaf.cnf", "one.key", "ca.pem"],
            "`leaf.cnf` is not a chain of certificates",
        ),
        (
            ["one.pem", "ca.key.pem", "ca.pem"],
            "cannot read `ca.key.pem`",
        ),
        (
            ["one.pem", "one.key", "leaf.cnf"],
            "`leaf.cnf` holds no certificate authorities",
        ),
        ([".", "one.key", "ca.pem"], "cannot read `.`"),
    ];
    for ([cert, key, authority], message) in cases {
        let output = run(tokensmith(site.path())
            .args(["serve", "--listen-address", "127.0.0.1", "--port", "0"])
            .args(["--tls-cert-file", cert, "--tls-key-file", key])
            .args(["--service-identity-ca", authority]));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}: {errors}");
        assert!(errors.contains(message), "{message}: {errors}");
    }
}

#[test]
fn a_new_certificate_is_served_and_old_connections_go_on() {
    let site = site();
    let service = Service::start(site.path(), &TLS).unwrap();
    let shows = |name: &str| handshake(&service, &[]).contains(name);
    assert!(shows("one.test"));

    let mut client = Command::new("openssl")
        .args(["s_client", "-quiet", "-connect"])
        .arg(format!("127.0.0.1:{}", service.port))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = client.stdin.take().unwrap();
    let mut output = BufReader::new(client.stdout.take().unwrap());
    input.write_all(HEALTH.as_bytes()).unwrap();
    assert_eq!(response(&mut output), "200");

    serve_as(site.path(), "two");
    service.hang_up();
    wait_for("the new certificate", || shows("two.test"));
    input.write_all(HEALTH.as_bytes()).unwrap();
    assert_eq!(response(&mut output), "200");
    client.kill().unwrap();
    client.wait().unwrap();

    // A pair that does not fit changes nothing.
    let one = site.path().join("one.pem");
    fs::copy(one, site.path().join("server.pem")).unwrap();
    service.hang_up();
    std::thread::sleep(Duration::from_millis(500));
    assert!(shows("two.test"));
}

#[test]
fn slow_callers_are_cut_off() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &["--header-timeout", "1s"]).unwrap();
    for sent in ["", "PRI * HTTP", "GET /health HTTP/1.1\r\nx: "] {
        let mut stream = connect(&service);
        let began = Instant::now();
        stream.write_all(sent.as_bytes()).unwrap();
        assert_eq!(rest(stream), "", "`{sent}`");
        let waited = began.elapsed();
        assert!(waited > Duration::from_millis(800), "`{sent}`: {waited:?}");
        assert!(waited < Duration::from_secs(5), "`{sent}`: {waited:?}");
    }

    let site = site();
    let mut arguments = TLS.to_vec();
    arguments.extend(["--header-timeout", "1s"]);
    let service = Service::start(site.path(), &arguments).unwrap();
    let began = Instant::now();
    assert_eq!(rest(connect(&service)), "");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_request_that_does_not_arrive_is_answered() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &["--request-timeout", "1s"]).unwrap();
    let mut stream = connect(&service);
    let head = "POST /oauth/token HTTP/1.1\r\nhost: test\r\ncontent-length: 20\r\n\
                content-type: application/x-www-form-urlencoded\r\n\r\ngrant";
    stream.write_all(head.as_bytes()).unwrap();
    let text = rest(stream);
    assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["error"], "request_timeout");
    assert!(body["error_description"].is_string());
}

#[test]
fn headers_have_limits() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &[]).unwrap();
    // All of it has to be read before the answer, or the connection would be reset.
    let long = format!("{:a<32768}", "GET /health HTTP/1.1\r\nhost: test\r\nx: ");
    let many: String = (0..101).map(|index| format!("x-{index}: v\r\n")).collect();
    let many = format!("GET /health HTTP/1.1\r\n{many}\r\n");
    for request in [long, many] {
        let mut stream = connect(&service);
        stream.write_all(request.as_bytes()).unwrap();
        let text = rest(stream);
        assert!(text.starts_with("HTTP/1.1 431 "), "{text}");
    }
    let room = format!(
        "{:a<30000}\r\n\r\n",
        "GET /health HTTP/1.1\r\nhost: test\r\nx: "
    );
    let mut stream = BufReader::new(connect(&service));
    stream.get_mut().write_all(room.as_bytes()).unwrap();
    assert_eq!(response(&mut stream), "200");
}

#[test]
fn further_connections_wait_for_a_place() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &["--max-connections", "2"]).unwrap();
    let begin = || {
        let mut stream = BufReader::new(connect(&service));
        stream.get_mut().write_all(HEALTH.as_bytes()).unwrap();
        stream
    };
    let (mut first, mut second) = (begin(), begin());
    assert_eq!(response(&mut first), "200");
    assert_eq!(response(&mut second), "200");

    let mut third = begin();
    let limit = |stream: &BufReader<TcpStream>, milliseconds| {
        let limit = Some(Duration::from_millis(milliseconds));
        stream.get_ref().set_read_timeout(limit).unwrap();
    };
    limit(&third, 500);
    let error = third.fill_buf().unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{error}"
    );
    drop(first);
    limit(&third, 5000);
    assert_eq!(response(&mut third), "200");
}

#[test]
fn a_unix_socket_is_its_owners() {
    let scratch = Scratch::new();
    let path = scratch.path().join("admin.sock");
    // Nothing listens on this one any more.
    drop(UnixListener::bind(&path).unwrap());
    let address = format!("unix:{}", path.display());
    let mut service = Service::start(scratch.path(), &["--admin-listen", &address]).unwrap();
    let metadata = fs::symlink_metadata(&path).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let output = run(Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "10"])
        .args(["--write-out", "\n%{http_code}", "--unix-socket"])
        .arg(&path)
        .arg("http://admin/health"));
    assert_ne!(last_line(&output), "000", "{output:?}");

    let other = Scratch::new();
    let refused = Service::start(other.path(), &["--admin-listen", &address]).unwrap_err();
    assert!(refused.contains("another process listens on"), "{refused}");

    service.terminate();
    assert_eq!(service.ended(Duration::from_secs(10)), Some(0));
    assert!(!path.exists());
}

#[test]
fn what_is_in_flight_ends_before_the_service() {
    let scratch = Scratch::new();
    let mut service = Service::start(scratch.path(), &[]).unwrap();
    let mut idle = BufReader::new(connect(&service));
    idle.get_mut().write_all(HEALTH.as_bytes()).unwrap();
    assert_eq!(response(&mut idle), "200");
    let body = "grant_type=unknown";
    let mut stream = connect(&service);
    let head = format!(
        "POST /oauth/token HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\
         content-type: application/x-www-form-urlencoded\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The handler has it and waits for the body.
    std::thread::sleep(Duration::from_millis(300));

    service.terminate();
    assert_eq!(rest(idle.into_inner()), "", "an idle connection is closed");
    wait_for("the end of listening", || {
        TcpStream::connect(("127.0.0.1", service.port)).is_err()
    });
    stream.write_all(body.as_bytes()).unwrap();
    let text = rest(stream);
    assert!(text.starts_with("HTTP/1.1 4"), "{text}");
    assert_eq!(service.ended(Duration::from_secs(5)), Some(0));
}

#[test]
fn what_does_not_end_is_dropped() {
    let scratch = Scratch::new();
    let mut service = Service::start(scratch.path(), &["--shutdown-timeout", "1s"]).unwrap();
    let mut stream = connect(&service);
    stream
        .write_all(b"POST /oauth/token HTTP/1.1\r\nhost: test\r\ncontent-length: 9\r\n\r\n")
        .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    service.terminate();
    assert_eq!(service.ended(Duration::from_secs(8)), Some(0));
}

#[test]
fn one_address_cannot_take_all_connections() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &["--max-connections", "64"]).unwrap();
    let mut open: Vec<BufReader<TcpStream>> = (0..16)
        .map(|_| {
            let mut stream = BufReader::new(connect(&service));
            stream.get_mut().write_all(HEALTH.as_bytes()).unwrap();
            assert_eq!(response(&mut stream), "200");
            stream
        })
        .collect();
    for _ in 0..100 {
        // Closed or reset: nothing comes.
        let mut stream = connect(&service);
        let mut bytes = Vec::new();
        let read = stream.read_to_end(&mut bytes);
        let reset = |error: &std::io::Error| error.kind() == ErrorKind::ConnectionReset;
        assert!(read.as_ref().err().is_none_or(reset), "{read:?}");
        assert!(bytes.is_empty());
    }
    let from = |address: &str| {
        run(Command::new("curl")
            .args(["--silent", "--max-time", "10", "--interface", address])
            .args(["--write-out", "\n%{http_code}"])
            .arg(format!("http://127.0.0.1:{}/health", service.port)))
    };
    let output = from("127.0.0.2");
    assert_eq!(last_line(&output), "200", "{output:?}");
    let output = from("127.0.0.1");
    assert_eq!(last_line(&output), "000", "{output:?}");
    for stream in &mut open {
        stream.get_mut().write_all(HEALTH.as_bytes()).unwrap();
        assert_eq!(response(stream), "200", "those before go on");
    }
    drop(open);
    wait_for("a place", || last_line(&from("127.0.0.1")) == "200");

    let scratch = Scratch::new();
    let arguments = ["--max-connections", "64", "--trusted-proxy", "127.0.0.1/32"];
    let service = Service::start(scratch.path(), &arguments).unwrap();
    let open: Vec<BufReader<TcpStream>> = (0..32)
        .map(|_| {
            let mut stream = BufReader::new(connect(&service));
            stream.get_mut().write_all(HEALTH.as_bytes()).unwrap();
            assert_eq!(response(&mut stream), "200", "a proxy has no such limit");
            stream
        })
        .collect();
    drop(open);
}

#[test]
fn certificates_end_with_their_authority() {
    let site = site();
    let service = Service::start(site.path(), &TLS).unwrap();
    let open = |arguments: &[&str]| {
        let mut client = Command::new("openssl")
            .current_dir(site.path())
            .args(["s_client", "-quiet", "-connect"])
            .arg(format!("127.0.0.1:{}", service.port))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = client.stdin.take().unwrap();
        let output = BufReader::new(client.stdout.take().unwrap());
        (client, input, output)
    };
    let certificate = ["-cert", "client.pem", "-key", "client.key"];
    let (mut client, mut input, mut output) = open(&certificate);
    let (mut other, mut other_input, mut other_output) = open(&[]);
    input.write_all(HEALTH.as_bytes()).unwrap();
    assert_eq!(response(&mut output), "200");
    other_input.write_all(HEALTH.as_bytes()).unwrap();
    assert_eq!(response(&mut other_output), "200");

    fs::copy(site.path().join("other-ca.pem"), site.path().join("ca.pem")).unwrap();
    service.hang_up();
    wait_for("the end of the connection", || {
        client.try_wait().unwrap().is_some()
    });
    let mut left = Vec::new();
    output.read_to_end(&mut left).unwrap();
    assert!(left.is_empty(), "{left:?}");
    other_input.write_all(HEALTH.as_bytes()).unwrap();
    assert_eq!(response(&mut other_output), "200", "it has no certificate");
    other.kill().unwrap();
    other.wait().unwrap();
}
