//! Plugins of version 0.1.0 of the contract, in terms of the newest: the same capabilities under
//! their old names, and what such plugins hand over.

use crate::{
    bindings::{
        archstone::plugin as new,
        v0_1::{self, archstone::plugin as old},
    },
    call::Call,
};

/// Enums and records that are the same in both versions.
macro_rules! same {
    ($from:ty => $to:ty { $($variant:ident),* $(,)? }) => {
        impl From<$from> for $to {
            fn from(value: $from) -> Self {
                match value {
                    $(<$from>::$variant => Self::$variant,)*
                }
            }
        }
    };
}

same!(old::types::Capability => new::types::Capability {
    Clock, Random, Log, Secrets, State, Signatures, Http, Credentials,
});
same!(old::types::Proof => new::types::Proof { Account, Subject });
same!(old::authentication::Reason => new::outcomes::Reason {
    Malformed, Rejected, Replayed, Expired, NotEnrolled, Unavailable,
});
same!(old::log::Level => new::log::Level { Debug, Info, Warn, Error });
same!(new::state::StateError => old::state::StateError { Invalid, Unavailable });
same!(new::credentials::CredentialsError => old::credentials::CredentialsError {
    NotGranted, NoAccount,
});
same!(old::signatures::Hash => new::signatures::Hash { Sha1, Sha256, Sha384, Sha512 });
same!(old::signatures::JwsAlgorithm => new::signatures::JwsAlgorithm {
    Rs256, Rs384, Rs512, Ps256, Ps384, Ps512, Es256, Es384, Eddsa,
});
same!(new::signatures::JwsError => old::signatures::JwsError {
    Malformed, AlgorithmNotAccepted, NoKey, Forged, BadKeySet,
});

impl From<old::types::Description> for new::types::Description {
    fn from(said: old::types::Description) -> Self {
        Self {
            name: said.name,
            version: said.version,
            summary: said.summary,
            proves: said.proves.into(),
            config_schema: said.config_schema,
            secret_fields: said.secret_fields,
            server_fields: Vec::new(),
            capabilities: said.capabilities.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<old::types::ConfigError> for new::types::ConfigError {
    fn from(error: old::types::ConfigError) -> Self {
        Self {
            pointer: error.pointer,
            message: error.message,
        }
    }
}

impl From<new::authentication::Step> for old::authentication::Step {
    fn from(step: new::authentication::Step) -> Self {
        Self {
            config: step.config,
            payload: step.payload,
            account: step.account.map(|account| old::authentication::Account {
                handle: account.handle,
            }),
            memory: step.memory,
        }
    }
}

impl From<v0_1::Outcome> for new::authentication::Outcome {
    fn from(outcome: v0_1::Outcome) -> Self {
        match outcome {
            v0_1::Outcome::Verified => Self::Verified,
            v0_1::Outcome::Asserted(said) => Self::Asserted(new::outcomes::Assertion {
                subject: said.subject,
                claims: said.claims,
            }),
            v0_1::Outcome::Challenged(said) => Self::Challenged(new::authentication::Challenge {
                message: said.message,
                memory: said.memory,
                expires_in: said.expires_in,
            }),
            v0_1::Outcome::Denied(said) => Self::Denied(new::outcomes::Denial {
                reason: said.reason.into(),
                detail: said.detail,
            }),
        }
    }
}

impl From<new::http::HttpError> for old::http::HttpError {
    fn from(error: new::http::HttpError) -> Self {
        match error {
            new::http::HttpError::Invalid(why) => Self::Invalid(why),
            new::http::HttpError::OriginNotGranted => Self::OriginNotGranted,
            new::http::HttpError::AddressNotAllowed => Self::AddressNotAllowed,
            new::http::HttpError::TimedOut => Self::TimedOut,
            new::http::HttpError::TooLarge => Self::TooLarge,
            new::http::HttpError::TooMany => Self::TooMany,
            new::http::HttpError::Failed(place) => Self::Failed(place),
        }
    }
}

impl old::clock::Host for Call {
    fn now(&mut self) -> old::clock::Instant {
        let now = new::clock::Host::now(self);
        old::clock::Instant {
            seconds: now.seconds,
            nanoseconds: now.nanoseconds,
        }
    }
}

impl old::random::Host for Call {
    fn bytes(&mut self, count: u32) -> Vec<u8> {
        new::random::Host::bytes(self, count)
    }
}

impl old::log::Host for Call {
    fn write(&mut self, level: old::log::Level, message: String) {
        new::log::Host::write(self, level.into(), message);
    }
}

impl old::secrets::Host for Call {
    fn get(&mut self, field: String) -> Option<String> {
        new::secrets::Host::get(self, field)
    }
}

impl old::state::Host for Call {
    async fn put(
        &mut self,
        key: String,
        value: String,
        seconds: u32,
    ) -> Result<(), old::state::StateError> {
        let kept = new::state::Host::put(self, key, value, seconds).await;
        kept.map_err(Into::into)
    }

    async fn take(&mut self, key: String) -> Result<Option<String>, old::state::StateError> {
        new::state::Host::take(self, key).await.map_err(Into::into)
    }

    async fn put_if_absent(
        &mut self,
        key: String,
        value: String,
        seconds: u32,
    ) -> Result<bool, old::state::StateError> {
        let kept = new::state::Host::put_if_absent(self, key, value, seconds).await;
        kept.map_err(Into::into)
    }
}

impl old::signatures::Host for Call {
    fn digest(&mut self, hash: old::signatures::Hash, data: Vec<u8>) -> Vec<u8> {
        new::signatures::Host::digest(self, hash.into(), data)
    }

    fn hmac(&mut self, hash: old::signatures::Hash, key: Vec<u8>, data: Vec<u8>) -> Vec<u8> {
        new::signatures::Host::hmac(self, hash.into(), key, data)
    }

    fn equal(&mut self, left: Vec<u8>, right: Vec<u8>) -> bool {
        new::signatures::Host::equal(self, left, right)
    }

    fn verify_jws(
        &mut self,
        jws: String,
        keys: String,
        accept: Vec<old::signatures::JwsAlgorithm>,
    ) -> Result<old::signatures::VerifiedJws, old::signatures::JwsError> {
        let accept = accept.into_iter().map(Into::into).collect();
        let verified = new::signatures::Host::verify_jws(self, jws, keys, accept)?;
        Ok(old::signatures::VerifiedJws {
            header: verified.header,
            payload: verified.payload,
        })
    }
}

impl old::http::Host for Call {
    async fn send(
        &mut self,
        request: old::http::Request,
    ) -> Result<old::http::Response, old::http::HttpError> {
        let request = new::http::Request {
            method: request.method,
            url: request.url,
            headers: request.headers,
            body: request.body,
        };
        let answer = new::http::Host::send(self, request).await?;
        Ok(old::http::Response {
            status: answer.status,
            headers: answer.headers,
            body: answer.body,
        })
    }
}

impl old::credentials::Host for Call {
    fn of_type(
        &mut self,
        kind: String,
    ) -> Result<Vec<old::credentials::Credential>, old::credentials::CredentialsError> {
        let found = new::credentials::Host::of_type(self, kind)?;
        let credential = |one: new::credentials::Credential| old::credentials::Credential {
            handle: one.handle,
            blob: one.blob,
        };
        Ok(found.into_iter().map(credential).collect())
    }
}

impl old::types::Host for Call {}
impl old::authentication::Host for Call {}
