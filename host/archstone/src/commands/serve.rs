//! `archstone serve`

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use archstone_api::Draining;
use archstone_identity::Identity;
use archstone_model::policy::PolicyOptions;
use archstone_plugins::PluginDirectory;
use axum::{Router, routing::get};
use clap::Args;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{
    assemble,
    audit::{AuditFile, Courier},
    config::Config,
    login_routes_file::LoginRoutesFile,
    policy_files::PolicyFiles,
    server::Server,
    stop::StopSignals,
};

/// How many files the server may open, where the system lets it.
const MOST_FILES: u64 = 65_536;

/// How often metrics are put in order where nobody asks for them.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// How often keys and policy are looked at for changes.
const RELOAD_EVERY: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// HOST:PORT to listen at; wins over [archstone] listen.
    #[arg(long)]
    listen: Option<String>,
}

impl Serve {
    pub(crate) async fn run(
        self,
        config: &Config,
        audit_file: Option<Arc<AuditFile>>,
        couriers: Vec<Courier>,
    ) -> Result<()> {
        let metrics = PrometheusBuilder::new()
            .install_recorder()
            .context("cannot start metrics")?;
        tokio::spawn(keep_metrics(metrics.clone()));
        let (identity, registry) = assemble::identity(config).await?;
        identity.check_project_depth().await?;
        for courier in couriers {
            tokio::spawn(courier.deliver(registry.clone()));
        }
        let identity = Arc::new(identity);
        if let Some(directory) = &config.plugin_dir {
            let mut plugins = PluginDirectory::new(directory, registry);
            // The first logins must find their plugins.
            plugins.refresh().await;
            tokio::spawn(plugins.watch());
        }
        identity.refresh_plugins().await;
        tokio::spawn(Arc::clone(&identity).follow_plugins());
        tokio::spawn(Arc::clone(&identity).watch_for_changes());
        if let Some(file) = &config.login_routes {
            identity.replace_login_routes(file.load()?);
        }
        tokio::spawn(reload(
            Arc::clone(&identity),
            config.policy_files.clone(),
            config.policy,
            config.login_routes.clone(),
            audit_file,
        ));
        let metrics = Router::new().route("/metrics", get(async move || metrics.render()));
        let draining = Draining::default();
        let service =
            archstone_api::service(identity, config.api.clone(), draining.clone()).merge(metrics);
        let listen = self.listen.as_deref().unwrap_or(&config.listen);
        // Each connection is an open file, and the usual limit is 1024.
        if let Err(error) = rlimit::increase_nofile_limit(MOST_FILES) {
            tracing::warn!(%error, "the limit of open files stays as it is");
        }
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen at {listen}"))?;
        tracing::info!(address = %listener.local_addr()?, "listening");
        let stop = StopSignals::listen().context("cannot listen for signals")?;
        Server::new(service, config.most_connections, draining)
            .serve(listener, stop, config.drain_time)
            .await;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Histograms grow until they are read or put in order.
async fn keep_metrics(metrics: PrometheusHandle) {
    let mut ticks = tokio::time::interval(METRICS_UPKEEP);
    loop {
        ticks.tick().await;
        metrics.run_upkeep();
    }
}

/// Takes up changed keys, policy and routes of logins, on a timer and at SIGHUP, and another audit file at SIGHUP. What
/// cannot be used is reported and what was there stays.
async fn reload(
    identity: Arc<Identity>,
    files: PolicyFiles,
    options: PolicyOptions,
    login_routes: Option<LoginRoutesFile>,
    audit_file: Option<Arc<AuditFile>>,
) {
    let mut known = files.stamp();
    let mut known_routes = login_routes.as_ref().map(LoginRoutesFile::stamp);
    let mut ticks = tokio::time::interval(RELOAD_EVERY);
    let mut hangups = signal(SignalKind::hangup()).ok();
    loop {
        let hangup = async {
            match &mut hangups {
                Some(hangups) => hangups.recv().await,
                None => std::future::pending().await,
            }
        };
        let hung_up = tokio::select! {
            _ = ticks.tick() => false,
            _ = hangup => true,
        };
        if let (true, Some(file)) = (hung_up, &audit_file)
            && let Err(error) = file.reopen()
        {
            tracing::error!(%error, "the audit file cannot be opened anew; the old one stays");
        }
        match identity.reload_keys() {
            Ok(true) => tracing::info!("keys were reloaded"),
            Ok(false) => {}
            Err(error) => tracing::error!(
                reason = error.reason().unwrap_or_default(),
                "keys on disk cannot be used; those loaded before stay in use"
            ),
        }
        let now = files.stamp();
        if now != known {
            known = now;
            match files.load(options) {
                Ok(policy) => {
                    identity.replace_policy(policy);
                    tracing::info!("the policy was reloaded");
                }
                Err(error) => {
                    let reason = format!("{error:#}");
                    tracing::error!(reason, "the new policy cannot be used; the old one stays");
                }
            }
        }
        let now = login_routes.as_ref().map(LoginRoutesFile::stamp);
        if let Some(file) = login_routes.as_ref().filter(|_| now != known_routes) {
            known_routes = now;
            match file.load() {
                Ok(routes) => {
                    identity.replace_login_routes(routes);
                    tracing::info!("the login routes were reloaded");
                }
                Err(error) => {
                    let reason = format!("{error:#}");
                    tracing::error!(
                        reason,
                        "the new login routes cannot be used; the old ones stay"
                    );
                }
            }
        }
    }
}
