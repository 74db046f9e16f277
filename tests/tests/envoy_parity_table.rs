//! docs/envoy-parity.md has every field of Envoy's two filters, and names tests that exist.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::path::PathBuf;

/// The fields of `envoy.extensions.filters.http.jwt_authn.v3`, `envoy.extensions.filters.http.rbac.v3`
/// and `envoy.config.rbac.v3` in Envoy 1.40, without names that lists and containers have.
const FIELDS: &str = "
    providers issuer audiences subjects require_expiration max_lifetime local_jwks forward
    from_headers value_prefix from_params from_cookies forward_payload_header
    pad_forward_payload_header payload_in_metadata normalize_payload_in_metadata
    space_delimited_claims header_in_metadata failed_status_in_metadata clock_skew_seconds
    jwt_cache_config jwt_cache_size jwt_max_token_size claim_to_headers header_name claim_name
    claim_path clear_route_cache http_uri cache_duration async_fetch retry_policy fast_listener
    failed_refetch_duration provider_name provider_and_audiences requires_any requires_all
    allow_missing_or_failed allow_missing extract_only_without_validation
    verification_status_header match requires requirement_name rules filter_state_rules
    bypass_cors_preflight requirement_map strip_failure_response stat_prefix disabled
    action ALLOW DENY LOG policies permissions principals condition checked_condition
    and_rules or_rules any header url_path destination_ip destination_port
    destination_port_range metadata not_rule requested_server_name matcher uri_template
    sourced_metadata metadata_matcher metadata_source and_ids or_ids authenticated
    principal_name source_ip direct_remote_ip remote_ip filter_state not_id custom
    shadow_rules shadow_matcher shadow_rules_stat_prefix track_per_rule_stats
    audit_logging_options audit_condition logger_configs audit_logger is_optional rbac";

fn read(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The cells of the rows of all tables, without heads.
fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut is_body) = (Vec::new(), false);
    for line in text.lines() {
        if !line.starts_with('|') {
            is_body = false;
        } else if line.starts_with("| ---") {
            is_body = true;
        } else if is_body {
            let cells = line.trim_matches('|').split(" | ");
            rows.push(cells.map(|cell| cell.trim().to_owned()).collect());
        }
    }
    rows
}

fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The functions of the suites that run a real Envoy, those with `#[test]` before them.
fn tests() -> Vec<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !file.starts_with("envoy_") {
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        for rest in text.split("#[test]\nfn ").skip(1) {
            names.push(rest.split('(').next().unwrap().to_owned());
        }
    }
    names
}

#[test]
fn every_row_names_tests_that_exist_or_says_why_not() {
    let (mut ours, tests) = (0, tests());
    for row in rows(&read("../docs/envoy-parity.md")) {
        let name = &row[0];
        let says_no = match row.as_slice() {
            [_, own, _] => {
                let word = own.split([':', ';']).next().unwrap();
                assert!(["yes", "otherwise", "no"].contains(&word), "{name}: {own}");
                word == "no"
            }
            [_, _] => false,
            cells => panic!("{name} has {} cells", cells.len()),
        };
        let last = row.last().unwrap();
        if says_no {
            assert!(last.len() > 10, "{name}: no reason is given");
            continue;
        }
        let mut named = quoted(last).peekable();
        assert!(named.peek().is_some(), "{name} names no test");
        for test in named {
            ours += 1;
            let exists = tests.iter().any(|own| own == test);
            assert!(exists, "{name} names `{test}`, which is no test of Envoy's");
        }
    }
    assert!(ours > 60, "{ours}");
}

#[test]
fn every_field_of_envoys_is_in_the_table() {
    let rows = rows(&read("../docs/envoy-parity.md"));
    let listed: Vec<&str> = rows
        .iter()
        .filter(|row| row.len() == 3)
        .flat_map(|row| quoted(&row[0]))
        .collect();
    let missing: Vec<&str> = FIELDS
        .split_whitespace()
        .filter(|field| !listed.contains(field))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
