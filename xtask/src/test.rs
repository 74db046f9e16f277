use std::process::Command;

use anyhow::Result;

use crate::build;
use crate::command::{command, root, run};
use crate::plugins;
use crate::setup::{self, Tools};

/// Set-up, build, and every test of the workspace.
pub(crate) fn all() -> Result<()> {
    let tools = setup::all()?;
    build::all()?;
    run(with_tools(
        &mut command(
            "cargo",
            &[
                "test",
                "--locked",
                "--workspace",
                "--all-features",
                "--no-fail-fast",
            ],
        ),
        &tools,
    ))?;
    run(with_tools(
        command(
            "node",
            &[
                "--test",
                "--test-concurrency=1",
                "tests/browser/verifier.test.mjs",
                "tests/browser/features.test.mjs",
                "tests/browser/policy.test.mjs",
                "tests/browser/answers.test.mjs",
                "tests/browser/consumer.test.mjs",
                "tests/browser/ui.test.mjs",
            ],
        )
        .env("NODE_ENV", "test"),
        &tools,
    ))?;
    run(with_tools(
        &mut command("node", &["--test", "tests/wire/oauth.test.mjs"]),
        &tools,
    ))
}

/// Tells a program where what it tests is.
pub(crate) fn with_tools<'c>(command: &'c mut Command, tools: &Tools) -> &'c mut Command {
    let target = root().join("target");
    command
        .env("TOKENSMITH_ENVOY", &tools.envoy)
        .env("TOKENSMITH_CHROMIUM", &tools.chromium)
        .env("TOKENSMITH_POSTGRES_BIN", &tools.postgres)
        .env("TOKENSMITH_SCHEMATHESIS", &tools.schemathesis)
        .env("TOKENSMITH_PLUGINS", plugins::folder())
        .env("TOKENSMITH_BIN", target.join("release/tokensmith"))
        // Built with the tests.
        .env(
            "TOKENSMITH_NATIVE_ANSWERS",
            target.join("debug/native-answers"),
        )
        .env(
            "TOKENSMITH_FILTER_WASM",
            target.join("wasm32-unknown-unknown/release/tokensmith_envoy.wasm"),
        )
}
