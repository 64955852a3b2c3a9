//! `archstone serve`

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use archstone_identity::Identity;
use archstone_plugins::PluginDirectory;
use axum::{Router, routing::get};
use clap::Args;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{assemble, config::Config};

/// How often keys and policy are looked at for changes.
const RELOAD_EVERY: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// HOST:PORT to listen at; wins over [archstone] listen.
    #[arg(long)]
    listen: Option<String>,
}

impl Serve {
    pub(crate) async fn run(self, config: &Config) -> Result<()> {
        let metrics = PrometheusBuilder::new()
            .install_recorder()
            .context("cannot start metrics")?;
        let (identity, registry) = assemble::identity(config).await?;
        identity.check_project_depth().await?;
        let identity = Arc::new(identity);
        if let Some(directory) = &config.plugin_dir {
            let mut plugins = PluginDirectory::new(directory, registry);
            // The first logins must find their plugins.
            plugins.refresh().await;
            tokio::spawn(plugins.watch());
        }
        tokio::spawn(reload(
            Arc::clone(&identity),
            config.policy_file.clone(),
            config.policy,
        ));
        let metrics = Router::new().route("/metrics", get(async move || metrics.render()));
        let service = archstone_api::service(identity, config.api.clone()).merge(metrics);
        let listen = self.listen.as_deref().unwrap_or(&config.listen);
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen at {listen}"))?;
        tracing::info!(address = %listener.local_addr()?, "listening");
        axum::serve(listener, service)
            .with_graceful_shutdown(stop())
            .await?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Waits until somebody asks to stop; requests under way are finished.
async fn stop() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Takes up changed keys and policy. What cannot be used is reported and what was there stays.
async fn reload(
    identity: Arc<Identity>,
    policy_file: Option<std::path::PathBuf>,
    options: archstone_model::policy::PolicyOptions,
) {
    let changed_at = || -> Option<SystemTime> {
        std::fs::metadata(policy_file.as_ref()?)
            .and_then(|data| data.modified())
            .ok()
    };
    let mut known = changed_at();
    let mut ticks = tokio::time::interval(RELOAD_EVERY);
    loop {
        ticks.tick().await;
        match identity.reload_keys() {
            Ok(true) => tracing::info!("token keys were reloaded"),
            Ok(false) => {}
            Err(error) => tracing::error!(
                reason = error.reason().unwrap_or_default(),
                "the token keys on disk cannot be used; those loaded before stay in use"
            ),
        }
        let now = changed_at();
        if now != known {
            known = now;
            let read = policy_file.as_ref().map(std::fs::read_to_string);
            let Some(Ok(text)) = read else { continue };
            let policy =
                archstone_model::policy::PolicyEngine::read_file(&text).and_then(|rules| {
                    archstone_model::policy::PolicyEngine::with_overrides(options, rules)
                });
            match policy {
                Ok(policy) => {
                    identity.replace_policy(policy);
                    tracing::info!("the policy was reloaded");
                }
                Err(error) => {
                    tracing::error!(%error, "the new policy cannot be used; the old one stays")
                }
            }
        }
    }
}
