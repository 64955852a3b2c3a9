//! How values are written: times in each dialect's form, `extra` as JSON text, options as rows.

use archstone_model::{Extra, project::ResourceOptions, user::UserOptions};
use chrono::{DateTime, Utc};
use sea_query::Value;

use crate::Dialect;

/// A time as this dialect stores it. SQLite keeps text, and its readers (SQLAlchemy among them)
/// take the digits after the point for microseconds, so there must be six.
pub(crate) fn time(dialect: Dialect, time: DateTime<Utc>) -> Value {
    match dialect {
        Dialect::Sqlite => time.format("%Y-%m-%d %H:%M:%S%.6f").to_string().into(),
        Dialect::MySql | Dialect::Postgres => time.naive_utc().into(),
    }
}

pub(crate) fn opt_time(dialect: Dialect, value: Option<DateTime<Utc>>) -> Value {
    match (value, dialect) {
        (Some(value), _) => time(dialect, value),
        (None, Dialect::Sqlite) => Value::String(None),
        (None, Dialect::MySql | Dialect::Postgres) => Value::ChronoDateTime(None),
    }
}

pub(crate) fn json(extra: &Extra) -> String {
    serde_json::to_string(extra).unwrap_or_else(|_| "{}".to_owned())
}

/// The rows of `user_option` that hold these options.
pub(crate) fn user_option_rows(options: &UserOptions) -> Vec<(&'static str, String)> {
    let flags = [
        ("1000", options.ignore_change_password_upon_first_use),
        ("1001", options.ignore_password_expiry),
        ("1002", options.ignore_lockout_failure_attempts),
        ("1003", options.lock_password),
        ("1004", options.ignore_user_inactivity),
        ("MFAE", options.multi_factor_auth_enabled),
    ];
    let mut rows: Vec<_> = flags
        .into_iter()
        .filter_map(|(id, flag)| Some((id, flag?.to_string())))
        .collect();
    if let Some(rules) = &options.multi_factor_auth_rules
        && let Ok(rules) = serde_json::to_string(rules)
    {
        rows.push(("MFAR", rules));
    }
    rows
}

/// Adds one `user_option` row to the options it belongs to.
pub(crate) fn read_user_option(options: &mut UserOptions, id: &str, value: Option<&str>) {
    let Some(value) = value else { return };
    let flag = || serde_json::from_str::<bool>(value).ok();
    match id {
        "1000" => options.ignore_change_password_upon_first_use = flag(),
        "1001" => options.ignore_password_expiry = flag(),
        "1002" => options.ignore_lockout_failure_attempts = flag(),
        "1003" => options.lock_password = flag(),
        "1004" => options.ignore_user_inactivity = flag(),
        "MFAE" => options.multi_factor_auth_enabled = flag(),
        "MFAR" => options.multi_factor_auth_rules = serde_json::from_str(value).ok(),
        _ => {}
    }
}

/// The rows of `project_option` or `role_option`.
pub(crate) fn resource_option_rows(options: &ResourceOptions) -> Vec<(&'static str, String)> {
    options
        .immutable
        .map(|immutable| ("IMMU", immutable.to_string()))
        .into_iter()
        .collect()
}

/// Adds one option row of a project or role.
pub(crate) fn read_resource_option(options: &mut ResourceOptions, id: &str, value: Option<&str>) {
    if id == "IMMU" {
        options.immutable = value.and_then(|value| serde_json::from_str(value).ok());
    }
}
