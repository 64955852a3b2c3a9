//! The claims of a JWT, and whether they are what was expected. No signature is looked at here.

use archstone_plugin::{Denial, Reason};
use serde_json::{Map, Value};

/// The claims of a token whose signature holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Claims(Map<String, Value>);

/// What claims have to say.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Now, in seconds since 1970.
    pub now: u64,
    /// How far two clocks may be apart, in seconds.
    pub leeway: u64,
    /// Who issued it; nothing leaves it open.
    pub issuer: Option<&'a str>,
    /// Whom it is for: one of these.
    pub audiences: &'a [String],
    /// How long ago it may have been issued, in seconds; nothing leaves it open.
    pub max_age: Option<u64>,
    /// Claims that have to be there.
    pub required: &'a [String],
}

impl From<Map<String, Value>> for Claims {
    fn from(claims: Map<String, Value>) -> Self {
        Self(claims)
    }
}

impl Claims {
    /// # Errors
    /// If this is no JSON object.
    pub fn read(payload: &[u8]) -> Result<Self, Denial> {
        serde_json::from_slice(payload)
            .map(Self)
            .map_err(|_| Denial::rejected("the token's claims are no JSON object"))
    }

    pub fn into_object(self) -> Map<String, Value> {
        self.0
    }

    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// The claim of a name, or at a JSON pointer (RFC 6901), which begins with `/`.
    pub fn at(&self, path: &str) -> Option<&Value> {
        let Some(pointer) = path.strip_prefix('/') else {
            return self.0.get(path);
        };
        let (first, rest) = match pointer.split_once('/') {
            Some((first, rest)) => (first, Some(rest)),
            None => (pointer, None),
        };
        let value = self.0.get(&first.replace("~1", "/").replace("~0", "~"))?;
        match rest {
            Some(rest) => value.pointer(&format!("/{rest}")),
            None => Some(value),
        }
    }

    /// A `NumericDate` (RFC 7519 section 2), whole seconds of it.
    ///
    /// # Errors
    /// If the claim is there and is none.
    pub fn time(&self, name: &str) -> Result<Option<u64>, Denial> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        let seconds = value.as_u64().or_else(|| {
            let seconds = value.as_f64()?;
            // Past this, numbers with a fraction are no longer exact; no clock is there.
            (0.0..9e15).contains(&seconds).then_some(seconds as u64)
        });
        match seconds {
            Some(seconds) => Ok(Some(seconds)),
            None => Err(Denial::rejected(format!("the token's `{name}` is no time"))),
        }
    }

    /// `aud`, which may be one text or a list of them.
    pub fn audiences(&self) -> Vec<&str> {
        match self.0.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// `sub`.
    ///
    /// # Errors
    /// If there is none that can be a subject.
    pub fn subject(&self) -> Result<&str, Denial> {
        subject_in(self.0.get("sub"))
            .ok_or_else(|| Denial::rejected("the token's `sub` is missing, empty or too long"))
    }

    /// Holds the claims against what was expected.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self, expected: &Expected) -> Result<(), Denial> {
        self.check_origin(expected)?;
        self.check_time(expected)?;
        let missing = expected
            .required
            .iter()
            .find(|name| self.at(name).is_none());
        match missing {
            Some(name) => Err(Denial::rejected(format!("the token has no `{name}`"))),
            None => Ok(()),
        }
    }

    fn check_origin(&self, expected: &Expected) -> Result<(), Denial> {
        let right = expected
            .issuer
            .is_none_or(|issuer| self.text("iss") == Some(issuer));
        if !right {
            return Err(Denial::rejected("the token is of another issuer"));
        }
        let meant = self
            .audiences()
            .into_iter()
            .any(|audience| expected.audiences.iter().any(|ours| ours == audience));
        match meant {
            true => Ok(()),
            false => Err(Denial::rejected("the token is for another audience")),
        }
    }

    /// `exp` has to be there: a token that is good for ever is good for whoever finds it.
    fn check_time(&self, expected: &Expected) -> Result<(), Denial> {
        let Expected { now, leeway, .. } = *expected;
        let late = |detail: &str| Denial::new(Reason::Expired, detail);
        let ends = self
            .time("exp")?
            .ok_or_else(|| Denial::rejected("the token has no `exp`"))?;
        if ends.saturating_add(leeway) <= now {
            return Err(late("the token has expired"));
        }
        if self
            .time("nbf")?
            .is_some_and(|begins| begins > now + leeway)
        {
            return Err(Denial::rejected("the token is not valid yet"));
        }
        let issued = self.time("iat")?;
        if issued.is_some_and(|issued| issued > now + leeway) {
            return Err(Denial::rejected("the token was issued in the future"));
        }
        let Some(max_age) = expected.max_age else {
            return Ok(());
        };
        let issued =
            issued.ok_or_else(|| Denial::rejected("the token does not say when it was issued"))?;
        match issued.saturating_add(max_age).saturating_add(leeway) < now {
            true => Err(late("the token was issued too long ago")),
            false => Ok(()),
        }
    }
}

