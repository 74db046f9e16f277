//! docs/configuration.md has every setting, with its flag, its variables and its default.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Map, Value};
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::{run, tokensmith};

const PAGE: &str = include_str!("../../docs/configuration.md");

/// A row of the table of settings.
struct Setting {
    name: &'static str,
    /// None for what only the environment has.
    flag: Option<&'static str>,
    variables: BTreeSet<&'static str>,
    /// Empty where there is none.
    default: &'static str,
}

/// The rows of the first table after a heading, without its own two lines, in cells.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, section) = PAGE.split_once(&format!("\n## {heading}\n")).unwrap();
    section
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

/// The texts between backticks.
fn quoted(cell: &'static str) -> Vec<&'static str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn settings() -> Vec<Setting> {
    rows("Settings of `serve`")
        .into_iter()
        .map(|cells| Setting {
            name: quoted(cells[0])[0],
            flag: quoted(cells[1]).first().copied(),
            variables: quoted(cells[2]).into_iter().collect(),
            default: quoted(cells[3]).first().copied().unwrap_or_default(),
        })
        .collect()
}

fn text(command: &mut Command) -> String {
    let output = run(command);
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The answer of `config show` with more flags and one variable.
fn show(
    scratch: &Scratch,
    flag: Option<&str>,
    variable: Option<(&str, &str)>,
) -> Map<String, Value> {
    let mut command = tokensmith(scratch.path());
    command
        .args(["config", "show", "--format", "json"])
        .args(flag)
        .envs(variable);
    serde_json::from_str(&text(&mut command)).unwrap()
}

/// A value as the page writes it.
fn written(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text == "not set" => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(written).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// The part of the help that is about a flag; none where the flag is hidden.
fn help_of<'h>(help: &'h str, flag: &str) -> Option<&'h str> {
    help.split("\n      --")
        .skip(1)
        .find(|entry| entry.split([' ', '[', '\n']).next() == flag.strip_prefix("--"))
}

/// The variables in `[env: ..]`.
fn variables_in(help: &str) -> BTreeSet<&str> {
    help.split("[env:")
        .skip(1)
        .filter_map(|rest| rest.split(']').next())
        .flat_map(|list| {
            list.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        })
        .filter(|word| word.contains('_') && *word == word.to_ascii_uppercase())
        .collect()
}

#[test]
fn every_setting_is_there_with_its_default() {
    let shown = show(&Scratch::new(), None, None);
    let settings = settings();
    let sections = rows("Other sections");
    let on_page: BTreeSet<&str> = settings
        .iter()
        .map(|setting| setting.name)
        .chain(sections.iter().map(|cells| quoted(cells[0])[0]))
        .collect();
    let real: BTreeSet<&str> = shown.keys().map(String::as_str).collect();
    assert_eq!(on_page, real);
    for setting in settings {
        let default = written(&shown[setting.name]["value"]);
        assert_eq!(setting.default, default, "{}", setting.name);
    }
}

#[test]
fn flags_and_variables_are_those_of_the_help() {
    let scratch = Scratch::new();
    let help = text(tokensmith(scratch.path()).args(["serve", "--help"]));
    let settings = settings();
    for setting in &settings {
        let name = setting.name;
        let Some(help) = setting.flag.and_then(|flag| help_of(&help, flag)) else {
            // Nothing tells of it but what it does.
            let variables: Vec<_> = setting.variables.iter().copied().collect();
            assert_eq!(variables.len(), 1, "{name}");
            let shown = show(&scratch, None, Some((variables[0], "true")));
            assert_eq!(shown[name]["origin"], "environment", "{name}");
            if let Some(flag) = setting.flag {
                let shown = show(&scratch, Some(&format!("{flag}=true")), None);
                assert_eq!(shown[name]["origin"], "flag", "{name}");
            }
            continue;
        };
        assert_eq!(setting.variables, variables_in(help), "{name}");
        let flag = format!("--{}", name.replace('_', "-"));
        assert_eq!(setting.flag, Some(flag.as_str()));
    }
    let on_page: BTreeSet<&str> = settings.iter().filter_map(|setting| setting.flag).collect();
    for line in help
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("--"))
    {
        let flag = line.split([' ', '[']).next().unwrap();
        let known = on_page.contains(flag) || flag == "--config";
        assert!(known, "`{flag}` is not in docs/configuration.md");
    }
}

#[test]
fn what_groups_grant_is_the_default() {
    let shown = show(&Scratch::new(), None, None);
    let (_, section) = PAGE.rsplit_once("\n| group |").unwrap();
    let mut groups = 0;
    for line in section
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
    {
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        let group = quoted(cells[0])[0];
        for (name, cell) in [("groupScopes", cells[1]), ("groupRoles", cells[2])] {
            let expected = serde_json::json!(quoted(cell));
            assert_eq!(shown[name]["value"][group], expected, "{name} {group}");
        }
        groups += 1;
    }
    let all = shown["groupScopes"]["value"].as_object().unwrap();
    assert_eq!(groups, all.len());
}
