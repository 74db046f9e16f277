use clap::{Args as _, Command};

use super::toml_line;
use crate::cli::serve::{Layers, ServeArgs};
use crate::config_file::ConfigFile;
use crate::service::{Origin, ShownSetting, ShownValue};

/// Comments are not wider than this.
const WIDTH: usize = 98;

const HEAD: &str = "\
# Configuration of TokenSmith. A flag beats the environment, which beats this file, which beats
# the default. Secrets are never here: that of the OIDC client is OIDC_CLIENT_SECRET in the
# environment. `tokensmith config check` says whether all is well, `tokensmith config show` what
# is in use.

# The identity token's claim that becomes `sub`; `preferred_username`, else `sub`, without.
#subjectClaim = \"preferred_username\"
";

const CLAIM_DEFAULTS: &str = "
# Values for claims that the provider does not send; there is none without.
[claimDefaults]
#auth_level = \"AAL2\"
#auth_factors = 2
#auth_methods = [\"password\", \"otp\"]
#auth_events = [\"login\"]
#session_seconds = 28800
";

const SECTIONS: &str = "
# How claims of the provider become those of TokenSmith.
[oidc]
#preset = \"none\"

# WebAssembly plugins and the limits of their calls.
[plugins]
#claim_mapper =
#scope_policy =
#fuel = 20000000
#timeout_ms = 50
#memory_mib = 16
#answer_kib = 64

# Further sections are lists of tables: [[clients]] of the token endpoint, [[service_identities]]
# by certificate, [[exchange]] rules.
";

/// A configuration file with every setting and its default.
pub(super) fn text() -> String {
    let serve = ServeArgs::augment_args(Command::new("serve"));
    let grants = ConfigFile::with_default_grants();
    let mut text = HEAD.to_owned();
    for (title, name, groups) in [
        ("scopes", "groupScopes", grants.group_scopes),
        ("roles", "groupRoles", grants.group_roles),
    ] {
        text.push_str(&format!("\n# Which {title} a group grants.\n[{name}]\n"));
        for (group, granted) in groups.unwrap_or_default() {
            let granted = toml_line::inline(&granted.into());
            text.push_str(&format!("{} = {granted}\n", toml_line::key(&group)));
        }
    }
    text.push_str(CLAIM_DEFAULTS);
    text.push_str("\n# Settings of `tokensmith serve`, each with its default.\n[serve]\n");
    for setting in settings() {
        text.push_str(&lines(&serve, &setting));
    }
    text.push_str(SECTIONS);
    text
}

/// What `serve` uses when nobody says anything.
fn settings() -> Vec<ShownSetting> {
    let resolved = ServeArgs::default().resolve(&Layers::default());
    resolved.settings.shown
}

/// A setting's comment and its line; nothing for what is not written in files.
fn lines(serve: &Command, setting: &ShownSetting) -> String {
    let mut arguments = serve.get_arguments();
    let Some(argument) = arguments
        .find(|argument| argument.get_id().as_str() == setting.name)
        .filter(|argument| !argument.is_hide_set())
    else {
        return String::new();
    };
    let help = argument.get_help().map(ToString::to_string);
    let help = help.unwrap_or_default();
    let what = ["[default:", "[env:"]
        .iter()
        .fold(help.as_str(), |text, end| {
            text.split(end).next().unwrap_or_default().trim_end()
        });
    let mut text = comment(what);
    match &setting.value {
        ShownValue::Value(value) if setting.origin == Origin::Default => {
            text.push_str(&format!(
                "#{} = {}\n",
                setting.name,
                toml_line::inline(value)
            ));
        }
        _ => text.push_str(&format!("#{} =\n", setting.name)),
    }
    text
}

fn comment(text: &str) -> String {
    let mut comment = String::new();
    let mut line = "#".to_owned();
    for word in text.split_whitespace() {
        if line.len().saturating_add(word.len()) >= WIDTH {
            comment.push_str(&line);
            comment.push('\n');
            line = "#".to_owned();
        }
        line.push(' ');
        line.push_str(word);
    }
    comment.push_str(&line);
    comment.push('\n');
    comment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_tells_the_defaults() {
        let serve = ServeArgs::augment_args(Command::new("serve"));
        for setting in settings() {
            let ShownValue::Value(value) = &setting.value else {
                continue;
            };
            // What follows from another setting, and lists that are empty.
            if ["store", "trusted_proxy"].contains(&setting.name) {
                continue;
            }
            let argument = serve
                .get_arguments()
                .find(|argument| argument.get_id().as_str() == setting.name)
                .unwrap();
            let shown = value.as_array().map_or(value, |list| &list[0]);
            let shown = shown.as_str().map_or(shown.to_string(), str::to_owned);
            let help = argument.get_help().unwrap().to_string();
            assert!(
                argument.is_hide_set() || help.ends_with(&format!("[default: {shown}]")),
                "{}: {help}",
                setting.name
            );
        }
    }

    #[test]
    fn each_default_can_be_written_out() {
        let written: String = text()
            .lines()
            .map(|line| {
                let bare = line.strip_prefix('#').filter(|rest| {
                    rest.starts_with(|first: char| first.is_ascii_lowercase())
                        && !rest.ends_with('=')
                });
                format!("{}\n", bare.unwrap_or(line))
            })
            .collect();
        let file = ConfigFile::parse("all.toml", &written).unwrap();
        assert_eq!(file.serve.port, Some(8080), "{written}");
        assert!(file.claim_defaults.unwrap().session_seconds.is_some());
        assert!(ConfigFile::parse("as-it-is.toml", &text()).is_ok());
    }
}
