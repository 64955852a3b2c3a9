//! The `archstone` command: serves the Identity API and keeps what it needs in order.

mod assemble;
mod audit_file;
mod commands;
mod config;
mod login_routes_file;
mod policy_files;
mod telemetry;

use std::{process::ExitCode, sync::Arc};

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::{
    audit_file::AuditFile,
    config::{Config, ConfigArgs, Notice},
};

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
    /// Install plugins and see how they fare.
    #[command(subcommand)]
    Plugin(commands::plugin::Plugin),
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
    if let Command::RouteStatus = cli.command {
        return commands::routes::print();
    }
    let config = Config::load(&cli.config.files()?)?;
    let audit_file = match &cli.command {
        Command::Serve(_) => audit_file(&config)?,
        _ => None,
    };
    telemetry::start(&config, audit_file.clone());
    config.notices.iter().for_each(Notice::log);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(workers) = config.workers {
        runtime.worker_threads(workers);
    }
    let runtime = runtime.enable_all().build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Serve(serve) => serve.run(&config, audit_file).await,
            Command::Db(db) => db.run(&config).await,
            Command::Bootstrap(bootstrap) => bootstrap.run(&config).await,
            Command::Fernet(fernet) => fernet.run(&config),
            Command::Credential(credential) => credential.run(&config).await,
            Command::Token(token) => token.run(&config),
            Command::Saml(saml) => saml.run(&config),
            Command::Plugin(plugin) => plugin.run(&config),
            Command::RouteStatus => Ok(()),
        }
    })
}

fn audit_file(config: &Config) -> anyhow::Result<Option<Arc<AuditFile>>> {
    let Some(path) = &config.audit_file else {
        return Ok(None);
    };
    let file = AuditFile::open(path)
        .with_context(|| format!("cannot open [archstone] audit_file {}", path.display()))?;
    Ok(Some(file))
}
