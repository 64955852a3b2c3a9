//! What a proxy in front of this server says that an identity provider said. Headers are believed
//! from the addresses that the operator trusts, and from nobody else.

use std::{
    collections::HashSet,
    net::{IpAddr, SocketAddr},
};

use archstone_model::mapping::Assertion;
use axum::{
    extract::{ConnectInfo, FromRef, FromRequestParts},
    http::{HeaderMap, request::Parts},
};
use ipnet::IpNet;

use crate::{App, error::ApiError};

/// Who may tell what an identity provider said, and how.
#[derive(Debug, Clone)]
pub struct TrustedProxies {
    /// `[archstone] trusted_proxies`
    pub networks: Vec<IpNet>,
    /// `[archstone] assertion_header_prefix`: what the names of the headers begin with. The proxy
    /// must remove such headers from what clients send.
    pub header_prefix: String,
    /// `[federation] assertion_prefix`: what the names of the attributes begin with that count.
    pub attribute_prefix: String,
}

impl TrustedProxies {
    fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.networks.iter().any(|network| network.contains(&peer))
    }

    /// Whom a request is from that this peer sent: the last in `X-Forwarded-For` that is no trusted
    /// proxy itself.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let forwarded = headers.get_all("x-forwarded-for").into_iter();
        let hops = forwarded.flat_map(|value| value.to_str().unwrap_or_default().split(','));
        let mut hops: Vec<_> = hops.map(|hop| hop.trim().parse().ok()).collect();
        let mut client = peer;
        // Behind the first that is not to be believed, anything may be written.
        while self.trusts(client) {
            match hops.pop() {
                Some(Some(hop)) => client = hop,
                _ => break,
            }
        }
        client
    }

    /// The attributes in a request's headers.
    ///
    /// # Errors
    /// 400 where an attribute comes twice, be it with `-` for `_`: one of them may be the client's.
    fn read(&self, headers: &HeaderMap) -> Result<Assertion, ApiError> {
        let mut assertion = Assertion::default();
        let mut seen = HashSet::new();
        let length = self.header_prefix.len();
        for (name, value) in headers {
            let name = name.as_str();
            let Some((prefix, short)) = name.split_at_checked(length) else {
                continue;
            };
            if short.is_empty() || !prefix.eq_ignore_ascii_case(&self.header_prefix) {
                continue;
            }
            if !seen.insert(name.replace('-', "_")) {
                return Err(ApiError::bad_request(format!(
                    "The attribute {name} is in the request more than once."
                )));
            }
            assertion.add_header(name, short, text(value.as_bytes()));
        }
        Ok(assertion)
    }
}

/// All that a trusted proxy says with a request; nothing from anybody else.
pub(crate) fn trusted(parts: &Parts, app: &App) -> Result<Assertion, ApiError> {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    match (&app.options.trusted_proxies, peer) {
        (Some(proxies), Some(ConnectInfo(peer))) if proxies.trusts(peer.ip()) => {
            proxies.read(&parts.headers)
        }
        _ => Ok(Assertion::default()),
    }
}

/// A header's text: UTF-8, and what is not, Latin-1.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

/// The assertion of an identity provider that a trusted proxy sent with a request; an empty one from
/// anybody else.
#[derive(Debug)]
pub(crate) struct TrustedAssertion(pub Assertion);

impl<S> FromRequestParts<S> for TrustedAssertion
where
    App: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let app = App::from_ref(state);
        Ok(Self(that_counts(trusted(parts, &app)?, &app)))
    }
}

/// What a web server that Keystone runs in tells it of a connection, as a trusted proxy says it:
/// `SSL_CLIENT_CERT`, `REMOTE_USER` and the like. Their names are fixed, so that no
/// `[federation] assertion_prefix` hides them.
#[derive(Debug)]
pub(crate) struct TrustedVariables(pub Assertion);

impl<S> FromRequestParts<S> for TrustedVariables
where
    App: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        trusted(parts, &App::from_ref(state)).map(Self)
    }
}

