//! Logging in by a connector: sending somebody to the identity provider, taking up what they come
//! back with, and tokens that clients show.

use std::time::Duration;

use archstone_model::{
    connector::Connector,
    id::{ConnectorId, IdentityProviderId, ProtocolId, UserId},
    revocation::RevocationEvent,
    secret::Secret,
};
use archstone_plugins::{Assertion, Begun, Completed, Denial, PluginError, Reason, Way};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{
    AuthRequest, Error, Identity, IssuedToken, RequestedScope, Result, hex, plugin_state::delta,
};

/// Where logins that are under way are kept.
const STATE: &str = "connector-login";

/// What somebody is proven to be by a connector, before its mapping says who that is here.
#[derive(Debug, Clone)]
pub struct Proven {
    pub connector: Connector,
    pub subject: String,
    pub claims: Map<String, Value>,
}

impl Proven {
    fn new(connector: Connector, said: Assertion) -> Self {
        Self {
            connector,
            subject: said.subject,
            claims: said.claims,
        }
    }
}

/// What the host does once somebody is proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The client that asked gets a token.
    Token,
    /// The browser takes a token to this dashboard.
    Dashboard(String),
}

/// A login that sends a browser away.
#[derive(Debug)]
pub struct BegunLogin {
    pub location: String,
    /// Comes back as `state`.
    pub state: String,
    /// What the browser has to show when it comes back, so that nobody can make it finish a login
    /// that another one began.
    pub browser: Secret,
    pub expires_in: Duration,
}

/// A login of somebody who uses a browser elsewhere.
#[derive(Debug)]
pub struct DeviceLogin {
    pub message: Map<String, Value>,
    /// What the client asks with whether they have logged in.
    pub device: Secret,
    pub interval: Duration,
    pub expires_in: Duration,
}

/// What a client that waits is told.
#[derive(Debug)]
pub enum DeviceProgress {
    Pending { interval: Duration },
    Finished(IssuedToken),
}

/// What somebody comes back with.
#[derive(Debug)]
pub struct Arrival {
    pub state: String,
    /// All that came, without `state`.
    pub parameters: Vec<(String, String)>,
    /// What the browser shows; nothing where no browser was told anything.
    pub browser: Option<Secret>,
}

/// A login that is over.
#[derive(Debug)]
pub struct Finished {
    pub issued: IssuedToken,
    pub purpose: Purpose,
}

/// A login under way, as it is kept.
#[derive(Serialize, Deserialize)]
struct UnderWay {
    connector_id: String,
    /// Of the connector and its plugin.
    revision: String,
    redirect_uri: String,
    memory: String,
    purpose: Purpose,
    /// The digest of what the browser has to show.
    browser: Option<String>,
    expires_at: i64,
}

impl Identity {
    /// The connector by which an identity provider is reached, where it is one.
    pub async fn connector_of(
        &self,
        idp_id: &IdentityProviderId,
        protocol_id: &ProtocolId,
    ) -> Result<Option<Connector>> {
        Ok(self.store.connector_of(idp_id, protocol_id).await?)
    }

    /// The one connector that is reached by a protocol, for those who do not name the provider.
    ///
    /// # Errors
    /// `LoginRefused` where there are several.
    pub async fn only_connector_by(&self, protocol_id: &ProtocolId) -> Result<Option<Connector>> {
        let filter = archstone_model::connector::ConnectorFilter {
            enabled: Some(true),
            ..Default::default()
        };
        let all = self.store.connectors(&filter).await?;
        let mut fitting = all.into_iter().filter(|it| it.protocol_id == *protocol_id);
        match (fitting.next(), fitting.next()) {
            (_, Some(_)) => Err(Error::LoginRefused {
                message: "There are several identity providers for this protocol: name one, by \
                          /v3/auth/OS-FEDERATION/identity_providers/{id}/protocols/{protocol}/websso."
                    .to_owned(),
            }),
            (only, None) => Ok(only),
        }
    }

    /// A connector that people may log in by.
    ///
    /// # Errors
    /// `NotFound`; `Refused` where it is disabled.
    pub async fn usable_connector(&self, id: &ConnectorId) -> Result<Connector> {
        let connector = self.store.connector(id).await?;
        require_enabled(&connector)?;
        Ok(connector)
    }

