mod args;
mod layers;
mod resolve;
mod show;

use std::process::ExitCode;

use super::{CliError, runtime};
use crate::service::{Listening, Settings};
use crate::telemetry::{Traces, start_log};

pub(super) use args::{AuditArgs, ServeArgs, StoreArgs};
pub(super) use layers::{KeyPlace, Layers};
pub(super) use resolve::Resolved;

pub(super) fn run(arguments: ServeArgs, layers: &Layers) -> Result<ExitCode, CliError> {
    start_log();
    let Resolved {
        settings,
        problems,
        without_effect,
    } = arguments.resolve(layers);
    if !problems.is_empty() {
        return Err(CliError::Usage(problems.join("; ")));
    }
    for setting in without_effect {
        tracing::warn!(setting, "accepted for older set-ups, has no effect");
    }
    let traces = Traces::start().map_err(|error| CliError::Usage(error.to_string()))?;
    let served = serve(settings);
    traces.end();
    served
}

fn serve(settings: Settings) -> Result<ExitCode, CliError> {
    runtime()?.block_on(async {
        let listening = Listening::start(settings).await?;
        println!("listening on {}", listening.url());
        listening.serve(shutdown()).await;
        Ok(ExitCode::SUCCESS)
    })
}

/// Ends at SIGTERM or an interrupt.
async fn shutdown() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        Err(error) => {
            tracing::warn!(%error, "cannot listen for SIGTERM");
            drop(tokio::signal::ctrl_c().await);
        }
    }
}
