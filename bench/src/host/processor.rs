use std::process::Command;

/// Has what is measured.
pub(crate) const MEASURED: u32 = 0;
/// Has the load.
pub(crate) const LOAD: u32 = 1;

/// The same command, on one processor.
pub(crate) fn pinned(command: &Command, processor: u32) -> Command {
    let mut pinned = Command::new("taskset");
    pinned
        .args(["--cpu-list", &processor.to_string()])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => pinned.env(name, value),
            None => pinned.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        pinned.current_dir(folder);
    }
    pinned
}

/// Does `work` in a thread that stays on one processor, as do the threads it starts.
pub(crate) fn on<T: Send>(processor: u32, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            pin_this_thread(processor);
            work()
        });
        match running.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

pub(crate) fn pin_this_thread(processor: u32) {
    // The link says `<process>/task/<thread>`.
    let link = std::fs::read_link("/proc/thread-self").unwrap();
    let thread = link.file_name().unwrap();
    let output = Command::new("taskset")
        .args(["--cpu-list", "--pid", &processor.to_string()])
        .arg(thread)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "two processors are needed, one for what is measured and one for the load: {output:?}"
    );
}
