//! A browser that goes to an identity provider and comes back: the cookie that makes sure that it is
//! the same one.

use archstone_identity::{BegunLogin, Purpose};
use archstone_model::{connector::Connector, secret::Secret};
use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use cookie::{Cookie, SameSite};

use crate::{
    App,
    error::{ApiError, Result},
    links::BaseUrl,
};

/// Where identity providers send browsers back to, below the root of this server.
pub(super) const CALLBACK: &str = "federation/callback";

/// Sends a browser to a connector's identity provider.
pub(crate) async fn send_to_provider(
    app: &App,
    connector: &Connector,
    base_url: &BaseUrl,
    purpose: Purpose,
) -> Result {
    let callback = base_url.v4(CALLBACK);
    let begun = app
        .identity
        .begin_login(connector, &callback, None, purpose)
        .await?;
    let cookie = Cookie::build((cookie_name(&begun.state), begun.browser.expose()))
        .path(format!("/v4/{CALLBACK}"))
        .http_only(true)
        // The browser comes from the provider's site, by a link.
        .same_site(SameSite::Lax)
        .secure(callback.starts_with("https:"))
        .max_age(max_age(&begun))
        .build();
    let headers = [
        (header::LOCATION, begun.location.as_str()),
        (header::CACHE_CONTROL, "no-store"),
        (header::SET_COOKIE, &cookie.to_string()),
    ];
    let mut response = StatusCode::FOUND.into_response();
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).map_err(|_| {
            ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "The connector sends browsers to what is no address.",
            )
        })?;
        response.headers_mut().insert(name, value);
    }
    Ok::<Response, ApiError>(response)
}

fn max_age(begun: &BegunLogin) -> cookie::time::Duration {
    cookie::time::Duration::seconds(begun.expires_in.as_secs().try_into().unwrap_or(0))
}

/// What the browser shows that comes back with this state.
pub(super) fn shown(headers: &HeaderMap, state: &str) -> Option<Secret> {
    let name = cookie_name(state);
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(Cookie::split_parse)
        .filter_map(|cookie| cookie.ok())
        .find(|cookie| cookie.name() == name)
        .map(|cookie| Secret::from(cookie.value()))
}

/// Several logins may be under way in one browser.
fn cookie_name(state: &str) -> String {
    let known: String = state
        .chars()
        .filter(|c| c.is_ascii_alphanumeric())
        .take(16)
        .collect();
    format!("archstone-login-{known}")
}
