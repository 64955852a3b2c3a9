//! A directory of people behind a small API: the first connector to a directory, to be changed into
//! yours.
//!
//! `GET URL/people` answers `{"users": [...], "groups": [...]}`, and `POST URL/login` with `name` and
//! `password` answers 200 where they are right, and else 401. The users and groups are looked through
//! here, which is good enough for a few hundred.

use archstone_plugin::{
    Capability, Comparison, Condition, ConfigError, Description, DirectoryConnector,
    DirectoryFailure, DirectoryProof, Entry, Key, Listing, http::Request,
};
use serde::Deserialize;
use serde_json::{Value, json};

struct Plugin;

/// What a domain's owner configures; see `connector.json`.
#[derive(Deserialize)]
struct Config {
    url: String,
}

#[derive(Deserialize)]
struct People {
    users: Vec<User>,
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct User {
    id: String,
    name: String,
    email: Option<String>,
    #[serde(default = "yes")]
    enabled: bool,
}

#[derive(Deserialize)]
struct Group {
    id: String,
    name: String,
    /// The ids of its users.
    members: Vec<String>,
}

fn yes() -> bool {
    true
}

impl From<User> for Entry {
    fn from(user: User) -> Self {
        let extra = match user.email {
            Some(email) => json!({"email": email}),
            None => json!({}),
        };
        Self {
            id: user.id,
            name: user.name,
            enabled: user.enabled,
            extra: extra.to_string(),
        }
    }
}

impl From<Group> for Entry {
    fn from(group: Group) -> Self {
        Self {
            id: group.id,
            name: group.name,
            enabled: true,
            extra: "{}".to_owned(),
        }
    }
}

impl DirectoryConnector for Plugin {
    type Config = Config;

    fn describe() -> Description {
        Description::new(
            "{{name}}",
            env!("CARGO_PKG_VERSION"),
            "A directory of people behind a small API",
        )
        .needs([Capability::Http])
        // A domain's configuration has more options, which mean nothing here.
        .config_schema(json!({
            "type": "object",
            "properties": {"url": {"type": "string", "pattern": "^https?://"}},
            "required": ["url"],
        }))
        // The server that is talked to, so that the operator's rule for connectors is kept.
        .server_fields(["url"])
    }

    fn check(config: &Config) -> Result<(), ConfigError> {
        match config.url.contains(['?', '#']) {
            true => Err(ConfigError::at("/url", "write the address without a query")),
            false => Ok(()),
        }
    }

    fn find_user(config: Config, key: Key) -> Result<Option<Entry>, DirectoryFailure> {
        Ok(user(people(&config)?, &key).map(Entry::from))
    }

    fn find_group(config: Config, key: Key) -> Result<Option<Entry>, DirectoryFailure> {
        let mut groups = people(&config)?.groups.into_iter();
        let found = groups.find(|group| is(&key, &group.id, &group.name));
        Ok(found.map(Entry::from))
    }

    fn list_users(
        config: Config,
        conditions: Vec<Condition>,
        most: Option<u32>,
    ) -> Result<Listing, DirectoryFailure> {
        Ok(listing(people(&config)?.users, &conditions, most))
    }

    fn list_groups(
        config: Config,
        conditions: Vec<Condition>,
        most: Option<u32>,
    ) -> Result<Listing, DirectoryFailure> {
        Ok(listing(people(&config)?.groups, &conditions, most))
    }

    fn groups_of_user(
        config: Config,
        id: String,
        conditions: Vec<Condition>,
        most: Option<u32>,
    ) -> Result<Option<Listing>, DirectoryFailure> {
        let People { users, groups } = people(&config)?;
        if !users.iter().any(|user| user.id == id) {
            return Ok(None);
        }
        let of_user = groups.into_iter().filter(|group| group.members.contains(&id));
        Ok(Some(listing(of_user, &conditions, most)))
    }

    fn members_of_group(
        config: Config,
        id: String,
        conditions: Vec<Condition>,
        most: Option<u32>,
    ) -> Result<Option<Listing>, DirectoryFailure> {
        let People { users, groups } = people(&config)?;
        let Some(group) = groups.into_iter().find(|group| group.id == id) else {
            return Ok(None);
        };
        let members = users.into_iter().filter(|user| group.members.contains(&user.id));
        Ok(Some(listing(members, &conditions, most)))
    }

    fn verify(config: Config, key: Key, password: &str) -> Result<DirectoryProof, DirectoryFailure> {
        let Some(user) = user(people(&config)?, &key) else {
            return Ok(DirectoryProof::Rejected("there is no such user".to_owned()));
        };
        let sent = json!({"name": user.name, "password": password});
        let answer = Request::post(format!("{}/login", config.url))
            .header("content-type", "application/json")
            .body(sent.to_string())
            .send();
        match answer.map(|answer| answer.status()) {
            Ok(200) => Ok(DirectoryProof::Proven(user.into())),
            Ok(401) => Ok(DirectoryProof::Rejected("the password is wrong".to_owned())),
            Ok(other) => Err(DirectoryFailure::Unavailable(format!("it answered {other}"))),
            Err(error) => Err(DirectoryFailure::Unavailable(format!("no answer: {error:?}"))),
        }
    }
}

fn people(config: &Config) -> Result<People, DirectoryFailure> {
    let answer = Request::get(format!("{}/people", config.url))
        .send()
        .map_err(|error| DirectoryFailure::Unavailable(format!("no answer: {error:?}")))?;
    match answer.status() {
        200 => answer
            .json()
            .map_err(|_| DirectoryFailure::Refused("it does not answer with people".to_owned())),
        other => Err(DirectoryFailure::Unavailable(format!("it answered {other}"))),
    }
}

fn user(people: People, key: &Key) -> Option<User> {
    people.users.into_iter().find(|user| is(key, &user.id, &user.name))
}

fn is(key: &Key, id: &str, name: &str) -> bool {
    match key {
        Key::Id(wanted) => wanted == id,
        Key::Name(wanted) => wanted.to_lowercase() == name.to_lowercase(),
    }
}

/// Those for which all conditions hold, and no more than are wanted.
fn listing<T: Into<Entry>>(
    found: impl IntoIterator<Item = T>,
    conditions: &[Condition],
    most: Option<u32>,
) -> Listing {
    let mut entries: Vec<Entry> = found
        .into_iter()
        .map(Into::into)
        .filter(|entry: &Entry| conditions.iter().all(|condition| holds(condition, entry)))
        .collect();
    let most = most.map_or(usize::MAX, |most| most as usize);
    let more = entries.len() > most;
    entries.truncate(most);
    Listing { entries, more }
}

fn holds(condition: &Condition, entry: &Entry) -> bool {
    let extra: Value = serde_json::from_str(&entry.extra).unwrap_or_default();
    let has = match condition.attribute.as_str() {
        "name" => entry.name.as_str(),
        other => extra[other].as_str().unwrap_or_default(),
    };
    let (has, wanted) = (has.to_lowercase(), condition.value.to_lowercase());
    match condition.comparison {
        Comparison::Equals => has == wanted,
        Comparison::Contains => has.contains(&wanted),
        Comparison::StartsWith => has.starts_with(&wanted),
        Comparison::EndsWith => has.ends_with(&wanted),
    }
}

archstone_plugin::export_directory_connector!(Plugin);
