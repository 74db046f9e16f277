use serde_json::{Map, Value, json};
use tokensmith_engine::jose::{Algorithm, encode_base64url};
use tokensmith_tests::tokens::Signer;

use crate::issuers::{Issuer, Native};
use crate::splitmix::SplitMix;

const NOW: i64 = 1_800_000_000;
const OBJECTS: [&str; 4] = ["metadata:nodes", "boot:configs", "smd:hardware", "nothing"];
const ACTIONS: [&str; 3] = ["read", "update", "delete"];

/// The names of the issuers, with the algorithms of their keys.
const ISSUERS: [(&str, [Algorithm; 2]); 2] = [
    ("https://a.test", [Algorithm::ES256, Algorithm::RS256]),
    ("https://b.test", [Algorithm::EdDSA, Algorithm::PS256]),
];

/// Tokens of two issuers: good ones, ones with a wrong claim or header, and ones that were changed
/// after they were signed.
pub(crate) fn tokens(count: usize, print: &mut impl FnMut(Value)) {
    let signers: Vec<[Signer; 2]> = ISSUERS
        .iter()
        .map(|(_, algorithms)| algorithms.map(Signer::new))
        .collect();
    let issuers: Vec<Issuer> = signers
        .iter()
        .enumerate()
        .map(|(index, own)| Issuer {
            options: options(index, own),
        })
        .collect();
    let native = Native::new("generated", &issuers, print);
    let mut random = SplitMix(1);
    for _ in 0..count {
        let issuer = random.below(ISSUERS.len());
        // The other issuer's keys sign too, at times. RSA signs slowly.
        let keys = if random.one_in(20) {
            1 - issuer
        } else {
            issuer
        };
        let signer = &signers[keys][usize::from(random.one_in(6))];
        let token = changed(signed(signer, issuer, &mut random), &mut random);
        let requests = [[*random.of(&OBJECTS), *random.of(&ACTIONS)]];
        native.answer(&token, NOW, &requests, print);
    }
}

fn options(index: usize, signers: &[Signer; 2]) -> Value {
    let keys: Vec<Value> = signers.iter().map(|own| own.jwk.to_json()).collect();
    let mut options = json!({
        "issuer": ISSUERS[index].0,
        "audience": ["svc", "other"],
        "jwks": {"keys": keys},
    });
    if index == 1 {
        options["profile"] = json!("generic");
        options["clockTolerance"] = json!(0);
        options["require"] = json!({"minFactors": 1, "maxLifetime": 7200});
        options["principal"] = json!({
            "roles": [{"claim": "roles"}, {"claim": ["realm", "roles"], "prefix": "x-"}],
            "groupRoles": {"hpc": ["operator"], "é": ["admin"]},
            "serviceClients": ["sync"],
            "subjects": ["role", "user", "service", "group", "scope"],
        });
    }
    options
}

fn signed(signer: &Signer, issuer: usize, random: &mut SplitMix) -> String {
    let mut claims = json!({
        "iss": ISSUERS[issuer].0, "sub": "alice", "aud": ["svc"],
        "iat": NOW - 10, "nbf": NOW - 10, "exp": NOW + 3600,
        "auth_level": "IAL2", "auth_factors": 2, "auth_methods": ["pwd", "otp"],
        "auth_events": ["login"], "session_id": "s-1", "session_exp": NOW + 3600,
        "roles": ["viewer"], "scope": ["read"],
    });
    let mut header = json!({"alg": signer.algorithm.name(), "kid": signer.jwk.kid(), "typ": "JWT"});
    for _ in 0..random.below(4) {
        change(claims.as_object_mut().unwrap(), claim(random));
    }
    if random.one_in(8) {
        change(header.as_object_mut().unwrap(), header_member(random));
    }
    signer.sign_with_header(&header, &claims)
}

/// Puts a member in, or takes it out for `null`.
fn change(members: &mut Map<String, Value>, (name, value): (&str, Value)) {
    match value {
        Value::Null => members.remove(name),
        value => members.insert(name.to_owned(), value),
    };
}

fn claim(random: &mut SplitMix) -> (&'static str, Value) {
    let near = NOW + random.below(140) as i64 - 70;
    let values = [
        ("exp", json!(near)),
        ("nbf", json!(near)),
        ("iat", json!(near)),
        ("exp", json!(near as f64 + 0.5)),
        ("exp", json!("1800003600")),
        ("exp", Value::Null),
        ("session_exp", json!(near)),
        ("aud", json!("svc")),
        ("aud", json!(["x", "other"])),
        ("aud", json!("x")),
        ("aud", json!(7)),
        ("sub", json!("")),
        ("sub", json!("\u{1f600} \"q\" \\ \n é")),
        ("sub", Value::Null),
        ("iss", json!("https://c.test")),
        ("roles", json!(["admin", "role:viewer", " viewer "])),
        ("roles", json!("admin")),
        ("roles", json!([1, "operator", null])),
        ("roles", json!([])),
        ("groups", json!(["hpc", "é"])),
        ("realm", json!({"roles": ["x-service", "y"]})),
        ("scope", json!("read write")),
        ("scope", json!(["a", "b"])),
        ("scope", json!({"a": 1})),
        ("azp", json!("sync")),
        ("principal_type", json!("service")),
        ("auth_factors", json!(1)),
        ("auth_factors", json!("2")),
        ("auth_methods", json!(["bootstrap_exchange"])),
        (
            "cnf",
            json!({"jkt": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"}),
        ),
        ("cnf", json!("x")),
        ("token_use", json!("refresh")),
        ("big", json!(9_007_199_254_740_993_i64)),
        ("deep", json!([[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]])),
        ("__proto__", json!({"roles": ["admin"]})),
        ("constructor", json!("x")),
    ];
    random.of(&values).clone()
}

fn header_member(random: &mut SplitMix) -> (&'static str, Value) {
    let values = [
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("alg", json!("ES384")),
        ("alg", json!("RS256")),
        ("alg", Value::Null),
        ("kid", Value::Null),
        ("kid", json!("other")),
        ("kid", json!("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")),
        ("kid", json!(1)),
        ("typ", json!("at+jwt")),
        ("typ", json!("application/at+JWT")),
        ("typ", json!("dpop+jwt")),
        ("typ", Value::Null),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("jwk", json!({"kty": "oct", "k": "AA"})),
    ];
    random.of(&values).clone()
}

/// The token as it was signed, in two of three cases.
fn changed(token: String, random: &mut SplitMix) -> String {
    if !random.one_in(3) {
        return token;
    }
    let at = random.below(token.len());
    let (before, after) = token.split_at(at);
    let rest = after.get(1..).unwrap_or_default();
    match random.below(7) {
        0 => format!("{before}A{rest}"),
        1 => before.to_owned(),
        2 => format!("{before}.{after}"),
        3 => format!("{before}{rest}"),
        4 => format!("{token}="),
        5 => format!("{before}é{after}"),
        _ => {
            let (input, _) = token.rsplit_once('.').unwrap();
            let bytes: Vec<u8> = (0..64).map(|_| random.next() as u8).collect();
            format!("{input}.{}", encode_base64url(bytes))
        }
    }
}
