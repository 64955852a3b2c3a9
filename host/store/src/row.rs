//! A result row, whichever database it came from.

use archstone_model::Extra;
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde::de::DeserializeOwned;
use sqlx::{Row as _, mysql::MySqlRow, postgres::PgRow, sqlite::SqliteRow};

use crate::{Error, Result};

#[derive(Debug)]
pub(crate) enum Row {
    Sqlite(SqliteRow),
    MySql(MySqlRow),
    Postgres(PgRow),
}

/// Reads a column without comparing declared types: the schema is Keystone's and known, but each
/// database names the types of its columns differently.
macro_rules! getter {
    ($name:ident -> $type:ty) => {
        pub(crate) fn $name(&self, column: &str) -> Result<$type> {
            match self {
                Self::Sqlite(row) => row.try_get_unchecked(column),
                Self::MySql(row) => row.try_get_unchecked(column),
                Self::Postgres(row) => row.try_get_unchecked(column),
            }
            .map_err(|error| Error::Corrupt {
                column: column.to_owned(),
                reason: error.to_string(),
            })
        }
    };
}

impl Row {
    getter!(text -> String);
    getter!(opt_text -> Option<String>);
    getter!(bool -> bool);
    getter!(opt_bool -> Option<bool>);
    getter!(int -> i64);
    getter!(opt_int -> Option<i64>);
    getter!(naive_time -> Option<NaiveDateTime>);
    getter!(bytes -> Vec<u8>);
    getter!(opt_date -> Option<NaiveDate>);

    /// A time; the database holds UTC without saying so.
    pub(crate) fn opt_time(&self, column: &str) -> Result<Option<DateTime<Utc>>> {
        Ok(self.naive_time(column)?.map(|time| time.and_utc()))
    }

    /// Microseconds since 1970, as the `*_int` columns hold them.
    pub(crate) fn opt_micros(&self, column: &str) -> Result<Option<DateTime<Utc>>> {
        Ok(self
            .opt_int(column)?
            .and_then(DateTime::from_timestamp_micros))
    }

    /// The JSON object of an `extra` column.
    pub(crate) fn extra(&self) -> Result<Extra> {
        match self.opt_text("extra")? {
            None => Ok(Extra::new()),
            Some(text) => from_json::<Option<Extra>>("extra", &text).map(Option::unwrap_or_default),
        }
    }

    /// A column of JSON text.
    pub(crate) fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T> {
        from_json(column, &self.text(column)?)
    }
}

pub(crate) fn from_json<T: DeserializeOwned>(column: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Error::Corrupt {
        column: column.to_owned(),
        reason: error.to_string(),
    })
}
