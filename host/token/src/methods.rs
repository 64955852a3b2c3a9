//! Authentication methods as the bit mask that tokens carry.

use thiserror::Error;

const DEFAULT_METHODS: [&str; 7] = [
    "external",
    "password",
    "token",
    "oauth1",
    "mapped",
    "application_credential",
    "ec2credential",
];

/// The configured `[auth] methods`, in order. The position of a name is its bit in
/// [`Methods`], so every server that shares tokens must share this list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthMethods {
    names: Vec<String>,
}

/// A mask has 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("[auth] methods lists {0} methods; a token has room for 64")]
pub struct TooManyMethods(usize);

/// The methods that a token proves, as bits over an [`AuthMethods`] table.
///
/// Bits beyond the table (another server has a longer list) name nothing, but are
/// kept when the token is sealed again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Methods(u64);

impl Methods {
    pub const NONE: Self = Self(0);

    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub const fn bits(self) -> u64 {
        self.0
    }

    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl AuthMethods {
    /// A table of the configured names, in order.
    ///
    /// # Errors
    /// [`TooManyMethods`] if there are more than 64.
    pub fn new<N: Into<String>>(
        names: impl IntoIterator<Item = N>,
    ) -> Result<Self, TooManyMethods> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        if names.len() > 64 {
            return Err(TooManyMethods(names.len()));
        }
        Ok(Self { names })
    }

    /// The mask of `names`. A name that is not configured has no bit and is left out,
    /// as in Keystone (where `oauth2_credential` is such a name by default).
    pub fn encode<N: AsRef<str>>(&self, names: impl IntoIterator<Item = N>) -> Methods {
        let bits = names
            .into_iter()
            .filter_map(|name| self.bit(name.as_ref()))
            .fold(0, |mask, bit| mask | bit);
        Methods(bits)
    }

    /// The names in `methods`, the last configured first: the API's order.
    pub fn names(&self, methods: Methods) -> Vec<&str> {
        let bit_names = self.names.iter().enumerate().rev();
        bit_names
            .filter(|(position, _)| methods.0 & (1 << position) != 0)
            .map(|(_, name)| name.as_str())
            .collect()
    }

    /// Whether `methods` proves `name`.
    pub fn contains(&self, methods: Methods, name: &str) -> bool {
        self.bit(name).is_some_and(|bit| methods.0 & bit != 0)
    }

    /// Every configured name, in order.
    pub fn configured(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    fn bit(&self, name: &str) -> Option<u64> {
        let position = self.names.iter().position(|known| known == name)?;
        Some(1 << position)
    }
}

impl Default for AuthMethods {
    /// Keystone 30's default `[auth] methods`.
    fn default() -> Self {
        Self {
            names: DEFAULT_METHODS.map(String::from).into(),
        }
    }
}
