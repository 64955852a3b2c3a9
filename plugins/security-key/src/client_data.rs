//! What the browser says about a ceremony, which the authenticator signs too (WebAuthn section
//! 5.8.1).

use archstone_plugin::Denial;
use serde::Deserialize;

use crate::{base64url::Base64Url, configuration::Config};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    r#type: String,
    challenge: Base64Url,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
    top_origin: Option<String>,
}

/// What a browser was asked for.
#[derive(Debug, Clone, Copy)]
pub enum Ceremony {
    Registration,
    Assertion,
}

/// Refuses what was not said in answer to this challenge, at one of this relying party's pages.
pub fn check(
    bytes: &[u8],
    ceremony: Ceremony,
    challenge: &Base64Url,
    config: &Config,
) -> Result<(), Denial> {
    let said: ClientData = serde_json::from_slice(bytes)
        .map_err(|_| Denial::malformed("the client data is not what WebAuthn defines"))?;
    let expected = match ceremony {
        Ceremony::Registration => "webauthn.create",
        Ceremony::Assertion => "webauthn.get",
    };
    if said.r#type != expected {
        return Err(Denial::rejected("the client data is of another ceremony"));
    }
    if said.challenge != *challenge {
        return Err(Denial::rejected(
            "the client data answers another challenge",
        ));
    }
    if !config.origins.contains(&said.origin) {
        return Err(Denial::rejected(
            "the client data comes from another origin",
        ));
    }
    if said.cross_origin || said.top_origin.is_some() {
        return Err(Denial::rejected("the page was part of another origin's"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check_with(change: impl FnOnce(&mut Value)) -> Result<(), Denial> {
        let config: Config = serde_json::from_value(json!({
            "rp_id": "id.example",
            "rp_name": "Example",
            "origins": ["https://id.example"],
        }))
        .unwrap();
        let mut said = json!({
            "type": "webauthn.get",
            "challenge": "AQID",
            "origin": "https://id.example",
            "crossOrigin": false,
            "other": "ignored",
        });
        change(&mut said);
        let challenge = Base64Url(vec![1, 2, 3]);
        check(
            said.to_string().as_bytes(),
            Ceremony::Assertion,
            &challenge,
            &config,
        )
    }

    #[test]
    fn the_right_answer_is_accepted() {
        assert!(check_with(|_| {}).is_ok());
    }

    #[test]
    fn anything_else_is_refused() {
        let set = |name: &'static str, value: Value| check_with(move |said| said[name] = value);
        assert!(set("type", json!("webauthn.create")).is_err());
        assert!(set("challenge", json!("AQIE")).is_err());
        assert!(set("origin", json!("https://id.example.evil")).is_err());
        assert!(set("origin", json!("http://id.example")).is_err());
        assert!(set("crossOrigin", json!(true)).is_err());
        assert!(set("topOrigin", json!("https://id.example")).is_err());
    }
}
