//! Logging in by an identity provider's word: for programs, and for people who come from a
//! dashboard and go back there with a token.

use archstone_identity::{AuthRequest, IssuedToken, Purpose, RequestedScope};
use archstone_model::{
    id::{IdentityProviderId, ProtocolId},
    mapping::Assertion,
};
use axum::{
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    assertion::TrustedAssertion,
    auth,
    error::{ApiError, Result},
    links::BaseUrl,
    query::ListQuery,
    token_body::TokenEnvelope,
    v4::{Bearer, send_to_provider},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(log_in, log_in_by_post))
        .routes(routes!(sign_on, sign_on_by_post))
        .routes(routes!(sign_on_at_provider, sign_on_at_provider_by_post))
}

/// Logs in with what the identity provider says, and issues an unscoped token.
#[utoipa::path(get,
    path = "/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/auth",
    tag = "federation", security(()), params(("idp_id" = String, Path), ("protocol_id" = String, Path)),
    responses((status = 201, body = TokenEnvelope,
        headers(("X-Subject-Token" = String, description = "The token"))), (status = 401), (status = 403), (status = 409)))]
async fn log_in(
    State(app): State<App>,
    Path((idp_id, protocol_id)): Path<(IdentityProviderId, ProtocolId)>,
    TrustedAssertion(assertion): TrustedAssertion,
    bearer: Result<Bearer, ApiError>,
) -> Result {
    let issued = match app.identity.connector_of(&idp_id, &protocol_id).await? {
        Some(connector) => {
            let Bearer(token) = bearer?;
            let scope = RequestedScope::Default;
            app.identity
                .log_in_by_token(&connector, &token, scope)
                .await?
        }
        None => {
            let request = AuthRequest::federated(&idp_id, &protocol_id, assertion);
            app.identity.authenticate(request).await?
        }
    };
    auth::answer(&app, &issued, true).await
}

/// Logs in with what the identity provider says, and issues an unscoped token.
#[utoipa::path(post,
    path = "/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/auth",
    tag = "federation", security(()), params(("idp_id" = String, Path), ("protocol_id" = String, Path)),
    responses((status = 201, body = TokenEnvelope,
        headers(("X-Subject-Token" = String, description = "The token"))), (status = 401), (status = 403), (status = 409)))]
async fn log_in_by_post(
    state: State<App>,
    path: Path<(IdentityProviderId, ProtocolId)>,
    assertion: TrustedAssertion,
    bearer: Result<Bearer, ApiError>,
) -> Result {
    log_in(state, path, assertion, bearer).await
}

/// Logs a dashboard's user in; the assertion tells the identity provider.
#[utoipa::path(get, path = "/auth/OS-FEDERATION/websso/{protocol_id}", tag = "federation", security(()),
    params(("protocol_id" = String, Path), ("origin" = String, Query)),
    responses((status = 200, body = String, content_type = "text/html",
        description = "The page that takes the token to the dashboard"), (status = 302, description = "To the identity provider; no body."), (status = 401), (status = 403), (status = 409)))]
async fn sign_on(
    State(app): State<App>,
    Path(protocol_id): Path<ProtocolId>,
    TrustedAssertion(assertion): TrustedAssertion,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result {
    if assertion.is_empty()
        && let Some(connector) = app.identity.only_connector_by(&protocol_id).await?
    {
        let purpose = Purpose::Dashboard(trusted_dashboard(&app, &query)?);
        return send_to_provider(&app, &connector, &base_url, purpose).await;
    }
    let idp_id = app.identity.provider_of(&protocol_id, &assertion).await?;
    let dashboard = trusted_dashboard(&app, &query)?;
    hand_over(&app, &dashboard, &idp_id, &protocol_id, assertion).await
}

/// Logs a dashboard's user in; the assertion tells the identity provider.
#[utoipa::path(post, path = "/auth/OS-FEDERATION/websso/{protocol_id}", tag = "federation", security(()),
    params(("protocol_id" = String, Path), ("origin" = String, Query)),
    responses((status = 200, body = String, content_type = "text/html",
        description = "The page that takes the token to the dashboard"), (status = 302, description = "To the identity provider; no body."), (status = 401), (status = 403), (status = 409)))]
async fn sign_on_by_post(
    state: State<App>,
    path: Path<ProtocolId>,
    assertion: TrustedAssertion,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result {
    sign_on(state, path, assertion, base_url, query).await
}

/// Logs a dashboard's user in at one identity provider.
#[utoipa::path(get,
    path = "/auth/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/websso",
    tag = "federation", security(()),
    params(("idp_id" = String, Path), ("protocol_id" = String, Path), ("origin" = String, Query)),
    responses((status = 200, body = String, content_type = "text/html",
        description = "The page that takes the token to the dashboard"), (status = 302, description = "To the identity provider; no body."), (status = 401), (status = 403), (status = 409)))]