/// Where a login comes from, and what a trusted proxy says with it.
#[derive(Debug)]
pub(crate) struct Origin {
    /// As [`TrustedAssertion`].
    pub(crate) assertion: Assertion,
    /// As [`TrustedVariables`].
    pub(crate) variables: Assertion,
    /// The peer, or whom a trusted proxy says it serves.
    pub(crate) client: Option<IpAddr>,
}

impl<S> FromRequestParts<S> for Origin
where
    App: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let app = App::from_ref(state);
        let variables = trusted(parts, &app)?;
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map(|ConnectInfo(peer)| peer.ip());
        Ok(Self {
            assertion: that_counts(variables.clone(), &app),
            variables,
            client: match (peer, &app.options.trusted_proxies) {
                (Some(peer), Some(proxies)) => Some(proxies.client(peer, &parts.headers)),
                (peer, _) => peer,
            },
        })
    }
}

/// The attributes whose names `[federation] assertion_prefix` lets through.
fn that_counts(assertion: Assertion, app: &App) -> Assertion {
    match &app.options.trusted_proxies {
        Some(proxies) => assertion.beginning_with(&proxies.attribute_prefix),
        None => assertion,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn proxies() -> TrustedProxies {
        TrustedProxies {
            networks: vec!["10.0.0.0/8".parse().unwrap()],
            header_prefix: "X-Idp-".to_owned(),
            attribute_prefix: String::new(),
        }
    }

    #[test]
    fn a_client_is_whom_the_last_trusted_proxy_saw() {
        let client = |peer: &str, forwarded: &'static str| {
            let headers = headers(&[("x-forwarded-for", forwarded.as_bytes())]);
            proxies()
                .client(peer.parse().unwrap(), &headers)
                .to_string()
        };
        assert_eq!(client("192.0.2.9", "198.51.100.1"), "192.0.2.9");
        assert_eq!(client("10.0.0.1", "198.51.100.1"), "198.51.100.1");
        assert_eq!(
            client("10.0.0.1", "203.0.113.5, 198.51.100.1, 10.0.0.2"),
            "198.51.100.1"
        );
        assert_eq!(client("10.0.0.1", "nonsense"), "10.0.0.1");
        assert_eq!(client("10.0.0.1", ""), "10.0.0.1");
    }

    fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &[u8])| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_bytes(value).unwrap(),
            )
        };
        let mut headers = HeaderMap::new();
        for (name, value) in pairs.iter().map(pair) {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn only_named_networks_are_trusted_in_either_notation() {
        assert!(proxies().trusts("10.1.2.3".parse().unwrap()));
        assert!(proxies().trusts("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!proxies().trusts("192.168.0.1".parse().unwrap()));
        assert!(!proxies().trusts("::1".parse().unwrap()));
    }

    #[test]
    fn headers_without_the_prefix_say_nothing() {
        let headers = headers(&[
            ("x-idp-user", b"ada"),
            ("x-user", b"eve"),
            ("x_idp_user", b"eve"),
        ]);
        let assertion = proxies().read(&headers).unwrap();
        assert_eq!(assertion.get("HTTP_X_IDP_USER"), Some("ada"));
        assert_eq!(assertion.get("HTTP_X_USER"), None);
    }

    #[test]
    fn an_attribute_that_comes_twice_is_refused_however_it_is_spelt() {
        for twice in ["x-idp-user-name", "x-idp-user_name"] {
            let headers = headers(&[("x-idp-user-name", b"ada"), (twice, b"eve")]);
            assert!(proxies().read(&headers).is_err(), "{twice}");
        }
    }

    #[test]
    fn a_value_is_read_as_utf_8_or_latin_1() {
        let headers = headers(&[("x-idp-new", "ñ".as_bytes()), ("x-idp-old", b"\xf1")]);
        let assertion = proxies().read(&headers).unwrap();
        assert_eq!(assertion.get("NEW"), Some("ñ"));
        assert_eq!(assertion.get("OLD"), Some("ñ"));
    }
}
