use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use tokensmith_engine::policy::{
    LegacyBaseline, baseline_policy_version_v1, file_bytes_v1, folder_bytes_v1,
};

use super::args::LoadArgs;
use super::table::{print, print_json};
use crate::cli::CliError;

#[derive(Debug, Args)]
pub(in crate::cli) struct VersionArgs {
    #[command(flatten)]
    files: LoadArgs,
    /// The version that the Go release computes of the same files: its baseline, then one
    /// `--policy`, and one `--grouping`
    #[arg(long)]
    v1: bool,
    /// With `--v1`: the folder counts as that release's `TOKENSMITH_POLICY_DIR` does
    #[arg(long, requires = "v1", value_name = "DIR")]
    v1_dir: Option<PathBuf>,
    /// With `--v1` and `--model`: the Go release's `baseline_policy.csv`
    #[arg(long, requires = "v1", value_name = "FILE")]
    v1_baseline: Option<PathBuf>,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: VersionArgs) -> Result<ExitCode, CliError> {
    let json = arguments.json;
    let version = if arguments.v1 {
        version_v1(&arguments)?
    } else {
        arguments.files.compile()?.policy_version().to_owned()
    };
    if json {
        print_json(&json!({"policy_version": version}))?;
    } else {
        print(&format!("{version}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn version_v1(arguments: &VersionArgs) -> Result<String, CliError> {
    let policy = only("--policy", arguments.files.policy())?;
    let grouping = match (
        only("--grouping", arguments.files.grouping())?,
        &arguments.v1_dir,
    ) {
        // That release puts what is in the folder where groupings are.
        (None, Some(folder)) if policy.is_none() => Some(folder.as_path()),
        (_, Some(_)) => {
            return Err(CliError::Usage(
                "`--v1-dir` goes without `--policy` and `--grouping`".to_owned(),
            ));
        }
        (grouping, None) => grouping,
    };
    let policy = policy.map(bytes).transpose()?.unwrap_or_default();
    let grouping = grouping.map(bytes).transpose()?.unwrap_or_default();
    match (arguments.files.model(), &arguments.v1_baseline) {
        (None, _) => Ok(baseline_policy_version_v1(&policy, &grouping)),
        (Some(model), Some(baseline)) => {
            let baseline = read(baseline)?;
            let baseline = LegacyBaseline::new(&baseline).ok_or_else(|| {
                CliError::Usage("`--v1-baseline` is not the file of the Go release".to_owned())
            })?;
            let model = String::from_utf8_lossy(&read(model)?).into_owned();
            Ok(baseline.policy_version(&model, &policy, &grouping))
        }
        (Some(_), None) => Err(CliError::Usage(
            "`--v1` with `--model` needs `--v1-baseline`: the Go release hashes its own baseline \
             rules with any model"
                .to_owned(),
        )),
    }
}

fn only<'p>(flag: &str, paths: &'p [PathBuf]) -> Result<Option<&'p Path>, CliError> {
    match paths {
        [] => Ok(None),
        [path] => Ok(Some(path)),
        _ => Err(CliError::Usage(format!(
            "`--v1` takes one `{flag}`: the Go release reads one file or folder"
        ))),
    }
}

/// What that release reads of a file or folder.
fn bytes(path: &Path) -> Result<Vec<u8>, CliError> {
    if !path.is_dir() {
        return Ok(file_bytes_v1(&read(path)?).to_vec());
    }
    let name = path.display().to_string();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(CliError::io(name.clone()))? {
        let path = entry.map_err(CliError::io(name.clone()))?.path();
        if path.is_file() && path.as_os_str().as_encoded_bytes().ends_with(b".csv") {
            files.push(path);
        }
    }
    files.sort_by(|one, other| {
        let bytes = |path: &PathBuf| path.as_os_str().as_encoded_bytes().to_vec();
        bytes(one).cmp(&bytes(other))
    });
    let texts = files
        .iter()
        .map(|path| read(path))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(folder_bytes_v1(texts.iter().map(Vec::as_slice)))
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    std::fs::read(path).map_err(CliError::io(path.display().to_string()))
}
