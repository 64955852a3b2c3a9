//! How long a request's body may be. One that says it is longer is refused before any of it is read.

use archstone_identity::LARGEST_ARTIFACT;
use axum::{
    body::HttpBody as _,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{ApiError, App, v4::ARTIFACT};

/// Refuses bodies that are announced as too long. Others are held to the limit while they are read.
pub(crate) async fn limit(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let most = match route.map(MatchedPath::as_str) {
        Some(ARTIFACT) => LARGEST_ARTIFACT,
        _ => app.options.max_request_body_size,
    };
    if usize::try_from(request.body().size_hint().lower()).is_ok_and(|length| length <= most) {
        DefaultBodyLimit::max(most).apply(&mut request);
        return next.run(request).await;
    }
    ApiError::body_too_large().into_response()
}
