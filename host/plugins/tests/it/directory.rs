//! A directory of plugins, as a running server watches it.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use archstone_plugins::{Digest, PluginDirectory, PluginState, ServerStatus, Shelf};
use chrono::Utc;
use serde_json::json;
use tempfile::TempDir;

use crate::guests::{Bench, component, rebuilt};

struct Served {
    home: TempDir,
    bench: Bench,
    directory: PluginDirectory,
}

impl Served {
    async fn hello() -> Self {
        let home = tempfile::tempdir().unwrap();
        let bench = Bench::new();
        let directory = PluginDirectory::new(home.path(), bench.registry.clone());
        let mut served = Self {
            home,
            bench,
            directory,
        };
        let settings = json!({"config": {"pin": "1234"}});
        fs::write(served.path("hello.json"), settings.to_string()).unwrap();
        fs::write(served.path("hello.wasm"), component("hello")).unwrap();
        served.directory.refresh().await;
        served
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn status(&self) -> ServerStatus {
        ServerStatus::read(self.home.path()).unwrap().unwrap()
    }
}

#[tokio::test]
async fn what_is_put_there_serves_and_what_is_taken_away_does_not() {
    let mut served = Served::hello().await;
    served.bench.expect_hello().await;
    let status = served.status();
    assert_eq!(status.plugins[0].method, "hello");
    assert_eq!(status.plugins[0].state, PluginState::Serving);

    fs::remove_file(served.path("hello.wasm")).unwrap();
    served.directory.refresh().await;
    assert!(served.bench.registry.methods().is_empty());
    assert!(served.status().plugins.is_empty());
}

#[tokio::test]
async fn a_half_written_file_is_reported_and_read_again() {
    let mut served = Served::hello().await;
    let whole = rebuilt(component("hello"), 1);
    fs::write(served.path("hello.wasm"), &whole[..whole.len() / 3]).unwrap();
    served.directory.refresh().await;
    served.bench.expect_hello().await;
    let status = &served.status().plugins[0];
    assert_eq!(status.state, PluginState::ServingOlder);
    assert!(
        status
            .last_error
            .as_ref()
            .unwrap()
            .message
            .contains("compile")
    );

    fs::write(served.path("hello.wasm"), &whole).unwrap();
    served.directory.refresh().await;
    let status = &served.status().plugins[0];
    assert_eq!(status.state, PluginState::Serving);
    assert_eq!(status.serving.as_ref().unwrap().digest, Digest::of(&whole));
}

#[tokio::test]
async fn new_settings_go_live_and_wrong_ones_do_not() {
    let mut served = Served::hello().await;
    for wrong in ["{", r#"{"config": {}}"#, r#"{"grants": {}}"#] {
        fs::write(served.path("hello.json"), wrong).unwrap();
        served.directory.refresh().await;
        served.bench.expect_hello().await;
        assert_eq!(
            served.status().plugins[0].state,
            PluginState::ServingOlder,
            "{wrong}"
        );
    }
    let other = json!({"config": {"pin": "9999"}});
    fs::write(served.path("hello.json"), other.to_string()).unwrap();
    served.directory.refresh().await;
    assert_eq!(served.status().plugins[0].state, PluginState::Serving);
    let outcome = served.bench.hello().await;
    assert!(matches!(outcome, Ok(archstone_plugins::Outcome::Denied(_))));
}

#[tokio::test]
async fn an_installed_version_serves_and_can_be_rolled_back() {
    let mut served = Served::hello().await;
    let shelf = Shelf::new(served.home.path());
    let newer = rebuilt(component("hello"), 1);
    let serving = |served: &Served| served.bench.registry.method("hello").unwrap().digest();

    shelf.install("hello", &newer, Utc::now()).unwrap();
    served.directory.refresh().await;
    assert_eq!(serving(&served), Digest::of(&newer));

    shelf.rollback("hello", None).unwrap();
    served.directory.refresh().await;
    assert_eq!(serving(&served), Digest::of(&component("hello")));
    served.bench.expect_hello().await;
}

#[tokio::test]
async fn a_plugin_that_everybody_can_write_does_not_go_live() {
    let mut served = Served::hello().await;
    let path = served.path("hello.wasm");
    fs::write(&path, rebuilt(component("hello"), 1)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    served.directory.refresh().await;
    let status = &served.status().plugins[0];
    assert_eq!(status.state, PluginState::ServingOlder);
    assert!(
        status
            .last_error
            .as_ref()
            .unwrap()
            .message
            .contains("chmod o-w")
    );
}

#[tokio::test]
async fn a_name_that_is_no_method_is_reported() {
    let mut served = Served::hello().await;
    fs::write(served.path("Hello World.wasm"), component("hello")).unwrap();
    served.directory.refresh().await;
    let status = served.status();
    assert_eq!(status.plugins[0].state, PluginState::Failed);
    assert!(
        status.plugins[0]
            .last_error
            .as_ref()
            .unwrap()
            .message
            .contains("no name for a method")
    );
    served.bench.expect_hello().await;
}

#[tokio::test]
async fn a_directory_that_goes_away_leaves_plugins_serving() {
    let mut served = Served::hello().await;
    let elsewhere = served.home.path().with_extension("moved");
    fs::rename(served.home.path(), &elsewhere).unwrap();
    served.directory.refresh().await;
    served.bench.expect_hello().await;
    fs::rename(&elsewhere, served.home.path()).unwrap();
    served.directory.refresh().await;
    served.bench.expect_hello().await;
}

#[tokio::test]
async fn a_watched_directory_is_followed_within_a_second() {
    let served = Served::hello().await;
    let registry = served.bench.registry.clone();
    let path = served.path("second.wasm");
    let settings = served.path("second.json");
    let watching = tokio::spawn(served.directory.watch());
    fs::write(settings, json!({"config": {"pin": "1234"}}).to_string()).unwrap();
    fs::write(path, component("hello")).unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while registry.method("second").is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.unwrap();
    watching.abort();
}
