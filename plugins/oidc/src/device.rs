//! Somebody with a device that has no browser (RFC 8628): they type a code in elsewhere, and the
//! client asks until they have.

use std::time::Duration;

use archstone_plugin::{Begun, Completed, Denial, Reason, log};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    client::{Answer, Form, refused},
    login,
    provider::{Endpoint, Provider},
};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The longest that a login may take.
const PATIENCE: u64 = 600;

/// By how much the interval grows when the provider says that it is too short (section 3.5).
const SLOWER_BY: u64 = 5;

#[derive(Debug, Serialize, Deserialize)]
pub struct Memory {
    device_code: String,
    interval: u64,
}

/// What the device authorization endpoint gives (section 3.2).
#[derive(Deserialize)]
struct Authorization {
    device_code: String,
    user_code: String,
    #[serde(alias = "verification_url")]
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: u64,
    #[serde(default = "usual_interval")]
    interval: u64,
}

fn usual_interval() -> u64 {
    5
}

/// Asks the provider for a code to type in.
pub fn begin(provider: &Provider) -> Result<Begun, Denial> {
    let config = &provider.config;
    let mut form = Form::new().with("scope", &config.scope());
    if !config.acr_values.is_empty() {
        form = form.with("acr_values", &config.acr_values.join(" "));
    }
    if let Some(seconds) = config.max_age_seconds {
        form = form.with("max_age", &seconds.to_string());
    }
    let given: Authorization = match provider.ask(Endpoint::DeviceAuthorization, form)? {
        Answer::Good(answer) => answer.json()?,
        Answer::Refused(code) => return Err(refused(&code)),
    };
    let expires_in = given.expires_in.clamp(1, PATIENCE);
    let mut message = json!({
        "user_code": given.user_code,
        "verification_uri": given.verification_uri,
        "expires_in": expires_in,
        "interval": given.interval,
    });
    if let Some(address) = given.verification_uri_complete {
        message["verification_uri_complete"] = address.into();
    }
    let memory = Memory {
        device_code: given.device_code,
        interval: given.interval,
    };
    Ok(Begun::Device {
        message,
        interval: Duration::from_secs(memory.interval),
        memory: crate::Memory::Device(memory).to_value(),
        expires_in: Duration::from_secs(expires_in),
    })
}

/// Asks whether they have logged in.
pub fn complete(provider: &Provider, memory: Memory) -> Result<Completed, Denial> {
    let form = Form::new()
        .with("grant_type", GRANT)
        .with("device_code", &memory.device_code);
    let tokens = match provider.tokens(form) {
        Ok(Ok(tokens)) => tokens,
        Ok(Err(code)) => return no_tokens(&code, memory),
        // It may answer the next time; the login is not lost (section 3.5).
        Err(denial) if denial.reason() == Reason::Unavailable => {
            log::warn(denial.detail());
            let interval = memory.interval * 2;
            return Ok(pending(memory, interval));
        }
        Err(denial) => return Err(denial),
    };
    login::proven(provider, &tokens, None).map(Completed::Asserted)
}

fn no_tokens(code: &str, memory: Memory) -> Result<Completed, Denial> {
    let interval = memory.interval;
    match code {
        "authorization_pending" => Ok(pending(memory, interval)),
        "slow_down" => Ok(pending(memory, interval + SLOWER_BY)),
        "access_denied" => Err(Denial::rejected("the provider answers access_denied")),
        "expired_token" => {
            let detail = "nobody typed the code in, in time";
            Err(Denial::new(Reason::Expired, detail))
        }
        "invalid_grant" => Err(Denial::rejected("the provider does not take the code")),
        _ => Err(refused(code)),
    }
}

fn pending(mut memory: Memory, interval: u64) -> Completed {
    memory.interval = interval.min(60);
    Completed::Pending {
        interval: Duration::from_secs(memory.interval),
        memory: crate::Memory::Device(memory).to_value(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Memory {
        Memory {
            device_code: "secret".to_owned(),
            interval: 5,
        }
    }

    #[test]
    fn a_provider_that_is_asked_too_often_is_asked_less_often() {
        let seconds = |code: &str| match no_tokens(code, memory()) {
            Ok(Completed::Pending { interval, .. }) => interval.as_secs(),
            other => panic!("{other:?}"),
        };
        assert_eq!(seconds("authorization_pending"), 5);
        assert_eq!(seconds("slow_down"), 10);
    }

    #[test]
    fn a_refusal_ends_the_login() {
        let reason = |code: &str| no_tokens(code, memory()).unwrap_err().reason();
        assert_eq!(reason("access_denied"), Reason::Rejected);
        assert_eq!(reason("expired_token"), Reason::Expired);
        assert_eq!(reason("invalid_grant"), Reason::Rejected);
        assert_eq!(reason("invalid_client"), Reason::Unavailable);
    }
}
