//! Looking at an artifact without letting it serve: what it is, and what it would have to be granted.

use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

use crate::{
    Digest, Grants, KeyId, Kind, Limits, PrepareError, Proof, Runtime,
    bindings::archstone::plugin::types::Capability, call::Granted, capabilities, claimed_signers,
    description::Description, plugin::compile_aside, run::bounded, worlds::World,
};

/// What an artifact says about itself, and what it imports. Whether it could serve is not looked at.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    pub digest: Digest,
    pub kind: Kind,
    /// The plugin's own name.
    pub plugin: String,
    pub version: String,
    pub summary: String,
    pub proves: Proof,
    pub config_schema: Value,
    pub secret_fields: Vec<String>,
    pub server_fields: Vec<String>,
    /// What it says that it cannot do without.
    pub capabilities: Vec<&'static str>,
    pub imports: Vec<String>,
    /// What of that the operator has to grant, and how.
    pub to_grant: Vec<ToGrant>,
    /// Who claims to have signed it, the last first.
    pub signed_by: Vec<KeyId>,
}

/// A capability that is the operator's to grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToGrant {
    pub capability: &'static str,
    pub how: &'static str,
}

impl Inspection {
    /// Looks at an artifact: compiles it and asks it to describe itself, with nothing granted.
    ///
    /// # Errors
    /// If it is no plugin, or fails meanwhile. Signatures are not checked.
    pub async fn of(runtime: &Runtime, artifact: Vec<u8>) -> Result<Self, PrepareError> {
        let digest = Digest::of(&artifact);
        let signed_by = claimed_signers(&artifact);
        let component = compile_aside(runtime.clone(), artifact, digest).await?;
        let engine = runtime.engine();
        let imports: Vec<String> = component
            .component_type()
            .imports(engine)
            .map(|(import, _)| import.to_owned())
            .collect();
        // It may be linked with everything: it is handed nothing that could be reached.
        let grants = Grants::of_everything();
        let linker = capabilities::link(engine, &component, &grants)?;
        let world = World::new(engine, &component, &linker)?;
        let nothing = Arc::new(Granted::nothing(runtime, "inspected", &Limits::default()));
        let said = bounded(&nothing, None, async |store| world.describe(store).await).await?;
        let capabilities: Vec<_> = said.capabilities.iter().map(|one| word(*one)).collect();
        let to_grant = ["http", "stream", "credentials"]
            .into_iter()
            .filter(|name| {
                let imported = |import: &String| capabilities::interface_of(import) == *name;
                capabilities.contains(name) || imports.iter().any(imported)
            })
            .map(|capability| ToGrant {
                capability,
                how: capabilities::remedy(capability),
            })
            .collect();
        let description = Description::read(said, &grants)?;
        Ok(Self {
            digest,
            kind: world.kind(),
            plugin: description.plugin,
            version: description.version,
            summary: description.summary,
            proves: description.proves,
            config_schema: description.config_schema,
            secret_fields: description.secret_fields,
            server_fields: description.server_fields,
            capabilities,
            imports,
            to_grant,
            signed_by,
        })
    }
}

/// The capability's name in the contract.
fn word(capability: Capability) -> &'static str {
    match capability {
        Capability::Clock => "clock",
        Capability::Random => "random",
        Capability::Log => "log",
        Capability::Secrets => "secrets",
        Capability::State => "state",
        Capability::Signatures => "signatures",
        Capability::Http => "http",
        Capability::Stream => "stream",
        Capability::Credentials => "credentials",
    }
}
