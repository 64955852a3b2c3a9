//! `archstone bootstrap`, with the options of `keystone-manage bootstrap`.

use anyhow::{Result, bail};
use archstone_identity::Bootstrap;
use archstone_model::secret::Secret;
use clap::Args;

use crate::{assemble, commands::say, config::Config};

#[derive(Debug, Args)]
pub(crate) struct BootstrapArgs {
    #[arg(long, env = "OS_BOOTSTRAP_USERNAME", default_value = "admin")]
    bootstrap_username: String,
    /// Better given in the environment than where others can list it.
    #[arg(long, env = "OS_BOOTSTRAP_PASSWORD", hide_env_values = true)]
    bootstrap_password: Option<Password>,
    #[arg(long, env = "OS_BOOTSTRAP_PROJECT_NAME", default_value = "admin")]
    bootstrap_project_name: String,
    #[arg(long, env = "OS_BOOTSTRAP_ROLE_NAME", default_value = "admin")]
    bootstrap_role_name: String,
    #[arg(long, env = "OS_BOOTSTRAP_SERVICE_NAME", default_value = "keystone")]
    bootstrap_service_name: String,
    #[arg(long, env = "OS_BOOTSTRAP_ADMIN_URL")]
    bootstrap_admin_url: Option<String>,
    #[arg(long, env = "OS_BOOTSTRAP_PUBLIC_URL")]
    bootstrap_public_url: Option<String>,
    #[arg(long, env = "OS_BOOTSTRAP_INTERNAL_URL")]
    bootstrap_internal_url: Option<String>,
    #[arg(long, env = "OS_BOOTSTRAP_REGION_ID")]
    bootstrap_region_id: Option<String>,
    /// Make the standard roles immutable; they are unless told otherwise.
    #[arg(long, conflicts_with = "no_immutable_roles")]
    immutable_roles: bool,
    /// Make the standard roles ones that can be changed and deleted.
    #[arg(long)]
    no_immutable_roles: bool,
}

/// A password that command line parsing cannot print.
#[derive(Debug, Clone)]
struct Password(Secret);

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl BootstrapArgs {
    pub(crate) async fn run(self, config: &Config) -> Result<()> {
        let Some(Password(password)) = self.bootstrap_password else {
            bail!("no password; set OS_BOOTSTRAP_PASSWORD or give --bootstrap-password");
        };
        let (identity, _) = assemble::identity(config).await?;
        let done = identity
            .bootstrap(&Bootstrap {
                username: self.bootstrap_username,
                password,
                project_name: self.bootstrap_project_name,
                role_name: self.bootstrap_role_name,
                service_name: self.bootstrap_service_name,
                region_id: self.bootstrap_region_id,
                admin_url: self.bootstrap_admin_url,
                public_url: self.bootstrap_public_url,
                internal_url: self.bootstrap_internal_url,
                immutable_roles: !self.no_immutable_roles,
            })
            .await?;
        say(format_args!(
            "administrator {} in project {}",
            done.user_id, done.project_id
        ))
    }
}
