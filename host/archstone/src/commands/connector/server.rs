//! A server's API, for somebody who logs in as the environment says.

use std::{env, fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use archstone_model::secret::Secret;
use clap::Args;
use reqwest::{Certificate, Client, Method, Response, StatusCode, redirect};
use serde_json::{Map, Value, json};
use url::Url;

const PATIENCE: Duration = Duration::from_secs(60);

/// Where and who, by `openstack`'s names. OS_PASSWORD and OS_TOKEN are read from the environment alone.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where and who")]
pub(crate) struct Access {
    /// The Identity API, such as https://cloud.example:5000/v3.
    #[arg(long, env, global = true, value_name = "URL")]
    os_auth_url: Option<Url>,
    /// Certificates in PEM to trust besides the system's.
    #[arg(long, env, global = true, value_name = "FILE")]
    os_cacert: Option<PathBuf>,
    #[arg(long, env, global = true, value_name = "NAME")]
    os_username: Option<String>,
    #[arg(long, env, global = true, value_name = "ID")]
    os_user_id: Option<String>,
    #[arg(long, env, global = true, value_name = "ID")]
    os_user_domain_id: Option<String>,
    #[arg(long, env, global = true, value_name = "NAME")]
    os_user_domain_name: Option<String>,
    #[arg(long, env, global = true, value_name = "ID")]
    os_project_id: Option<String>,
    #[arg(long, env, global = true, value_name = "NAME")]
    os_project_name: Option<String>,
    #[arg(long, env, global = true, value_name = "ID")]
    os_project_domain_id: Option<String>,
    #[arg(long, env, global = true, value_name = "NAME")]
    os_project_domain_name: Option<String>,
    /// The domain to manage.
    #[arg(long, env, global = true, value_name = "ID")]
    os_domain_id: Option<String>,
    #[arg(long, env, global = true, value_name = "NAME")]
    os_domain_name: Option<String>,
    /// `all`: the whole cloud.
    #[arg(long, env, global = true, value_name = "SCOPE")]
    os_system_scope: Option<String>,
}

impl Access {
    fn user(&self) -> Result<Value> {
        if let Some(id) = given(&self.os_user_id) {
            return Ok(json!({ "id": id }));
        }
        let name = given(&self.os_username)
            .context("who are you? Set OS_TOKEN, or OS_USERNAME or OS_USER_ID, and OS_PASSWORD")?;
        let domain = domain(&self.os_user_domain_id, &self.os_user_domain_name)
            .context("set OS_USER_DOMAIN_ID or OS_USER_DOMAIN_NAME: names are a domain's")?;
        Ok(json!({"name": name, "domain": domain}))
    }

    /// What the token is to be good for, the narrowest of what was given.
    fn scope(&self) -> Result<Option<Value>> {
        if let Some(id) = given(&self.os_project_id) {
            return Ok(Some(json!({"project": {"id": id}})));
        }
        if let Some(name) = given(&self.os_project_name) {
            let domain = domain(&self.os_project_domain_id, &self.os_project_domain_name)
                .context("set OS_PROJECT_DOMAIN_ID or OS_PROJECT_DOMAIN_NAME")?;
            return Ok(Some(json!({"project": {"name": name, "domain": domain}})));
        }
        if let Some(domain) = domain(&self.os_domain_id, &self.os_domain_name) {
            return Ok(Some(json!({ "domain": domain })));
        }
        match given(&self.os_system_scope) {
            Some("all") => Ok(Some(json!({"system": {"all": true}}))),
            Some(other) => bail!("OS_SYSTEM_SCOPE is `{other}`, and can only be `all`"),
            None => Ok(None),
        }
    }

    fn login(&self, password: &Secret) -> Result<Value> {
        let mut user = self.user()?;
        // Sent to the server, to log in.
        user["password"] = password.expose().into();
        let mut auth = json!({
            "identity": {"methods": ["password"], "password": {"user": user}},
        });
        if let Some(scope) = self.scope()? {
            auth["scope"] = scope;
        }
        Ok(json!({ "auth": auth }))
    }
}

/// What was set, and not to nothing: files of `export` lines set what they leave out to nothing.
fn given(option: &Option<String>) -> Option<&str> {
    option.as_deref().filter(|text| !text.is_empty())
}

fn domain(id: &Option<String>, name: &Option<String>) -> Option<Value> {
    let by_id = given(id).map(|id| json!({ "id": id }));
    by_id.or_else(|| given(name).map(|name| json!({ "name": name })))
}

fn secret_variable(name: &str) -> Option<Secret> {
    let value = env::var(name).ok().filter(|value| !value.is_empty());
    value.map(Secret::new)
}

/// The API, with a token.
pub(super) struct Server {
    client: Client,
    root: Url,
    token: Secret,
}

impl Server {
    pub(super) async fn log_in(access: &Access) -> Result<Self> {
        let url = access
            .os_auth_url
            .as_ref()
            .context("where is the server? Set OS_AUTH_URL")?;
        let client = client(access)?;
        let root = root(url)?;
        if let Some(token) = secret_variable("OS_TOKEN") {
            return Ok(Self {
                client,
                root,
                token,
            });
        }
        let password = secret_variable("OS_PASSWORD")
            .context("set OS_TOKEN, or OS_PASSWORD: neither is taken as an argument")?;
        let request = client
            .post(below(&root, &["v3", "auth", "tokens"]))
            .json(&access.login(&password)?);
        let answer = succeeded(request.send().await).await?;
        let token = answer.headers().get("x-subject-token");
        let token = token
            .and_then(|token| token.to_str().ok())
            .with_context(|| format!("{url} gave no token: is it an Identity API?"))?;
        Ok(Self {
            token: Secret::new(token.to_owned()),
            client,
            root,
        })
    }

    /// The connectors for which these hold.
    pub(super) async fn list(&self, filters: &[(&str, Option<String>)]) -> Result<Vec<Value>> {
        let mut url = below(&self.root, &["v4", "connectors"]);
        for (name, value) in filters {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        let mut found = Vec::new();
        loop {
            let page = self.ask(Method::GET, url.clone(), None).await?;
            found.extend(page["connectors"].as_array().into_iter().flatten().cloned());
            // Of the link only the query: the server may be known by another name here.
            let next = page.pointer("/links/next").and_then(Value::as_str);
            match next.and_then(|next| next.split_once('?')) {
                Some((_, query)) => url.set_query(Some(query)),
                None => return Ok(found),
            }
        }
    }

    /// The connector of this id or name.
    pub(super) async fn find(&self, wanted: &str) -> Result<Value> {
        let found = self.list(&[("name", Some(wanted.to_owned()))]).await?;
        match found.as_slice() {
            [] => {
                let shown = self.ask(Method::GET, self.connector(wanted), None).await;
                shown.map(|mut answer| answer["connector"].take())
            }
            [one] => Ok(one.clone()),
            several => {
                let ids = several.iter().filter_map(|one| one["id"].as_str());
                let ids = ids.collect::<Vec<_>>().join(", ");
                bail!("several connectors are called `{wanted}`; give the id of one: {ids}")
            }
        }
    }

    pub(super) async fn create(&self, connector: &Map<String, Value>) -> Result<Value> {
        let url = below(&self.root, &["v4", "connectors"]);
        let body = json!({ "connector": connector });
        let mut created = self.ask(Method::POST, url, Some(body)).await?;
        Ok(created["connector"].take())
    }

    pub(super) async fn update(&self, connector: &Value, change: &Value) -> Result<Value> {
        let body = json!({ "connector": change });
        let updated = self.ask(Method::PATCH, self.of(connector, None)?, Some(body));
        Ok(updated.await?["connector"].take())
    }

    pub(super) async fn delete(&self, connector: &Value) -> Result<()> {
        let deleted = self.ask(Method::DELETE, self.of(connector, None)?, None);
        deleted.await.map(drop)
    }

    pub(super) async fn check(&self, connector: &Value, trial: &Value) -> Result<Value> {
        let url = self.of(connector, Some("trial"))?;
        let body = json!({ "trial": trial });
        Ok(self.ask(Method::POST, url, Some(body)).await?["trial"].take())
    }

    pub(super) async fn revoke(&self, connector: &Value, since: Option<String>) -> Result<()> {
        let url = self.of(connector, Some("revoke"))?;
        let body = since.map_or_else(|| json!({}), |since| json!({ "since": since }));
        self.ask(Method::POST, url, Some(body)).await.map(drop)
    }

    fn connector(&self, id: &str) -> Url {
        below(&self.root, &["v4", "connectors", id])
    }

    fn of(&self, connector: &Value, what: Option<&str>) -> Result<Url> {
        let id = connector["id"]
            .as_str()
            .context("the server shows a connector without an id")?;
        let mut segments = vec!["v4", "connectors", id];
        segments.extend(what);
        Ok(below(&self.root, &segments))
    }

    /// The answer's body; null where there is none.
    async fn ask(&self, method: Method, url: Url, body: Option<Value>) -> Result<Value> {
        let mut request = self
            .client
            .request(method, url)
            // Shown to the server, which gave it.
            .header("x-auth-token", self.token.expose());
        if let Some(body) = &body {
            request = request.json(body);
        }
        let answer = succeeded(request.send().await).await?;
        if answer.status() == StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        answer.json().await.context("the answer is no JSON")
    }
}

fn client(access: &Access) -> Result<Client> {
    // Fails where one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut client = Client::builder()
        .timeout(PATIENCE)
        // A token is for this server only.
        .redirect(redirect::Policy::none());
    if let Some(file) = access
        .os_cacert
        .as_ref()
        .filter(|file| !file.as_os_str().is_empty())
    {
        let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let certificates = Certificate::from_pem_bundle(&text)
            .with_context(|| format!("{} has no certificates in PEM", file.display()))?;
        client = client.tls_certs_merge(certificates);
    }
    client.build().context("cannot make requests")
}

/// What `/v3` and `/v4` are below.
fn root(auth_url: &Url) -> Result<Url> {
    ensure!(
        matches!(auth_url.scheme(), "http" | "https"),
        "OS_AUTH_URL is no address of a web server: {auth_url}"
    );
    let mut root = auth_url.clone();
    root.set_query(None);
    root.set_fragment(None);
    let path = root.path().trim_end_matches('/');
    let path = path
        .strip_suffix("/v3")
        .or_else(|| path.strip_suffix("/v4"))
        .unwrap_or(path)
        .to_owned();
    root.set_path(&path);
    Ok(root)
}

fn below(root: &Url, segments: &[&str]) -> Url {
    let mut url = root.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// A good answer, or what the server says is wrong.
async fn succeeded(answer: reqwest::Result<Response>) -> Result<Response> {
    let answer = answer.context("no answer")?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let said: Value = answer.json().await.unwrap_or_default();
    let message = said.pointer("/error/message").and_then(Value::as_str);
    bail!(
        "the server says {status}: {}",
        super::table::printable(message.unwrap_or("and no more"))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_beside_the_version_that_the_address_names() {
        for (given, expected) in [
            (
                "https://cloud.example:5000/v3",
                "https://cloud.example:5000/v4/connectors/a%2Fb",
            ),
            (
                "https://cloud.example:5000",
                "https://cloud.example:5000/v4/connectors/a%2Fb",
            ),
            (
                "https://cloud.example/identity/v3/",
                "https://cloud.example/identity/v4/connectors/a%2Fb",
            ),
        ] {
            let root = root(&given.parse().unwrap()).unwrap();
            assert_eq!(
                below(&root, &["v4", "connectors", "a/b"]).as_str(),
                expected
            );
        }
        assert!(root(&"ftp://cloud.example".parse().unwrap()).is_err());
    }
}
