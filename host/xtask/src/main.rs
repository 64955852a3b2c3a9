//! `cargo xtask`: what a developer or the CI runs, each with one command.

mod databases;
mod instructions;
mod lint;
mod machine;
mod plugins;
mod serve;
mod shell;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds, runs and tests Archstone.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(serve::Run),
    Test(test::Test),
    Lint(lint::Lint),
    Instructions(instructions::Instructions),
    Plugins(plugins::Plugins),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run(run) => run.execute(),
        Command::Test(test) => test.execute(),
        Command::Lint(lint) => lint.execute(),
        Command::Instructions(instructions) => instructions.execute(),
        Command::Plugins(plugins) => plugins.execute(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            shell::say(&format!("xtask: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
