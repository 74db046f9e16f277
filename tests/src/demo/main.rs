//! The main job on real parts, one step after the other: users sign in at an OpenID provider,
//! exchange their ID tokens, and call services behind Envoy; a service does so with a bootstrap
//! token. Stays up for a look around unless called with `--once`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod mesh;
mod narrator;

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use tokensmith_tests::service::Service;
use tokensmith_tests::tokens::now;

use mesh::Mesh;
use narrator::Narrator;

fn main() -> ExitCode {
    let once = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [option] if option == "--once" => true,
        _ => {
            eprintln!("usage: demo [--once]");
            return ExitCode::from(2);
        }
    };
    let mut narrator = Narrator::default();
    let mesh = Mesh::start(&mut narrator);
    let (alice, bob) = users(&mesh, &mut narrator);
    let service_token = services(&mesh, &mut narrator);
    refusals(&mesh, &mut narrator, &alice);
    if !narrator.finish() {
        return ExitCode::FAILURE;
    }
    if !once {
        mesh.describe(&[
            ("ALICE", &alice),
            ("BOB", &bob),
            ("SERVICE_A", &service_token),
        ]);
        wait_for_the_end();
    }
    ExitCode::SUCCESS
}

/// Until whoever started this is gone: what runs ends with it. An interrupt ends all at once.
fn wait_for_the_end() {
    let parent = std::os::unix::process::parent_id();
    while std::os::unix::process::parent_id() == parent {
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Alice may do everything, Bob may only read.
fn users(mesh: &Mesh, narrator: &mut Narrator) -> (String, String) {
    narrator.heading("Users sign in and exchange their ID tokens");
    let mut tokens = ["alice", "bob"].map(|user| {
        let id_token = mesh.oidc.login(user);
        narrator.tell(&format!(
            "{user} signed in at {} by the authorization code flow: {}",
            mesh.oidc.issuer,
            shortened(&id_token)
        ));
        let response = mesh.tokensmith.exchange(&id_token, "");
        narrator.response(
            &format!("{user}: POST /oauth/exchange"),
            200,
            &response,
            &brief(&response.json()),
        );
        response.json()["access_token"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    });
    let (alice, bob) = (
        std::mem::take(&mut tokens[0]),
        std::mem::take(&mut tokens[1]),
    );
    narrator.heading("They call service A through Envoy");
    for (user, method, token, status) in [
        ("alice", "GET", &alice, 200),
        ("alice", "DELETE", &alice, 200),
        ("bob", "GET", &bob, 200),
        ("bob", "DELETE", &bob, 403),
    ] {
        let response = mesh.call_a(method, "/nodes/x1000c0s0b0n0", Some(token));
        let body = response.json();
        narrator.response(
            &format!("{user}: {method} /nodes/x1000c0s0b0n0"),
            status,
            &response,
            &shown(&body),
        );
        if status == 403 {
            narrator.expect(
                "the denial names the policy",
                body["policy_version"].as_str() == mesh.policy_version().as_str(),
            );
        }
    }
    (alice, bob)
}

/// Service A gets its first token with a bootstrap token, and calls service B.
fn services(mesh: &Mesh, narrator: &mut Narrator) -> String {
    narrator.heading("Service A redeems its bootstrap token and calls service B through Envoy");
    let bootstrap = mesh.tokensmith.bootstrap_token(&[
        "--subject",
        "service-a",
        "--audience",
        mesh::SERVICE_B,
        "--scopes",
        "read",
    ]);
    narrator.tell(&format!(
        "tokensmith bootstrap-token create: {}",
        shortened(&bootstrap)
    ));
    let redeemed = mesh.tokensmith.redeem(&bootstrap);
    let answer = redeemed.json();
    narrator.response(
        "service A: POST /oauth/token",
        200,
        &redeemed,
        &brief(&answer),
    );
    let token = answer["access_token"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    for (method, status) in [("GET", 200), ("DELETE", 403)] {
        let response = mesh.call_b(method, "/nodes", Some(&token));
        narrator.response(
            &format!("service A: {method} /nodes of service B"),
            status,
            &response,
            &shown(&response.json()),
        );
    }
    let replay = mesh.tokensmith.redeem(&bootstrap);
    narrator.response(
        "anyone: the bootstrap token a second time",
        400,
        &replay,
        &replay.body,
    );
    let refresh = answer["refresh_token"].as_str().unwrap_or_default();
    let refreshed = mesh.tokensmith.refresh(refresh);
    narrator.response(
        "service A: its refresh token",
        200,
        &refreshed,
        &brief(&refreshed.json()),
    );
    token
}

/// What is not a good token for this service gets 401, and nothing reaches the service.
fn refusals(mesh: &Mesh, narrator: &mut Narrator, alice: &str) {
    narrator.heading("What is refused");
    let middle = alice.find('.').map_or(0, |at| at + 20);
    let mut tampered = alice.to_owned();
    let other = if alice[middle..].starts_with('A') {
        "B"
    } else {
        "A"
    };
    tampered.replace_range(middle..=middle, other);
    let expired = expired_token(&mesh.tokensmith, alice);
    let service_b = mesh
        .tokensmith
        .bootstrap_token(&["--subject", "x", "--audience", "elsewhere"]);
    let elsewhere = mesh.tokensmith.redeem(&service_b).json()["access_token"].clone();
    for (what, token) in [
        ("no token", None),
        ("a tampered token", Some(tampered.as_str())),
        ("an expired token", Some(expired.as_str())),
        ("a token for another service", elsewhere.as_str()),
    ] {
        let response = mesh.call_a("GET", "/nodes", token);
        narrator.response(
            &format!("GET /nodes with {what}"),
            401,
            &response,
            &response.body,
        );
        narrator.expect(
            "there is a challenge",
            response
                .header("www-authenticate")
                .is_some_and(|value| value.starts_with("Bearer")),
        );
    }
    let response = mesh.call_a("GET", "/unmapped", Some(alice));
    narrator.response(
        "GET of a path without a rule",
        403,
        &response,
        &response.body,
    );
    let response = mesh.call_a("GET", "/healthz", None);
    narrator.response(
        "GET of a public path",
        200,
        &response,
        &shown(&response.json()),
    );
}

/// Signed by the service's own key: nothing but time is wrong with it.
fn expired_token(service: &Service, good: &str) -> String {
    let folder = service.folder.join("data/keys");
    let folder = tokensmith::key_set::KeyFolder::new(folder);
    let key = folder.signing_key(now()).unwrap();
    let (_, verified) = service.verify(mesh::SERVICE_A, good);
    let mut claims = verified["claims"].as_object().unwrap().clone();
    let past = now() - 7200;
    for name in ["iat", "nbf"] {
        claims.insert(name.to_owned(), json!(past));
    }
    for name in ["exp", "session_exp"] {
        claims.insert(name.to_owned(), json!(past + 3600));
    }
    key.sign(&claims).unwrap()
}

/// An answer with its tokens shortened.
fn brief(answer: &Value) -> String {
    let mut answer = answer.clone();
    for (name, value) in answer.as_object_mut().into_iter().flatten() {
        if let (true, Some(token)) = (name.ends_with("_token"), value.as_str()) {
            *value = shortened(token).into();
        }
    }
    answer.to_string()
}

/// What reached the service, without the headers that every request has.
fn shown(received: &Value) -> String {
    let Some(headers) = received["headers"].as_object() else {
        return received.to_string();
    };
    let identity: Value = headers
        .iter()
        .filter(|(name, _)| name.starts_with("x-tokensmith-"))
        .map(|(name, value)| (name.clone(), value[0].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into();
    format!(
        "the service received {} {} with {identity}",
        received["method"].as_str().unwrap_or_default(),
        received["target"].as_str().unwrap_or_default(),
    )
}

fn shortened(token: &str) -> String {
    match token.get(..16) {
        Some(start) if token.len() > 32 => format!("{start}... ({} characters)", token.len()),
        _ => token.to_owned(),
    }
}
