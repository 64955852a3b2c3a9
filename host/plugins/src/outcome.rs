//! What any plugin that looks at evidence may find, checked.

use serde_json::{Map, Value};

use crate::{
    Assertion, Denial, PluginError, Reason, bindings::archstone::plugin::outcomes as wire,
    plugin::LoadedPlugin, run::shortened,
};

const LONGEST_SUBJECT: usize = 255;

impl LoadedPlugin {
    pub fn assertion(&self, said: wire::Assertion) -> Result<Assertion, PluginError> {
        Ok(Assertion {
            method: self.method.clone(),
            claims: self.object(&said.claims, "claims")?,
            subject: self.subject(said.subject)?,
        })
    }

    pub fn subject(&self, subject: String) -> Result<String, PluginError> {
        match subject.len() {
            1..=LONGEST_SUBJECT => Ok(subject),
            _ => Err(self.broke("a subject that is empty or longer than 255 bytes")),
        }
    }

    pub fn object(&self, text: &str, what: &str) -> Result<Map<String, Value>, PluginError> {
        let limit = self.limits().output_bytes;
        if text.len() > limit {
            let method = self.method.clone();
            return Err(PluginError::OutputTooLarge { method, limit });
        }
        serde_json::from_str(text).map_err(|_| self.broke(&format!("a {what} that is no object")))
    }

    pub fn broke(&self, what: &str) -> PluginError {
        PluginError::ContractBroken {
            method: self.method.clone(),
            what: what.to_owned(),
        }
    }
}

pub(crate) fn denial(said: wire::Denial) -> Denial {
    Denial {
        reason: match said.reason {
            wire::Reason::Malformed => Reason::Malformed,
            wire::Reason::Rejected => Reason::Rejected,
            wire::Reason::Replayed => Reason::Replayed,
            wire::Reason::Expired => Reason::Expired,
            wire::Reason::NotEnrolled => Reason::NotEnrolled,
            wire::Reason::Unavailable => Reason::Unavailable,
        },
        detail: shortened(said.detail),
    }
}
