//! `tollgate credential`: keys and credentials.

use clap::Subcommand;

use crate::exit::Exit;

mod inspect;
mod mint;
mod new_key;
mod revoke;

/// Makes keys, makes credentials with them, shows what a credential says, and takes one back.
///
/// A credential says what batches that carry it may be. It is a macaroon: who holds one can narrow it, and nobody can widen
/// it. A collector asks for them when its configuration sets `require_credentials`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate credential new-key /etc/tollgate/keys
  tollgate credential mint --keys /etc/tollgate/keys --model deadbeef-0bad-400d-8000-4b1d0d06f00d
  tollgate credential inspect --keys /etc/tollgate/keys credential.json
  tollgate credential revoke 00112233445566778899aabbccddeeff")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    NewKey(new_key::Args),
    Mint(mint::Args),
    Inspect(inspect::Args),
    Revoke(revoke::Args),
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    match &args.command {
        Command::NewKey(args) => new_key::run(args),
        Command::Mint(args) => mint::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Revoke(args) => revoke::run(args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use crate::cli::Cli;

    #[test]
    fn every_command_shows_an_example() {
        let cli = Cli::command();
        let credential = cli.find_subcommand("credential").expect("it is there");
        for command in credential.get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let name = command.get_name();
            assert!(help.contains(&format!("  tollgate credential {name}")), "{name} has no example");
        }
    }
}
