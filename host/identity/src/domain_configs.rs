//! Domain configuration: kept, changed and shown, but for what is sensitive, which comes back to the
//! domain's driver and to nobody else.

use archstone_model::{
    domain_config::{CompleteConfig, ConfigOptions, ConfigPart, InvalidConfig},
    entity::Entity,
    id::DomainId,
    policy::Target,
};
use serde_json::Value;

use crate::{Caller, Error, Identity, Result};

/// The group of rules for passwords, which everybody may read and nobody can set for a domain.
const COMPLIANCE: &str = "security_compliance";

impl Identity {
    /// A part of a domain's configuration, without what is sensitive.
    ///
    /// # Errors
    /// `Refused` where the part is not supported; `Missing` where nothing is set in it.
    pub async fn domain_config(
        &self,
        caller: &Caller,
        id: &DomainId,
        part: &ConfigPart,
    ) -> Result<Value> {
        let found = self.store.domain(id).await;
        if part.group() == Some(COMPLIANCE) {
            let action = "identity:get_security_compliance_domain_config";
            self.enforce(caller, action, target(id, part)).await?;
            let compliance = self.compliance_of(id, part)?;
            found?;
            return Ok(compliance);
        }
        self.enforce(caller, "identity:get_domain_config", target(id, part))
            .await?;
        let config = self.readable(id, part).await?;
        found?;
        Ok(config)
    }

    /// Gives a domain this configuration in place of any other. Says whether it had one before,
    /// and what can be read of the new one.
    ///
    /// # Errors
    /// `NotFound` of the domain; `Refused` where the configuration is not supported.
    pub async fn replace_domain_config(
        &self,
        caller: &Caller,
        id: &DomainId,
        config: &Value,
    ) -> Result<(bool, Value)> {
        let target = target(id, &ConfigPart::All);
        self.enforce(caller, "identity:create_domain_config", target)
            .await?;
        self.store.domain(id).await?;
        let options = self.options.domain_config.supported.read(config)?;
        let had_one = self.store.replace_domain_config(id, &options).await?;
        self.audit_write(caller, "create", Entity::DomainConfig, id.as_str());
        let config = self.store.domain_config(id).await?;
        Ok((had_one, config.into_value()))
    }

    /// Changes a part of a domain's configuration, and gives all that can be read of it.
    ///
    /// # Errors
    /// `NotFound` of the domain; `Refused` where the change is not supported or is of more than
    /// that part; `Missing` where nothing is set in it so far, or nothing can be read afterwards.
    pub async fn update_domain_config(
        &self,
        caller: &Caller,
        id: &DomainId,
        part: &ConfigPart,
        change: Value,
    ) -> Result<Value> {
        self.enforce(caller, "identity:update_domain_config", target(id, part))
            .await?;
        self.store.domain(id).await?;
        let supported = &self.options.domain_config.supported;
        let options = supported.read_change(part, change)?;
        if part.group().is_some() {
            self.require(id, part).await?;
        }
        self.store.set_domain_config(id, &options).await?;
        self.audit_write(caller, "update", Entity::DomainConfig, id.as_str());
        self.readable(id, &ConfigPart::All).await
    }

    /// Deletes a part of a domain's configuration.
    ///
    /// # Errors
    /// `NotFound` of the domain; `Refused` where the part is not supported; `Missing` where it is
    /// a group or an option that is not set.
    pub async fn delete_domain_config(
        &self,
        caller: &Caller,
        id: &DomainId,
        part: &ConfigPart,
    ) -> Result<()> {
        self.enforce(caller, "identity:delete_domain_config", target(id, part))
            .await?;
        self.store.domain(id).await?;
        self.options.domain_config.supported.check(part)?;
        if part.group().is_some() {
            self.require(id, part).await?;
        }
        self.store.delete_domain_config(id, part).await?;
        self.audit_write(caller, "delete", Entity::DomainConfig, id.as_str());
        Ok(())
    }

    /// What the server itself is configured with, which counts for a domain that says nothing else.
    ///
    /// # Errors
    /// `Refused` where the part is not supported or sensitive.
    pub async fn default_domain_config(&self, caller: &Caller, part: &ConfigPart) -> Result<Value> {
        let action = "identity:get_domain_config_default";
        self.enforce(caller, action, part_target(part)).await?;
        let options = &self.options.domain_config;
        options.supported.check_default(part)?;
        let part = options.defaults.clone().part(part);
        Ok(part.unwrap_or_else(|| Value::Object(serde_json::Map::new())))
    }

    /// All of a domain's configuration, for its driver: what is sensitive is in it, and put in place
    /// of each `%(option)s` in the other options. No client is told any of it.
    ///
    /// # Errors
    /// `Unavailable` where the database does not answer. A domain without configuration has an empty
    /// one.
    pub async fn complete_domain_config(&self, id: &DomainId) -> Result<CompleteConfig> {
        let options = self.store.complete_domain_config(id).await?;
        let (config, bad) = CompleteConfig::new(options);
        for reference in bad {
            tracing::warn!(domain = %id, %reference, "a reference in a domain's configuration stays as it is");
        }
        Ok(config)
    }

    fn compliance_of(&self, id: &DomainId, part: &ConfigPart) -> Result<Value> {
        if *id != self.options.default_domain_id {
            return Err(InvalidConfig::ComplianceOfOtherDomain.into());
        }
        let rules = &self.compliance;
        let regex = rules.password_regex.as_ref().map(|regex| regex.as_str());
        let mut options = ConfigOptions::default();
        options.insert(COMPLIANCE, "password_regex", regex.into());
        let description = rules.password_regex_description.as_deref();
        options.insert(COMPLIANCE, "password_regex_description", description.into());
        options
            .part(part)
            .ok_or_else(|| InvalidConfig::UnreadableCompliance.into())
    }

    async fn readable(&self, id: &DomainId, part: &ConfigPart) -> Result<Value> {
        self.options.domain_config.supported.check(part)?;
        let options = self.store.domain_config(id).await?;
        options.part(part).ok_or_else(|| nothing_set(id, part))
    }

    async fn require(&self, id: &DomainId, part: &ConfigPart) -> Result<()> {
        if self.store.has_domain_config(id, part).await? {
            Ok(())
        } else {
            Err(nothing_set(id, part))
        }
    }
}

fn nothing_set(id: &DomainId, part: &ConfigPart) -> Error {
    let what = match part {
        ConfigPart::All => "any options".to_owned(),
        ConfigPart::Group(group) => format!("group {group}"),
        ConfigPart::Option { group, option } => format!("option {option} in group {group}"),
    };
    Error::Missing(format!(
        "Could not find {what} in domain configuration for domain {id}."
    ))
}

fn target(id: &DomainId, part: &ConfigPart) -> Target {
    part_target(part).with("domain_id", id.as_str())
}

fn part_target(part: &ConfigPart) -> Target {
    let mut target = Target::new();
    if let Some(group) = part.group() {
        target.set("group", group);
    }
    if let Some(option) = part.option() {
        target.set("option", option);
    }
    target
}