async fn sign_on_at_provider(
    State(app): State<App>,
    Path((idp_id, protocol_id)): Path<(IdentityProviderId, ProtocolId)>,
    TrustedAssertion(assertion): TrustedAssertion,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result {
    let dashboard = trusted_dashboard(&app, &query)?;
    if let Some(connector) = app.identity.connector_of(&idp_id, &protocol_id).await? {
        let purpose = Purpose::Dashboard(dashboard);
        return send_to_provider(&app, &connector, &base_url, purpose).await;
    }
    hand_over(&app, &dashboard, &idp_id, &protocol_id, assertion).await
}

/// Logs a dashboard's user in at one identity provider.
#[utoipa::path(post,
    path = "/auth/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/websso",
    tag = "federation", security(()),
    params(("idp_id" = String, Path), ("protocol_id" = String, Path), ("origin" = String, Query)),
    responses((status = 200, body = String, content_type = "text/html",
        description = "The page that takes the token to the dashboard"), (status = 302, description = "To the identity provider; no body."), (status = 401), (status = 403), (status = 409)))]
async fn sign_on_at_provider_by_post(
    state: State<App>,
    path: Path<(IdentityProviderId, ProtocolId)>,
    assertion: TrustedAssertion,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result {
    sign_on_at_provider(state, path, assertion, base_url, query).await
}

/// Logs in and answers with the page that takes the token to the dashboard.
async fn hand_over(
    app: &App,
    dashboard: &str,
    idp_id: &IdentityProviderId,
    protocol_id: &ProtocolId,
    assertion: Assertion,
) -> Result {
    let request = AuthRequest::federated(idp_id, protocol_id, assertion);
    let issued = app.identity.authenticate(request).await?;
    take_to_dashboard(app, dashboard, &issued)
}

/// The page that takes a token to a dashboard.
pub(crate) fn take_to_dashboard(app: &App, dashboard: &str, issued: &IssuedToken) -> Result {
    // Handing the token to its owner is what this page is for.
    let page = app
        .options
        .callback_page
        .render(dashboard, issued.token.expose());
    let headers = [
        (header::CONTENT_TYPE, "text/html"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok::<Response, ApiError>((StatusCode::OK, headers, page).into_response())
}

/// The dashboard that the request's `origin` names.
fn trusted_dashboard(app: &App, query: &ListQuery) -> Result<String, ApiError> {
    let origin = query
        .get("origin")
        .filter(|origin| !origin.is_empty())
        .ok_or_else(|| ApiError::bad_request("Request must have an origin query parameter"))?;
    // Dashboards quote it once more than a query needs.
    let origin = origin.replace('+', " ");
    let origin = percent_encoding::percent_decode_str(&origin).decode_utf8_lossy();
    let mut trusted = app.options.trusted_dashboards.iter();
    if trusted.any(|dashboard| with_lower_case_host(dashboard) == origin) {
        Ok(origin.into_owned())
    } else {
        Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            format!("{origin} is not a trusted dashboard host"),
        ))
    }
}

fn with_lower_case_host(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    format!("{scheme}://{}{path}", host.to_lowercase())
}

/// The page that posts a token to a dashboard as soon as it is shown. `$host` and `$token` in it
/// stand for the two; both are put in as attribute values.
#[derive(Debug, Clone)]
pub struct CallbackPage(String);

impl Default for CallbackPage {
    fn default() -> Self {
        Self(include_str!("sso_callback.html").to_owned())
    }
}

impl CallbackPage {
    pub fn new(page: String) -> Self {
        Self(page)
    }

    fn render(&self, host: &str, token: &str) -> String {
        let quote =
            |text| html_escape::encode_double_quoted_attribute(text).replace('\'', "&#x27;");
        let (host, token) = (quote(host), quote(token));
        let mut rendered = String::with_capacity(self.0.len() + token.len());
        let mut rest = self.0.as_str();
        while let Some((before, after)) = rest.split_once('$') {
            rendered.push_str(before);
            let names = [
                ("host", &host),
                ("{host}", &host),
                ("token", &token),
                ("{token}", &token),
            ];
            let named = names.iter().find_map(|(name, value)| {
                let after = after.strip_prefix(name)?;
                Some((value.as_str(), after))
            });
            match (named, after.strip_prefix('$')) {
                (Some((value, after)), _) => {
                    rendered.push_str(value);
                    rest = after;
                }
                (None, Some(after)) => {
                    rendered.push('$');
                    rest = after;
                }
                (None, None) => {
                    rendered.push('$');
                    rest = after;
                }
            }
        }
        rendered.push_str(rest);
        rendered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_value_ends_the_attribute_it_is_in() {
        let page =
            CallbackPage::new("<form action=\"$host\" name='${token}'>$$5 $other".to_owned());
        let rendered = page.render("https://x/\"><script>&'", "$host'");
        assert_eq!(
            rendered,
            "<form action=\"https://x/&quot;&gt;&lt;script&gt;&amp;&#x27;\" name='$host&#x27;'>$5 $other"
        );
    }

    #[test]
    fn a_dashboards_host_is_compared_in_lower_case_and_its_path_as_it_is() {
        assert_eq!(
            with_lower_case_host("https://Dash.Example/Auth/websso/"),
            "https://dash.example/Auth/websso/"
        );
    }
}
