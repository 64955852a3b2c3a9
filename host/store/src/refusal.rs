//! What the databases' own codes for a refused statement mean to those who asked.

use sqlx::{error::DatabaseError, mysql::MySqlDatabaseError, sqlite::SqliteError};

/// Why a database refused a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Others were in the way: the same transaction may pass if it is run anew.
    Contention,
    /// The server serves nobody now, or not this: it stops, is full, lost its cluster or only reads.
    Unavailable,
    /// A value that a column cannot hold.
    Unstorable,
    /// The statement itself.
    Other,
}

impl Refusal {
    pub(crate) fn of(error: &dyn DatabaseError) -> Self {
        let code = error.code().unwrap_or_default();
        if let Some(error) = error.try_downcast_ref::<MySqlDatabaseError>() {
            Self::by_mysql(error.number(), &code)
        } else if error.try_downcast_ref::<SqliteError>().is_some() {
            Self::by_sqlite(&code)
        } else {
            Self::by_postgres(&code)
        }
    }

    /// By the number, since many share a SQLSTATE, and what is refused before a login has none.
    fn by_mysql(number: u16, state: &str) -> Self {
        match number {
            // A deadlock, which is also what Galera calls a failed certification.
            1213 => Self::Contention,
            // Galera: this node is not, or no more, part of a cluster with a majority.
            1047
            // No connection, or no memory, for one more; too many of this user.
            | 1040 | 1041 | 1203 | 1226
            // The disk, or the table, is full.
            | 1021 | 1114
            // The server stops.
            | 1053
            // A commit failed halfway; Galera, as it loses the others.
            | 1180
            // Somebody held a row for longer than anybody waits.
            | 1205
            // Reads only: an option, the transaction, the server.
            | 1290 | 1792 | 1836
            // An administrator, or a limit of time, ended the statement or the connection.
            | 1317 | 1927 | 1969
            // The connection broke.
            | 2006 | 2013 => Self::Unavailable,
            1366 => Self::Unstorable,
            // Too long, out of range, not characters of the column's set.
            _ if matches!(state, "22001" | "22003" | "22021") => Self::Unstorable,
            _ if state.starts_with("08") => Self::Unavailable,
            _ => Self::Other,
        }
    }

    /// PostgreSQL, Appendix A.
    fn by_postgres(state: &str) -> Self {
        match state {
            "40001" | "40P01" => Self::Contention,
            "22001" | "22003" | "22021" => Self::Unstorable,
            // Reads only; nobody knows whether it was committed; a lock, a limit of time, a disk.
            "25006" | "40003" | "55P03" | "57014" | "58030" => Self::Unavailable,
            // The connection broke; no memory, disk or connection is left; the operator intervened.
            _ if ["08", "53", "57P"]
                .iter()
                .any(|class| state.starts_with(class)) =>
            {
                Self::Unavailable
            }
            _ => Self::Other,
        }
    }

    /// The lowest byte of a code says what it is, the next in which way.
    fn by_sqlite(code: &str) -> Self {
        match code.parse::<i32>().map(|code| code & 0xff) {
            // Busy and locked, after the time that everybody waits for; read only, a failing or full
            // disk, no file.
            Ok(5 | 6 | 8 | 10 | 13 | 14) => Self::Unavailable,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Refusal, Refusal::*};

    #[test]
    fn what_mariadb_cannot_do_now_is_no_fault_of_this_server() {
        for (number, state, expected) in [
            (1213, "40001", Contention),
            (1040, "", Unavailable),
            (1040, "08004", Unavailable),
            (1047, "08S01", Unavailable),
            (1053, "08S01", Unavailable),
            (1158, "08S01", Unavailable),
            (1205, "HY000", Unavailable),
            (1290, "HY000", Unavailable),
            (1792, "25006", Unavailable),
            (1927, "70100", Unavailable),
            (2006, "HY000", Unavailable),
            (2013, "HY000", Unavailable),
            (1366, "22007", Unstorable),
            (1406, "22001", Unstorable),
            (1264, "22003", Unstorable),
            (1062, "23000", Other),
            (1064, "42000", Other),
            (1146, "42S02", Other),
        ] {
            assert_eq!(Refusal::by_mysql(number, state), expected, "{number}");
        }
    }

    #[test]
    fn what_postgresql_cannot_do_now_is_no_fault_of_this_server() {
        for (state, expected) in [
            ("40001", Contention),
            ("40P01", Contention),
            ("08006", Unavailable),
            ("25006", Unavailable),
            ("53300", Unavailable),
            ("55P03", Unavailable),
            ("57P01", Unavailable),
            ("57P02", Unavailable),
            ("57P03", Unavailable),
            ("22021", Unstorable),
            ("23505", Other),
            ("42P01", Other),
        ] {
            assert_eq!(Refusal::by_postgres(state), expected, "{state}");
        }
    }

    #[test]
    fn what_sqlite_cannot_do_now_is_no_fault_of_this_server() {
        for (code, expected) in [
            ("5", Unavailable),
            ("261", Unavailable),
            ("6", Unavailable),
            ("13", Unavailable),
            ("1032", Unavailable),
            ("1", Other),
            ("2067", Other),
        ] {
            assert_eq!(Refusal::by_sqlite(code), expected, "{code}");
        }
    }
}
