//! What the host calls, and what it lends: connections, chance, and the service account's password.

use archstone_plugin::{
    Capability, Condition, ConfigError, Description, DirectoryConnector, DirectoryFailure,
    DirectoryProof, Entry, Key, Listing, random, secrets,
    stream::{self, Connection, Security, StreamError},
};

use crate::{
    config::{self, Config, Server, Wrong},
    entry,
    people::{self, Dial, Directory, Unproven},
    session::{Failure, Transport},
};

struct Ldap;

impl DirectoryConnector for Ldap {
    type Config = Config;

    fn describe() -> Description {
        Description::new(
            "ldap",
            env!("CARGO_PKG_VERSION"),
            "LDAP as a domain's identity backend, with the options of Keystone's [ldap]",
        )
        .needs([Capability::Stream])
        .config_schema(config::schema())
        .secret_fields(["password"])
    }

    fn check(config: &Config) -> Result<(), ConfigError> {
        config.check().map_err(Wrong::into)
    }

    fn find_user(config: Config, key: Key) -> Result<Option<Entry>, DirectoryFailure> {
        let found = directory(&config).find_user(named(&key));
        told(found, |found| found.map(into_entry))
    }

    fn find_group(config: Config, key: Key) -> Result<Option<Entry>, DirectoryFailure> {
        let found = directory(&config).find_group(named(&key));
        told(found, |found| found.map(into_entry))
    }

    fn list_users(
        config: Config,
        conditions: Vec<Condition>,
        most: Option<u32>,
    ) -> Result<Listing, DirectoryFailure> {
        let found = directory(&config).list_users(&read(conditions), most);
        told(found, into_listing)
    }

    fn list_groups(
        config: Config,
        conditions: Vec<Condition>,
        most: Option<u32>,
    ) -> Result<Listing, DirectoryFailure> {
        let found = directory(&config).list_groups(&read(conditions), most);
        told(found, into_listing)
    }

    fn groups_of_user(
        config: Config,
        id: String,
        conditions: Vec<Condition>,
        most: Option<u32>,
    ) -> Result<Option<Listing>, DirectoryFailure> {
        let found = directory(&config).groups_of_user(&id, &read(conditions), most);
        told(found, |found| found.map(into_listing))
    }

    fn members_of_group(
        config: Config,
        id: String,
        conditions: Vec<Condition>,
        most: Option<u32>,
    ) -> Result<Option<Listing>, DirectoryFailure> {
        let found = directory(&config).members_of_group(&id, &read(conditions), most);
        told(found, |found| found.map(into_listing))
    }

    fn verify(
        config: Config,
        key: Key,
        password: &str,
    ) -> Result<DirectoryProof, DirectoryFailure> {
        match directory(&config).verify(named(&key), password) {
            Ok(user) => Ok(DirectoryProof::Proven(into_entry(user))),
            Err(Unproven::Rejected(why)) => Ok(DirectoryProof::Rejected(why.to_owned())),
            Err(Unproven::Failed(failure)) => told(Err(failure), |proof| proof),
        }
    }
}

archstone_plugin::export_directory_connector!(Ldap);

/// The host's connections.
struct Host;

struct Line(Connection);

impl Transport for Line {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.0.write(bytes).map_err(failure)
    }

    fn read(&mut self) -> Result<Vec<u8>, Failure> {
        self.0.read().map_err(failure)
    }

    fn start_tls(&mut self) -> Result<(), Failure> {
        self.0.start_tls().map_err(failure)
    }
}

impl Dial for Host {
    type Transport = Line;

    fn open(&self, server: &Server) -> Result<Line, Failure> {
        let security = match server.tls {
            true => Security::Tls,
            false => Security::Plain,
        };
        let opened = Connection::open(&server.host, server.port, security);
        opened.map(Line).map_err(failure)
    }

    fn kept(&self, label: &str) -> Option<Line> {
        stream::take(label).map(Line)
    }

    fn keep(&self, line: Line, label: &str) {
        stream::keep(line.0, label);
    }

    fn random(&self) -> u64 {
        let bytes = random::bytes(8);
        bytes
            .iter()
            .fold(0, |all, byte| all << 8 | u64::from(*byte))
    }
}

fn directory(config: &Config) -> Directory<'_, Host> {
    Directory {
        config,
        password: secrets::get("password"),
        dial: Host,
    }
}

/// A connection on which anything failed is lost.
fn failure(error: StreamError) -> Failure {
    Failure::lost(error.describe())
}

fn told<T, U>(found: Result<T, Failure>, read: impl FnOnce(T) -> U) -> Result<U, DirectoryFailure> {
    found.map(read).map_err(|failure| match failure.lost {
        true => DirectoryFailure::Unavailable(failure.detail),
        false => DirectoryFailure::Refused(failure.detail),
    })
}

fn named(key: &Key) -> people::Key<'_> {
    match key {
        Key::Id(id) => people::Key::Id(id),
        Key::Name(name) => people::Key::Name(name),
    }
}

fn read(conditions: Vec<Condition>) -> Vec<people::Condition> {
    let read = |condition: Condition| people::Condition {
        attribute: condition.attribute,
        comparison: match condition.comparison {
            archstone_plugin::Comparison::Equals => people::Comparison::Equals,
            archstone_plugin::Comparison::Contains => people::Comparison::Contains,
            archstone_plugin::Comparison::StartsWith => people::Comparison::StartsWith,
            archstone_plugin::Comparison::EndsWith => people::Comparison::EndsWith,
        },
        value: condition.value,
    };
    conditions.into_iter().map(read).collect()
}

fn into_entry(entry: entry::Entry) -> Entry {
    Entry {
        id: entry.id,
        name: entry.name,
        enabled: entry.enabled,
        extra: serde_json::Value::Object(entry.extra).to_string(),
    }
}

fn into_listing(listing: people::Listing) -> Listing {
    Listing {
        entries: listing.entries.into_iter().map(into_entry).collect(),
        more: listing.more,
    }
}

impl From<Wrong> for ConfigError {
    fn from(wrong: Wrong) -> Self {
        Self::at(format!("/{}", wrong.option), wrong.what)
    }
}
