use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Result, anyhow};

use crate::command::{command, root, run};
use crate::setup;

/// How long each target runs in `ci`.
pub(crate) const SECONDS: u32 = 60;

/// Runs every fuzz target for `seconds`, two at a time, from the seeds kept in fuzz/seeds.
///
/// A finding is left in fuzz/artifacts. libFuzzer holds each input to the memory and time that the
/// engine promises: no single allocation over 8 MiB, no input slower than 5 s.
pub(crate) fn all(seconds: u32) -> Result<()> {
    let cargo_fuzz = setup::cargo_fuzz()?;
    let targets = targets()?;
    // One after the other, so that no two runs build.
    for target in &targets {
        fuzz(&cargo_fuzz, "build", target, &[])?;
    }
    for pair in targets.chunks(2) {
        thread::scope(|scope| {
            let running: Vec<_> = pair
                .iter()
                .map(|target| scope.spawn(|| one(&cargo_fuzz, target, seconds)))
                .collect();
            running.into_iter().try_for_each(|run| {
                run.join()
                    .map_err(|_| anyhow!("a fuzz run's thread panicked"))?
            })
        })?;
    }
    println!(
        "xtask: {} fuzz targets ran for {seconds} s each without a finding",
        targets.len()
    );
    Ok(())
}

/// The targets' names; each has seeds.
fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root().join("fuzz/fuzz_targets"))? {
        let path = entry?.path();
        if let Some(name) = path.file_stem().and_then(|name| name.to_str()) {
            let seeds = seeds(name);
            if !seeds.is_dir() {
                return Err(anyhow!(
                    "fuzz target `{name}` has no seeds in `{}`",
                    seeds.display()
                ));
            }
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn one(cargo_fuzz: &Path, target: &str, seconds: u32) -> Result<()> {
    let corpus = root().join("fuzz/corpus").join(target);
    std::fs::create_dir_all(&corpus)?;
    let time = format!("-max_total_time={seconds}");
    fuzz(
        cargo_fuzz,
        "run",
        target,
        &[
            &corpus.to_string_lossy(),
            &seeds(target).to_string_lossy(),
            "--",
            &time,
            "-timeout=5",
            "-max_len=20000",
            "-malloc_limit_mb=8",
            "-rss_limit_mb=1024",
            "-verbosity=0",
            "-print_final_stats=1",
        ],
    )
}

fn fuzz(cargo_fuzz: &Path, task: &str, target: &str, more: &[&str]) -> Result<()> {
    let folder = root().join("fuzz").to_string_lossy().into_owned();
    let mut fuzz = command(&cargo_fuzz.to_string_lossy(), &["fuzz", task]);
    fuzz.args(["--fuzz-dir", &folder, target])
        .args(more)
        // The sanitizer flags are unstable; the compiler is the one that builds everything else.
        .env("RUSTC_BOOTSTRAP", "1");
    run(&mut fuzz)
}

fn seeds(target: &str) -> PathBuf {
    root().join("fuzz/seeds").join(target)
}