    /// Sends a browser to the identity provider.
    ///
    /// # Errors
    /// `Refused` where the connector is disabled, `Invalid` where its owner does not allow this
    /// redirect URI, `Unavailable` where its plugin or the provider fails.
    pub async fn begin_login(
        &self,
        connector: &Connector,
        own_callback: &str,
        redirect_uri: Option<&str>,
        purpose: Purpose,
    ) -> Result<BegunLogin> {
        require_enabled(connector)?;
        let redirect_uri = match redirect_uri {
            None => own_callback,
            Some(given) if given == own_callback => given,
            Some(given) if connector.redirect_uris.iter().any(|known| known == given) => given,
            Some(_) => {
                return Err(Error::invalid(
                    "The connector does not allow this redirect URI.",
                ));
            }
        };
        let serving = self.serving(connector).await?;
        let (state, browser) = (unguessable(), unguessable());
        let begun = serving.begin(Way::Browser, redirect_uri, &state).await;
        match begun.map_err(failed)? {
            Begun::Redirect {
                location,
                memory,
                expires_in,
            } => {
                let under_way = UnderWay {
                    connector_id: connector.id.to_string(),
                    revision: serving.revision(),
                    redirect_uri: redirect_uri.to_owned(),
                    memory,
                    purpose,
                    browser: Some(digest(&browser)),
                    expires_at: (self.now() + delta(expires_in)).timestamp(),
                };
                self.keep_login(&state, &under_way).await?;
                Ok(BegunLogin {
                    location,
                    state,
                    browser: Secret::new(browser),
                    expires_in,
                })
            }
            Begun::Denied(denial) => Err(self.denied(connector, denial)),
            Begun::Device { .. } => Err(Error::Unavailable {
                reason: format!("connector {} sends no browser anywhere", connector.id),
            }),
        }
    }

    /// Takes up a login where it was sent away.
    ///
    /// # Errors
    /// `Unauthenticated` where there is no such login, it was begun by another browser, or nothing
    /// is proven.
    pub async fn finish_login(&self, arrival: Arrival, scope: RequestedScope) -> Result<Finished> {
        let under_way = self.take_login(&arrival.state).await?;
        let same_browser = match (&under_way.browser, &arrival.browser) {
            (Some(known), Some(shown)) => {
                use subtle::ConstantTimeEq;
                known
                    .as_bytes()
                    .ct_eq(digest(shown.expose()).as_bytes())
                    .into()
            }
            // Where the browser came back to the client that asked, the client vouches for it by
            // knowing the state, which it was told and nobody else.
            (Some(_), None) => under_way.purpose == Purpose::Token,
            (None, _) => true,
        };
        if !same_browser {
            return Err(Error::unauthenticated(
                "the login was begun by another browser",
            ));
        }
        let (connector, serving) = self.connector_under_way(&under_way).await?;
        let completed = serving.complete(
            &under_way.redirect_uri,
            arrival.parameters,
            under_way.memory,
        );
        match completed.await.map_err(failed)? {
            Completed::Asserted(said) => {
                let proven = Proven::new(connector, said);
                Ok(Finished {
                    issued: self.log_in_proven(proven, scope).await?,
                    purpose: under_way.purpose,
                })
            }
            Completed::Denied(denial) => Err(self.denied(&connector, denial)),
            Completed::Pending { .. } => Err(Error::Unavailable {
                reason: format!("connector {} waits for nobody", connector.id),
            }),
        }
    }

    /// Begins a login of somebody who uses a browser elsewhere (RFC 8628).
    ///
    /// # Errors
    /// As for [`Self::begin_login`].
    pub async fn begin_device_login(&self, connector: &Connector) -> Result<DeviceLogin> {
        require_enabled(connector)?;
        let serving = self.serving(connector).await?;
        let device = unguessable();
        let begun = serving.begin(Way::Device, "", &device).await;
        match begun.map_err(failed)? {
            Begun::Device {
                message,
                memory,
                interval,
                expires_in,
            } => {
                let under_way = UnderWay {
                    connector_id: connector.id.to_string(),
                    revision: serving.revision(),
                    redirect_uri: String::new(),
                    memory,
                    purpose: Purpose::Token,
                    browser: None,
                    expires_at: (self.now() + delta(expires_in)).timestamp(),
                };
                self.keep_login(&device, &under_way).await?;
                Ok(DeviceLogin {
                    message,
                    device: Secret::new(device),
                    interval,
                    expires_in,
                })
            }
            Begun::Denied(denial) => Err(self.denied(connector, denial)),
            Begun::Redirect { .. } => Err(Error::Unavailable {
                reason: format!("connector {} knows no devices", connector.id),
            }),
        }
    }

    /// Asks whether somebody has logged in elsewhere.
    ///
    /// # Errors
    /// `Unauthenticated` where there is no such login, or it was denied.
    pub async fn continue_device_login(
        &self,
        device: &str,
        scope: RequestedScope,
    ) -> Result<DeviceProgress> {
        let mut under_way = self.take_login(device).await?;
        if under_way.browser.is_some() {
            return Err(Error::unauthenticated("this login is not a device's"));
        }
        let (connector, serving) = self.connector_under_way(&under_way).await?;
        let completed = serving
            .complete("", Vec::new(), under_way.memory.clone())
            .await;
        match completed {
            // Not the client's fault: it may ask again.
            Err(error) => {
                self.keep_login(device, &under_way).await?;
                Err(failed(error))
            }
            Ok(Completed::Pending { memory, interval }) => {
                under_way.memory = memory;
                self.keep_login(device, &under_way).await?;
                Ok(DeviceProgress::Pending { interval })
            }
            Ok(Completed::Denied(denial)) => Err(self.denied(&connector, denial)),
            Ok(Completed::Asserted(said)) => {
                let proven = Proven::new(connector, said);
                let issued = self.log_in_proven(proven, scope).await?;
                Ok(DeviceProgress::Finished(issued))
            }
        }
    }

