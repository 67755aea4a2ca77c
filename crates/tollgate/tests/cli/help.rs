//! The help, the manual and the completions.

use crate::tollgate::run;

fn commands() -> Vec<String> {
    let help = run(&["--help"]).stdout;
    let (_, list) = help.split_once("Commands:\n").expect("a list of commands");
    let (list, _) = list.split_once("\n\n").expect("an end of the list");
    let names = list.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !name.is_empty() && *name != "help").map(str::to_owned).collect()
}

#[test]
fn every_command_shows_an_example_and_its_exit_codes_are_told() {
    assert!(10 <= commands().len(), "{:?}", commands());
    for command in commands() {
        let help = run(&[&command, "--help"]);
        assert_eq!(help.exit, Some(0));
        assert!(help.stdout.contains(&format!("\n  tollgate {command}")), "no example:\n{}", help.stdout);
    }
    let help = run(&["--help"]).stdout;
    assert!(help.contains("Exit codes:\n  0  all is well"), "{help}");
}

#[test]
fn no_command_shows_the_help_and_is_wrong_usage() {
    let run = run(&[]);
    assert_eq!(run.exit, Some(2));
    assert!(run.stderr.contains("Usage: tollgate"), "{}", run.stderr);
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    assert_eq!(run(&["man", "--dir", dir.path().to_str().expect("UTF-8")]).exit, Some(0));
    for command in commands() {
        let page = std::fs::read_to_string(dir.path().join(format!("tollgate-{command}.1"))).expect("a page");
        // The format writes a hyphen so.
        assert!(page.contains(&format!("tollgate {}", command.replace('-', "\\-"))), "{page}");
    }
    assert!(run(&["man"]).stdout.contains(".TH tollgate 1"));
}

#[test]
fn every_shell_completes_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell]).stdout;
        for command in commands() {
            assert!(script.contains(&command), "{shell} does not complete {command}");
        }
    }
}