/// A value that can be an assertion's subject.
pub(crate) fn subject_in(value: Option<&Value>) -> Option<&str> {
    value?
        .as_str()
        .filter(|subject| (1..=255).contains(&subject.len()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn claims(changes: Value) -> Claims {
        let mut claims = json!({
            "iss": "https://id.example",
            "sub": "ada",
            "aud": ["archstone", "other"],
            "iat": NOW - 10,
            "exp": NOW + 300,
        });
        let (Some(all), Value::Object(changes)) = (claims.as_object_mut(), changes) else {
            unreachable!()
        };
        for (name, value) in changes {
            match value {
                Value::Null => drop(all.remove(&name)),
                value => drop(all.insert(name, value)),
            }
        }
        Claims::read(claims.to_string().as_bytes()).unwrap()
    }

    fn said(changes: Value) -> String {
        let audiences = ["archstone".to_owned()];
        let expected = Expected {
            now: NOW,
            leeway: 60,
            issuer: Some("https://id.example"),
            audiences: &audiences,
            max_age: Some(600),
            required: &["sub".to_owned()],
        };
        match claims(changes).check(&expected) {
            Ok(()) => "good".to_owned(),
            Err(denial) => denial.detail().to_owned(),
        }
    }

    #[test]
    fn a_good_token_passes_in_every_form() {
        for changes in [
            json!({}),
            json!({"aud": "archstone"}),
            json!({"exp": NOW - 59}),
            json!({"exp": 1_800_000_300.5}),
            json!({"nbf": NOW + 60, "iat": NOW + 60}),
            json!({"iat": NOW - 660}),
        ] {
            assert_eq!(said(changes.clone()), "good", "{changes}");
        }
    }

    #[test]
    fn each_fault_is_found() {
        for (changes, fault) in [
            (json!({"iss": "https://id.example/"}), "of another issuer"),
            (json!({"iss": null}), "of another issuer"),
            (json!({"iss": ["https://id.example"]}), "of another issuer"),
            (json!({"aud": "archstones"}), "another audience"),
            (json!({"aud": []}), "another audience"),
            (json!({"aud": null}), "another audience"),
            (json!({"exp": null}), "no `exp`"),
            (json!({"exp": NOW - 60}), "has expired"),
            (json!({"exp": "1900000000"}), "no time"),
            (json!({"exp": -5}), "no time"),
            (json!({"nbf": NOW + 61}), "not valid yet"),
            (json!({"iat": NOW + 61}), "in the future"),
            (json!({"iat": NOW - 661}), "too long ago"),
            (json!({"iat": null}), "when it was issued"),
            (json!({"sub": null}), "no `sub`"),
        ] {
            let said = said(changes.clone());
            assert!(said.contains(fault), "{changes}: {said}");
        }
    }

    #[test]
    fn a_claim_has_a_name_or_a_pointer() {
        let claims = claims(json!({
            "https://id.example/team": "red",
            "kubernetes.io": {"namespace": "prod", "serviceaccount": {"name": "ci"}},
            "a/b": 1,
        }));
        assert_eq!(claims.at("https://id.example/team"), Some(&json!("red")));
        assert_eq!(claims.at("/kubernetes.io/namespace"), Some(&json!("prod")));
        assert_eq!(
            claims.at("/kubernetes.io/serviceaccount/name"),
            Some(&json!("ci"))
        );
        assert_eq!(claims.at("/a~1b"), Some(&json!(1)));
        assert_eq!(claims.at("/a/b"), None);
        assert_eq!(claims.at("kubernetes.io/namespace"), None);
    }

    #[test]
    fn what_cannot_be_a_subject_is_none() {
        for sub in [json!(null), json!(""), json!(7), json!("x".repeat(256))] {
            assert!(claims(json!({"sub": sub})).subject().is_err());
        }
    }
}
