//! The OpenAPI document: what is true of many routes alike, so that their handlers need not say it.
//! Who needs a token, how requests fail, and which headers every answer has.

use axum::http::StatusCode;
use utoipa::{
    Modify, OpenApi, PartialSchema, ToSchema,
    openapi::{
        Content, Header, HeaderBuilder, OpenApi as Document, PathItem, Ref, RefOr, Response,
        ResponseBuilder,
        path::{Operation, ParameterIn},
        security::{ApiKey, ApiKeyValue, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;

use crate::{App, error::ErrorBody};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Archstone",
        description = "An OpenStack Identity v3 endpoint, extensible with WebAssembly plugins. \
            Every GET can be a HEAD. An object in an answer may have more members than its schema \
            names: resources keep the attributes that clients give them.",
    ),
    components(schemas(ErrorBody)),
    modifiers(&Token, &Failures),
    security(("token" = [])),
)]
pub(crate) struct ApiDoc;

/// How callers say who they are.
struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut Document) {
        let header = ApiKeyValue::with_description(
            "X-Auth-Token",
            "A token, from the X-Subject-Token header of the answer to a login.",
        );
        let scheme = SecurityScheme::ApiKey(ApiKey::Header(header));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", scheme);
    }
}

/// The answers that say why not, all with the same body.
struct Failures;

/// Their names in the document, by status.
const FAILURES: [(&str, &str, &str); 11] = [
    ("400", "BadRequest", "The request makes no sense."),
    (
        "401",
        "Unauthorized",
        "There is no valid token, or no other proof of who asks.",
    ),
    ("403", "Forbidden", "The caller may not do this."),
    ("404", "NotFound", "What is named here does not exist."),
    ("405", "MethodNotAllowed", "Another method is meant."),
    ("409", "Conflict", "It contradicts what exists."),
    ("410", "Gone", "There was such a route once."),
    ("413", "ContentTooLarge", "The body is too long."),
    ("501", "NotImplemented", "This server does not do this yet."),
    ("503", "Unavailable", "This server cannot answer now."),
    (
        "5XX",
        "ServerError",
        "This server failed, or cannot answer now.",
    ),
];

impl Modify for Failures {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_default();
        for (status, name, description) in FAILURES {
            let mut response = ResponseBuilder::new().description(description).content(
                "application/json",
                Content::new(Some(Ref::from_schema_name(ErrorBody::name()))),
            );
            if status == "401" {
                let challenge = header("Where to log in: `Keystone uri=\"...\"`.");
                response = response.header("WWW-Authenticate", challenge);
            }
            if status == "503" {
                let seconds = header("After how many seconds another try makes sense.");
                response = response.header("Retry-After", seconds);
            }
            let response = framed(response.build());
            components
                .responses
                .insert(name.to_owned(), response.into());
        }
    }
}

/// A family's routes, each operation named after the family and its handler.
pub(crate) fn named(family: &str, mut routes: OpenApiRouter<App>) -> OpenApiRouter<App> {
    for item in routes.get_openapi_mut().paths.paths.values_mut() {
        for (_, operation) in operations(item) {
            if let Some(id) = &mut operation.operation_id {
                *id = format!("{family}_{id}");
            }
        }
    }
    routes
}

/// Adds to every operation what its handler need not say.
pub(crate) fn complete(mut document: Document) -> Document {
    let paths = std::mem::take(&mut document.paths.paths);
    // The document knows no parameter that is the rest of a path.
    let spelt = |(path, item): (String, _)| (path.replace("{*", "{"), item);
    document.paths.paths = paths.into_iter().map(spelt).collect();
    for item in document.paths.paths.values_mut() {
        for (method, operation) in operations(item) {
            // No requirement at all is how the document says that there is no token.
            if let Some(requirements) = &mut operation.security {
                requirements.retain(|requirement| *requirement != Default::default());
            }
            let failures = failures(method, operation);
            let responses = &mut operation.responses.responses;
            for status in failures {
                responses
                    .entry(status.to_owned())
                    .or_insert_with(|| Response::new("").into());
            }
            for (status, response) in responses.iter_mut() {
                *response = explained(status, response.clone());
            }
        }
    }
    document
}

pub(crate) fn operations(item: &mut PathItem) -> impl Iterator<Item = (&str, &mut Operation)> {
    let PathItem {
        get,
        put,
        post,
        delete,
        head,
        patch,
        ..
    } = item;
    [
        ("get", get),
        ("put", put),
        ("post", post),
        ("delete", delete),
        ("head", head),
        ("patch", patch),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// The ways in which requests like these fail. Those of few routes are told by their handlers.
fn failures(method: &str, operation: &Operation) -> Vec<&'static str> {
    let mut failures = vec!["5XX"];
    let parameters = operation.parameters.as_deref().unwrap_or_default();
    let names_something = parameters
        .iter()
        .any(|parameter| parameter.parameter_in == ParameterIn::Path || parameter.name == "marker");
    let has_body = operation.request_body.is_some();
    let needs_token = operation
        .security
        .as_ref()
        .is_none_or(|security| !security.is_empty());
    if needs_token {
        failures.extend(["401", "403"]);
    }
    if has_body || !parameters.is_empty() {
        failures.push("400");
    }
    if names_something || (has_body && needs_token) {
        failures.push("404");
    }
    if needs_token && (has_body || method == "put") {
        failures.push("409");
    }
    if has_body {
        failures.push("413");
    }
    failures
}

/// A response with all that its status says: the shared one for a failure that says nothing itself.
fn explained(status: &str, response: RefOr<Response>) -> RefOr<Response> {
    let RefOr::T(mut response) = response else {
        return response;
    };
    let shared = FAILURES.iter().find(|(known, _, _)| *known == status);
    if let Some((_, name, _)) = shared
        && response.content.is_empty()
        && response.description.is_empty()
    {
        return Ref::from_response_name(*name).into();
    }
    if response.description.is_empty() {
        let reason = status
            .parse()
            .ok()
            .and_then(|code: StatusCode| code.canonical_reason());
        response.description = reason.unwrap_or_default().to_owned();
    }
    framed(response).into()
}

/// A response with the headers that every answer has.
fn framed(mut response: Response) -> Response {
    for (name, description) in [
        ("X-Openstack-Request-Id", "Finds the request in the log."),
        ("Vary", "Names X-Auth-Token: answers are for one caller."),
    ] {
        response
            .headers
            .insert(name.to_owned(), header(description));
    }
    response
}

fn header(description: &str) -> Header {
    HeaderBuilder::new()
        .schema(String::schema())
        .description(Some(description))
        .build()
}
