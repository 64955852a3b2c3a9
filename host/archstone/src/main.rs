//! The `archstone` command: serves the Identity API and keeps what it needs in order.

mod assemble;
mod audit;
mod commands;
mod config;
mod login_routes_file;
mod policy_files;
mod server;
mod stop;
mod telemetry;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::{
    audit::{AuditFile, Courier, Destinations},
    commands::plugin::Plugin,
    config::{Config, ConfigArgs, Notice},
};

/// Lists are made of many small parts, which the system's allocator takes a third of the time for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An OpenStack Identity service, extensible with WebAssembly plugins.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(flatten)]
    config: ConfigArgs,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API until told to stop.
    Serve(commands::serve::Serve),
    /// Make and check the database schema.
    #[command(subcommand)]
    Db(commands::db::Db),
    /// Make the first administrator, roles, region and endpoints; run again to complete them.
    Bootstrap(commands::bootstrap::BootstrapArgs),
    /// Keys that seal tokens.
    #[command(subcommand)]
    Fernet(commands::keys::Fernet),
    /// Keys that seal stored credentials.
    #[command(subcommand)]
    Credential(commands::keys::Credential),
    /// Look into a token.
    #[command(subcommand)]
    Token(commands::token::Token),
    /// This cloud as a SAML identity provider.
    #[command(subcommand)]
    Saml(commands::saml::Saml),
    /// Make, try, sign and install plugins, and see how they fare.
    #[command(subcommand)]
    Plugin(Plugin),
    /// Connect a domain's identity providers, by the API of a server that runs.
    Connector(Box<commands::connector::Connector>),
    /// Print the state of every Keystone route as a Markdown table.
    #[command(hide = true)]
    RouteStatus,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("archstone: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let command = match cli.command {
        Command::RouteStatus => return commands::routes::print(),
        Command::Plugin(Plugin::Author(author)) => return author.run(),
        Command::Connector(connector) => return connector.run(),
        command => command,
    };
    let config = Config::load(&cli.config.files()?)?;
    let (audited, couriers) = match &command {
        Command::Serve(_) => destinations(&config)?,
        _ => Default::default(),
    };
    let audit_file = audited.file.clone();
    match &command {
        Command::Plugin(plugin) if plugin.tells_calls() => telemetry::tell_plugin_calls(),
        _ => telemetry::start(&config, audited),
    }
    config.notices.iter().for_each(Notice::log);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(workers) = config.workers {
        runtime.worker_threads(workers);
    }
    let runtime = runtime.enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Serve(serve) => serve.run(&config, audit_file, couriers).await,
            Command::Db(db) => db.run(&config).await,
            Command::Bootstrap(bootstrap) => bootstrap.run(&config).await,
            Command::Fernet(fernet) => fernet.run(&config),
            Command::Credential(credential) => credential.run(&config).await,
            Command::Token(token) => token.run(&config),
            Command::Saml(saml) => saml.run(&config),
            Command::Plugin(plugin) => plugin.run(&config).await,
            Command::Connector(_) | Command::RouteStatus => Ok(()),
        }
    })
}

/// Where audited events go, and who takes those out that go to plugins.
fn destinations(config: &Config) -> anyhow::Result<(Destinations, Vec<Courier>)> {
    let open = |path: &PathBuf| {
        AuditFile::open(path)
            .with_context(|| format!("cannot open [archstone] audit_file {}", path.display()))
    };
    let file = config.audit_file.as_ref().map(open).transpose()?;
    let boxes = config.event_sinks.iter().map(|plugin| audit::to(plugin));
    let (outboxes, couriers) = boxes.unzip();
    Ok((Destinations { file, outboxes }, couriers))
}
