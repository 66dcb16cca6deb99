//! The command `nethttp`.
#![forbid(unsafe_code)]

mod access_log;
mod auth;
mod get;
mod lines;
mod listen;
mod proxy;
mod serve;
mod serving;
mod signals;
mod site;
mod tls;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// HTTP from the command line.
#[derive(Debug, Parser)]
#[command(name = "nethttp", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::ServeArguments>),
    Proxy(Box<proxy::ProxyArguments>),
    Get(Box<get::GetArguments>),
    Hash(auth::HashArguments),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Proxy(arguments) => proxy::run(&arguments),
        Command::Get(arguments) => return get::run(*arguments),
        Command::Hash(arguments) => auth::run(&arguments),
    };
    lines::finish();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line, with the causes in it.
            eprintln!("nethttp: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
