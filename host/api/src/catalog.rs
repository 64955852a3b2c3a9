//! The service catalog: `/v3/regions`, `/v3/services` and `/v3/endpoints`. What the three share is
//! here: how clients name entries, and how they change attributes that no schema names.

mod endpoints;
mod regions;
mod services;

use archstone_model::Extra;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

pub(crate) use crate::catalog::endpoints::EndpointView;
use crate::{
    App,
    error::{ApiError, Result},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    regions::routes()
        .merge(services::routes())
        .merge(endpoints::routes())
}

fn new_id() -> String {
    Uuid::new_v4().simple().to_string()
}

fn refuse_new_id(entity: &str, given: Option<String>, id: &str) -> Result<()> {
    match given {
        Some(given) if given != id => {
            Err(ApiError::bad_request(format!("Cannot change {entity} ID")))
        }
        _ => Ok(()),
    }
}

fn without_id(mut extra: Extra) -> Extra {
    extra.shift_remove("id");
    extra.shift_remove("links");
    extra
}

/// `extra` with an attribute that the schema knows and the database does not.
fn with_text(mut extra: Extra, name: &str, value: Option<String>) -> Extra {
    if let Some(value) = value {
        extra.insert(name.to_owned(), value.into());
    }
    extra
}
