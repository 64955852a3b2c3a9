//! Trying a connector out: what it says of a token, and what its mapping makes of that, step by step.
//! Nobody is logged in and nothing is made.

use archstone_model::{
    connector::Connector,
    id::ConnectorId,
    mapping::{Assertion, Mapped, Rules},
    secret::Secret,
};
use serde_json::{Map, Value};

use super::Proven;
use crate::{Caller, Error, Identity, Result};

/// What came of a trial. Whatever follows the first error is absent.
#[derive(Debug, Clone, Default)]
pub struct Trial {
    pub subject: String,
    pub claims: Map<String, Value>,
    /// What rules can ask for, by name.
    pub attributes: Vec<(String, String)>,
    pub rules: Vec<TrialRule>,
    pub mapped: Option<Mapped>,
    /// Why nobody would be logged in.
    pub error: Option<String>,
}

/// One rule of the mapping.
#[derive(Debug, Clone)]
pub struct TrialRule {
    /// Its place in the mapping, beginning with 0.
    pub place: usize,
    /// Whether what it asks for is there.
    pub fits: bool,
    pub error: Option<String>,
}

impl Identity {
    /// Tries a connector with a token, as clients show it.
    ///
    /// # Errors
    /// Those of a login by this token, up to the mapping.
    pub async fn try_connector_with_token(
        &self,
        caller: &Caller,
        id: &ConnectorId,
        token: &Secret,
    ) -> Result<Trial> {
        let connector = self
            .enforced_connector(caller, "archstone:try_connector", id)
            .await?;
        let Proven {
            subject, claims, ..
        } = self.prove_by_token_of_connector(&connector, token).await?;
        self.try_mapping(&connector, subject, claims).await
    }

    /// Tries a connector's mapping with claims that somebody made up.
    pub async fn try_connector_with_claims(
        &self,
        caller: &Caller,
        id: &ConnectorId,
        subject: String,
        claims: Map<String, Value>,
    ) -> Result<Trial> {
        let connector = self
            .enforced_connector(caller, "archstone:try_connector", id)
            .await?;
        self.try_mapping(&connector, subject, claims).await
    }

    async fn try_mapping(
        &self,
        connector: &Connector,
        subject: String,
        claims: Map<String, Value>,
    ) -> Result<Trial> {
        let assertion = Assertion::from_claims(&subject, &claims);
        let mapping = self.store.mapping(&connector.mapping_id).await?;
        let mut trial = Trial {
            subject,
            claims,
            attributes: assertion
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            ..Trial::default()
        };
        let rules = match Rules::read(&mapping.schema_version, &mapping.rules) {
            Ok(rules) => rules,
            Err(error) => {
                trial.error = Some(error.to_string());
                return Ok(trial);
            }
        };
        trial.rules = rules
            .fitting(&assertion)
            .into_iter()
            .enumerate()
            .map(|(place, fits)| TrialRule {
                place,
                fits: matches!(fits, Ok(true)),
                error: fits.err().map(|error| error.to_string()),
            })
            .collect();
        match rules.apply(&assertion) {
            Ok(mut mapped) => {
                let confined = self.confine(&connector.domain_id, &mut mapped).await;
                trial.error = confined.err().map(|error| reason(&error));
                trial.mapped = Some(mapped);
            }
            Err(error) => trial.error = Some(error.to_string()),
        }
        Ok(trial)
    }
}

/// To the owner of a connector, a reason is no secret.
fn reason(error: &Error) -> String {
    error
        .reason()
        .map_or_else(|| error.to_string(), str::to_owned)
}
