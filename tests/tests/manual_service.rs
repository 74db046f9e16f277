//! docs/service.md has every endpoint, metric, audit event and field of the configuration's tables.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeSet;

use serde_json::Value;
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::{Service, run, tokensmith};

const PAGE: &str = include_str!("../../docs/service.md");

/// The texts between backticks.
fn quoted(text: &'static str) -> BTreeSet<&'static str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The text from a heading to the next one of its rank.
fn section(heading: &str) -> &'static str {
    let (_, below) = PAGE.split_once(&format!("\n## {heading}\n")).unwrap();
    below.split("\n## ").next().unwrap()
}

/// The rows of the tables of a text, without the two lines that each begins with, in cells.
fn rows(text: &'static str) -> Vec<Vec<&'static str>> {
    let lines: Vec<&'static str> = text.lines().collect();
    let mut rows = Vec::new();
    for table in lines.split(|line| !line.starts_with('|')) {
        for line in table.iter().skip(2) {
            rows.push(line.trim_matches('|').split('|').map(str::trim).collect());
        }
    }
    rows
}

/// What stands in backticks in the first cells.
fn first_cells(text: &'static str) -> BTreeSet<&'static str> {
    let rows = rows(text);
    rows.iter().flat_map(|cells| quoted(cells[0])).collect()
}

#[test]
fn every_endpoint_is_there() {
    let cells = first_cells(section("Endpoints"));
    let on_page: BTreeSet<&str> = cells
        .into_iter()
        .map(|text| text.split(' ').next_back().unwrap())
        .filter(|path| path.starts_with('/'))
        .collect();
    let openapi: Value =
        serde_json::from_str(include_str!("../../host/src/service/openapi.json")).unwrap();
    let mut real: BTreeSet<&str> = openapi["paths"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    // Its listener is another one, which has no document.
    real.insert("/admin/oidc/config");
    assert_eq!(on_page, real);
}

#[test]
fn every_metric_is_there_with_its_labels() {
    let scratch = Scratch::new();
    let issuer =
        r#"{"issuer": "https://a.test", "audiences": ["x"], "jwks_uri": "http://127.0.0.1:9"}"#;
    let config = format!("{{\"issuers\": [{issuer}]}}");
    let config = scratch.write("authz.json", &config).display().to_string();
    let arguments = [
        "--ext-authz-listen",
        "127.0.0.1:0",
        "--ext-authz-config",
        &config,
    ];
    let service = Service::start(scratch.path(), &arguments).unwrap();
    // Brings a sample of each metric that has labels.
    service.get("/ready");
    service.refresh("unknown");
    let exposed = service.get("/metrics").body;
    let documented = rows(section("Metrics"));
    let on_page: BTreeSet<(&str, &str)> = documented
        .iter()
        .map(|cells| (cells[0].trim_matches('`'), cells[1]))
        .collect();
    let real: BTreeSet<(&str, &str)> = exposed
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    assert_eq!(on_page, real);
    for cells in &documented {
        let name = cells[0].trim_matches('`');
        let sample = exposed
            .lines()
            .find(|line| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with(['{', ' ', '_']))
            })
            .unwrap_or_else(|| panic!("no sample of `{name}`"));
        let labels = sample.split_once('{').map_or("", |(_, labels)| labels);
        let real: BTreeSet<&str> = labels
            .split(',')
            .filter_map(|pair| pair.split_once("=\"").map(|(label, _)| label))
            .filter(|label| *label != "le")
            .collect();
        // What stands behind a colon are values.
        let on_page = quoted(cells[2].split(':').next().unwrap());
        assert_eq!(on_page, real, "{name}");
    }
}

#[test]
fn every_audit_event_is_there() {
    let on_page = first_cells(section("Audit log"));
    let source = include_str!("../../host/src/audit/line.rs");
    let (_, events) = source.split_once("pub enum AuditEvent {").unwrap();
    let events = events.split("\n}").next().unwrap();
    let mut count = 0;
    for line in events.lines().map(str::trim) {
        let Some(event) = line.strip_suffix(',') else {
            continue;
        };
        let mut name = String::new();
        for letter in event.chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(letter.to_ascii_lowercase());
        }
        assert!(on_page.contains(name.as_str()), "`{name}` is not there");
        count += 1;
    }
    assert!(count > 5);
}

#[test]
fn every_field_of_the_tables_is_there() {
    let scratch = Scratch::new();
    let rule = "[[exchange]]\nname = 'a'\nclients = ['a']\naudiences = ['a']\nscopes = []\n\
                mode = 'delegate'\n";
    let client = "[[clients]]\nclient_id = 'a'\nauth = 'private_key_jwt'\n\
                  grants = ['token_exchange']\n";
    for (heading, file) in [
        ("Exchange rules", "[[exchange]]\nunknown = 1\n".to_owned()),
        (
            "Exchange rules",
            format!("{rule}subject = {{ unknown = 1 }}\n"),
        ),
        ("Clients", "[[clients]]\nunknown = 1\n".to_owned()),
        (
            "Clients",
            format!("{client}client_credentials = {{ unknown = 1 }}\n"),
        ),
        (
            "Service identities",
            "[[service_identities]]\nunknown = 1\n".to_owned(),
        ),
    ] {
        scratch.write("site.toml", &file);
        let output =
            run(tokensmith(scratch.path()).args(["config", "check", "--config", "site.toml"]));
        let answer = String::from_utf8(output.stdout).unwrap();
        let (_, fields) = answer
            .split_once("expected one of ")
            .unwrap_or_else(|| panic!("{file}: {answer}"));
        let on_page: BTreeSet<&str> = rows(section(heading))
            .into_iter()
            .flat_map(|cells| cells.into_iter().flat_map(quoted))
            .collect();
        for field in fields.split('`').skip(1).step_by(2) {
            assert!(on_page.contains(field), "`{field}` is not in \"{heading}\"");
        }
    }
}
