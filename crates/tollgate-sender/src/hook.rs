//! The command that runs when the meter status changes.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::status::Standing;

/// Runs what a change asks for.
pub trait Hook {
    /// Runs for the `change`th change, to `standing`. What comes of it is its own affair.
    fn run(&mut self, standing: &Standing, change: u64);
}

/// No hook.
impl Hook for () {
    fn run(&mut self, _: &Standing, _: u64) {}
}

/// A shell command.
#[derive(Debug, Clone)]
pub struct ShellHook {
    /// What the shell is given.
    pub command: String,
    /// How long it may run before it is killed.
    pub timeout: Duration,
}

/// How often it is looked whether the command has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Hook for ShellHook {
    fn run(&mut self, standing: &Standing, change: u64) {
        let started = Instant::now();
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", &self.command])
            .env("TOLLGATE_METER_STATUS", &standing.status)
            .env("TOLLGATE_METER_INFO", &standing.info)
            .env("TOLLGATE_METER_CHANGE", change.to_string())
            .env("JUJU_METER_STATUS", &standing.status)
            .env("JUJU_METER_INFO", &standing.info)
            .stdin(Stdio::null())
            // Standard output is the program's own.
            .stdout(Stdio::null());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return warn!(%error, "could not start the hook"),
        };
        loop {
            match child.try_wait() {
                Ok(Some(status)) if status.success() => {
                    return info!(meter.status = standing.status, meter.change = change, "the hook ran");
                }
                Ok(Some(status)) => return warn!(%status, meter.change = change, "the hook failed"),
                Ok(None) if self.timeout <= started.elapsed() => break,
                Ok(None) => std::thread::sleep(LOOK_EVERY),
                Err(error) => return warn!(%error, "could not wait for the hook"),
            }
        }
        warn!(timeout = ?self.timeout, "the hook took too long and is killed");
        // When it cannot be killed it has just ended.
        let _ = child.kill();
        let _ = child.wait();
    }
}