    /// Logs in with a token of the identity provider's, or of a workload's platform.
    ///
    /// # Errors
    /// `Unauthenticated` where it proves nothing.
    pub async fn log_in_by_token(
        &self,
        connector: &Connector,
        token: &Secret,
        scope: RequestedScope,
    ) -> Result<IssuedToken> {
        let proven = self.prove_by_token_of_connector(connector, token).await?;
        self.log_in_proven(proven, scope).await
    }

    pub(crate) async fn prove_by_token_of_connector(
        &self,
        connector: &Connector,
        token: &Secret,
    ) -> Result<Proven> {
        require_enabled(connector)?;
        let serving = self.serving(connector).await?;
        // The connector is whom the client shows it to.
        let said = serving.present(token.expose()).await.map_err(failed)?;
        match said {
            Ok(said) => Ok(Proven::new(connector.clone(), said)),
            Err(denial) => Err(self.denied(connector, denial)),
        }
    }

    /// Ends the sessions of somebody who, as the identity provider says, has logged out there.
    ///
    /// # Errors
    /// `Invalid` where the notice proves nothing.
    pub async fn log_out_by_notice(
        &self,
        connector: &Connector,
        form: Vec<(String, String)>,
    ) -> Result<()> {
        require_enabled(connector)?;
        let serving = self.serving(connector).await?;
        match serving.logout(form).await.map_err(failed)? {
            Ok(subject) => {
                let user_id = self.user_of_subject(connector, &subject);
                let event = RevocationEvent::for_user(user_id, self.now());
                self.revoke(event).await?;
                self.audit_logout(connector, &subject);
                Ok(())
            }
            Err(denial) if denial.reason == Reason::Unavailable => {
                Err(self.denied(connector, denial))
            }
            Err(denial) => {
                tracing::info!(connector = %connector.id, detail = denial.detail, "a notice of a logout proves nothing");
                Err(Error::invalid("The notice does not prove a logout."))
            }
        }
    }

    /// The id of whoever a connector knows by this subject.
    pub(crate) fn user_of_subject(&self, connector: &Connector, subject: &str) -> UserId {
        crate::authentication::user_of_connector(&connector.domain_id, &connector.id, subject)
    }

    async fn log_in_proven(&self, proven: Proven, scope: RequestedScope) -> Result<IssuedToken> {
        self.authenticate(AuthRequest::by_connector(proven, scope))
            .await
    }

    /// The connector as it was when the login began.
    async fn connector_under_way(
        &self,
        under_way: &UnderWay,
    ) -> Result<(Connector, archstone_plugins::Connector)> {
        let gone = || Error::unauthenticated("the login began on a connector that is gone");
        let id = ConnectorId::from(under_way.connector_id.as_str());
        let connector = self
            .store
            .connector(&id)
            .await
            .map_err(|error| match error {
                archstone_store::Error::NotFound { .. } => gone(),
                other => other.into(),
            })?;
        require_enabled(&connector)?;
        let revision = &under_way.revision;
        if let Some(serving) = self.plugins.connector_at(id.as_str(), revision) {
            return Ok((connector, serving));
        }
        let serving = self.serving(&connector).await?;
        match serving.revision() == *revision {
            true => Ok((connector, serving)),
            false => Err(gone()),
        }
    }

    async fn keep_login(&self, key: &str, under_way: &UnderWay) -> Result<()> {
        let text = serde_json::to_string(under_way).map_err(Error::internal)?;
        let expires_at =
            chrono::DateTime::from_timestamp(under_way.expires_at, 0).unwrap_or_else(|| self.now());
        let kept = self
            .store
            .put_state(STATE, &digest(key), &text, expires_at)
            .await;
        Ok(kept?)
    }

    async fn take_login(&self, key: &str) -> Result<UnderWay> {
        let kept = self
            .store
            .take_state(STATE, &digest(key), self.now())
            .await?;
        kept.and_then(|text| serde_json::from_str(&text).ok())
            .ok_or_else(|| Error::unauthenticated("there is no such login under way"))
    }

    fn denied(&self, connector: &Connector, denial: Denial) -> Error {
        let Denial { reason, detail } = denial;
        let told = format!("connector {}: {}: {detail}", connector.id, reason.as_str());
        match reason {
            Reason::Unavailable => Error::Unavailable { reason: told },
            Reason::Malformed => {
                tracing::info!(connector = %connector.id, detail, "a connector finds a login malformed");
                Error::invalid("The request is not what the identity provider's connector expects.")
            }
            _ => Error::unauthenticated(told),
        }
    }
}

pub(super) fn require_enabled(connector: &Connector) -> Result<()> {
    match connector.enabled {
        true => Ok(()),
        false => Err(Error::refused(format!(
            "Identity Provider {} is disabled",
            connector.idp_id
        ))),
    }
}

/// A plugin that fails costs this login and nothing else.
fn failed(error: PluginError) -> Error {
    Error::Unavailable {
        reason: error.to_string(),
    }
}

/// 256 bits in text.
fn unguessable() -> String {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Who can read the database cannot finish anybody's login.
fn digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}
