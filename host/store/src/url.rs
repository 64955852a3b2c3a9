//! The `[database] connection` option: SQLAlchemy's URLs.

use std::{fmt, path::PathBuf};

use url::Url;

/// Where the database is.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    Sqlite(SqlitePlace),
    MySql(Url),
    Postgres(Url),
}

/// A SQLite database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SqlitePlace {
    File(PathBuf),
    /// Gone when the process ends; for tests.
    Memory,
}

/// Why a URL is not understood. Never shows the URL, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDatabaseUrl {
    #[error(
        "the database URL scheme {0:?} is not supported; use sqlite:///FILE, mysql+pymysql://... \
         or postgresql://..."
    )]
    Scheme(String),
    #[error("the database URL is malformed: {0}")]
    Malformed(#[from] url::ParseError),
    #[error(
        "the database URL has no scheme; use sqlite:///FILE, mysql+pymysql://... or postgresql://..."
    )]
    NoScheme,
}

impl DatabaseUrl {
    /// Reads `sqlite:///relative`, `sqlite:////absolute`, `mysql+pymysql://...`,
    /// `postgresql://...` and their driver variants.
    ///
    /// # Errors
    /// What is wrong with the URL, without repeating it.
    pub fn parse(text: &str) -> Result<Self, InvalidDatabaseUrl> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidDatabaseUrl::NoScheme)?;
        match scheme.split('+').next().unwrap_or_default() {
            "sqlite" => {
                let path = rest.split('?').next().unwrap_or_default();
                // One slash ends the (empty) authority; what follows is the path.
                let path = path.strip_prefix('/').unwrap_or(path);
                Ok(Self::Sqlite(match path {
                    "" | ":memory:" => SqlitePlace::Memory,
                    path => SqlitePlace::File(PathBuf::from(path)),
                }))
            }
            "mysql" | "mariadb" => Ok(Self::MySql(mysql(rest)?)),
            "postgresql" | "postgres" => Ok(Self::Postgres(postgres(rest)?)),
            other => Err(InvalidDatabaseUrl::Scheme(other.to_owned())),
        }
    }
}

/// PyMySQL's options about the connection by the names that our driver has for them. Others, such
/// as `charset`, mean nothing here.
const PYMYSQL: [(&str, &str); 4] = [
    ("unix_socket", "socket"),
    ("ssl_ca", "ssl-ca"),
    ("ssl_cert", "ssl-cert"),
    ("ssl_key", "ssl-key"),
];

/// Given a CA, PyMySQL verifies the server's certificate, and its name where it is told to.
fn mysql(rest: &str) -> Result<Url, url::ParseError> {
    with_options(&format!("mysql://{rest}"), |given| {
        let known = |name: &str| PYMYSQL.iter().find(|(theirs, _)| *theirs == name);
        let mut kept: Vec<_> = given
            .iter()
            .filter_map(|(name, value)| Some((known(name)?.1.to_owned(), value.clone())))
            .collect();
        let is_on = |option| {
            let on = |value: &str| matches!(value.to_lowercase().as_str(), "true" | "1" | "yes");
            given
                .iter()
                .any(|(name, value)| name == option && on(value))
        };
        if is_on("ssl_verify_identity") {
            kept.push(("ssl-mode".to_owned(), "VERIFY_IDENTITY".to_owned()));
        } else if kept.iter().any(|(name, _)| name == "ssl-ca") {
            kept.push(("ssl-mode".to_owned(), "VERIFY_CA".to_owned()));
        }
        kept
    })
}

/// libpq's options about the connection are our driver's as well.
fn postgres(rest: &str) -> Result<Url, url::ParseError> {
    with_options(&format!("postgres://{rest}"), |mut given| {
        given.retain(|(name, _)| name.starts_with("ssl") || name == "host");
        given
    })
}

fn with_options(
    url: &str,
    keep: impl FnOnce(Vec<(String, String)>) -> Vec<(String, String)>,
) -> Result<Url, url::ParseError> {
    let mut url = Url::parse(url)?;
    let kept = keep(url.query_pairs().into_owned().collect());
    url.set_query(None);
    for (name, value) in kept {
        url.query_pairs_mut().append_pair(&name, &value);
    }
    Ok(url)
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for DatabaseUrl {
    /// The URL without its password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(SqlitePlace::Memory) => f.write_str("sqlite://"),
            Self::Sqlite(SqlitePlace::File(path)) => write!(f, "sqlite:///{}", path.display()),
            Self::MySql(url) | Self::Postgres(url) => {
                let host = url.host_str().unwrap_or_default();
                write!(
                    f,
                    "{}://{}@{host}{}",
                    url.scheme(),
                    url.username(),
                    url.path()
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_urls_are_relative_or_absolute_like_sqlalchemys() {
        let file = |path: &str| DatabaseUrl::Sqlite(SqlitePlace::File(path.into()));
        assert_eq!(
            DatabaseUrl::parse("sqlite:///keystone.db").unwrap(),
            file("keystone.db")
        );
        assert_eq!(
            DatabaseUrl::parse("sqlite:////var/k.db").unwrap(),
            file("/var/k.db")
        );
        assert_eq!(
            DatabaseUrl::parse("sqlite://").unwrap(),
            DatabaseUrl::Sqlite(SqlitePlace::Memory)
        );
    }

    #[test]
    fn a_keystone_conf_url_is_understood() {
        let url = DatabaseUrl::parse("mysql+pymysql://keystone:s3cret@db/keystone?charset=utf8");
        let Ok(DatabaseUrl::MySql(url)) = url else {
            panic!("{url:?}")
        };
        assert_eq!(url.as_str(), "mysql://keystone:s3cret@db/keystone");
    }

    #[test]
    fn pymysqls_tls_options_are_obeyed() {
        let query = |query: &str| {
            let text = format!("mysql+pymysql://k:s@db/keystone?{query}");
            match DatabaseUrl::parse(&text).unwrap() {
                DatabaseUrl::MySql(url) => url.query().unwrap_or_default().to_owned(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(
            query("charset=utf8&ssl_ca=/etc/ca.pem"),
            "ssl-ca=%2Fetc%2Fca.pem&ssl-mode=VERIFY_CA"
        );
        assert_eq!(
            query("ssl_ca=ca&ssl_verify_identity=true"),
            "ssl-ca=ca&ssl-mode=VERIFY_IDENTITY"
        );
        assert_eq!(query("unix_socket=/run/db.sock"), "socket=%2Frun%2Fdb.sock");
    }

    #[test]
    fn a_password_is_never_printed() {
        let url = DatabaseUrl::parse("postgresql+psycopg2://keystone:s3cret@db/keystone").unwrap();
        assert_eq!(format!("{url} {url:?}").matches("s3cret").count(), 0);
    }

    #[test]
    fn an_unknown_scheme_is_named() {
        let error = DatabaseUrl::parse("oracle://x").unwrap_err();
        assert_eq!(error, InvalidDatabaseUrl::Scheme("oracle".to_owned()));
    }
}
