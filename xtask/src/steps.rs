//! A chore is a list of steps: each is shown, timed, and must pass before the next one starts.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// What ran so far.
#[derive(Default)]
pub(crate) struct Steps(Vec<Step>);

struct Step {
    title: String,
    result: StepResult,
    time: Duration,
}

enum StepResult {
    Passed,
    Failed,
    /// The step, or what it stands for, could not run here.
    DidNotRun(String),
}

impl Steps {
    /// Runs a command, which must exit with 0. It gets no standard input.
    ///
    /// # Errors
    ///
    /// When it does not, or cannot be run. Then the chore is over.
    pub(crate) fn command(&mut self, title: &str, command: &mut Command) -> Result<()> {
        self.work(title, || run(command))
    }

    /// Does a piece of work of our own.
    ///
    /// # Errors
    ///
    /// When the work fails. Then the chore is over.
    pub(crate) fn work(&mut self, title: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("\n==> {title}");
        let start = Instant::now();
        let outcome = work();
        let result = if outcome.is_ok() { StepResult::Passed } else { StepResult::Failed };
        self.0.push(Step { title: title.to_owned(), result, time: start.elapsed() });
        outcome.with_context(|| format!("step {}, {title}", self.0.len()))
    }

    /// Says that a step cannot run here, and why.
    pub(crate) fn did_not_run(&mut self, title: &str, why: &str) {
        println!("\n==> {title} did NOT run: {why}");
        let result = StepResult::DidNotRun(why.to_owned());
        self.0.push(Step { title: title.to_owned(), result, time: Duration::ZERO });
    }

    /// Shows what ran, and what went wrong.
    pub(crate) fn finish(self, outcome: Result<()>) -> ExitCode {
        println!("\n{}", self.table());
        match outcome {
            Ok(()) => {
                println!("{}", self.closing_line());
                ExitCode::SUCCESS
            }
            Err(error) => {
                println!("failed: {error:#}\n{}", self.closing_line());
                ExitCode::FAILURE
            }
        }
    }

    fn table(&self) -> String {
        let mut table = String::new();
        let width = self.0.iter().map(|step| step.title.len()).max().unwrap_or(0);
        for (index, Step { title, result, time }) in self.0.iter().enumerate() {
            let _infallible = match result {
                StepResult::Passed => {
                    writeln!(table, "{:3}  {title:width$}  passed {:8.1} s", index + 1, time.as_secs_f64())
                }
                StepResult::Failed => {
                    writeln!(table, "{:3}  {title:width$}  FAILED {:8.1} s", index + 1, time.as_secs_f64())
                }
                StepResult::DidNotRun(why) => {
                    writeln!(table, "{:3}  {title:width$}  did NOT run: {why}", index + 1)
                }
            };
        }
        table
    }

    /// The counts, as test runners put them.
    fn closing_line(&self) -> String {
        let count = |is_counted: fn(&StepResult) -> bool| {
            self.0.iter().filter(|step| is_counted(&step.result)).count()
        };
        let n_passed = count(|result| matches!(result, StepResult::Passed));
        let n_failed = count(|result| matches!(result, StepResult::Failed));
        match count(|result| matches!(result, StepResult::DidNotRun(_))) {
            0 => format!("{n_passed} passed, {n_failed} failed"),
            n_skipped => format!("{n_passed} passed, {n_failed} failed, {n_skipped} skipped"),
        }
    }
}

/// Shows a command and runs it.
///
/// # Errors
///
/// When it cannot be run, or ends in any way but exit code 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    println!("    {}", shown(command));
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("run {}", shown(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs a command without showing it, and gives what it prints.
///
/// # Errors
///
/// As [`run`]; then with what it said on standard error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("run {}", shown(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} ended with {}: {}", shown(command), output.status, said.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("read the output of {}", shown(command)))
}

/// A command as one would type it, in the folder where it runs.
fn shown(command: &Command) -> String {
    let mut words = Vec::new();
    if let Some(folder) = command.get_current_dir() {
        words.push(format!("cd {} &&", quoted(folder.as_os_str())));
    }
    for (name, value) in command.get_envs() {
        // The search path is long and says nothing.
        if let Some(value) = value.filter(|_| name != "PATH") {
            words.push(format!("{}={}", name.to_string_lossy(), quoted(value)));
        }
    }
    words.push(quoted(command.get_program()));
    words.extend(command.get_args().map(quoted));
    words.join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=:,+@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_a_command_as_one_would_type_it() {
        let mut command = Command::new("cargo");
        command.args(["doc", "it's"]).env("RUSTDOCFLAGS", "-D warnings").env("PATH", "/x").current_dir("a b");
        assert_eq!(shown(&command), r"cd 'a b' && RUSTDOCFLAGS='-D warnings' cargo doc 'it'\''s'");
    }

    #[test]
    fn counts_steps_and_stops_nothing_silently() {
        let mut steps = Steps::default();
        steps.command("good", &mut Command::new("true")).expect("true exits with 0");
        assert_eq!(steps.closing_line(), "1 passed, 0 failed");
        steps.did_not_run("other", "there is none");
        let error = steps.command("bad", &mut Command::new("false")).expect_err("false exits with 1");
        assert_eq!(format!("{error:#}"), "step 3, bad: false ended with exit status: 1");
        assert_eq!(steps.closing_line(), "1 passed, 1 failed, 1 skipped");
        let table = steps.table();
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].starts_with("  1  good   passed "), "{}", lines[0]);
        assert_eq!(lines[1], "  2  other  did NOT run: there is none");
        assert!(lines[2].starts_with("  3  bad    FAILED "), "{}", lines[2]);
    }
}
