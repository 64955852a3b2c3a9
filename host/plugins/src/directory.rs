//! A directory of plugins: `NAME.wasm` serves the method `NAME`, with the settings in `NAME.json`
//! if there are any. What changes there goes live within a second, or says why not.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use chrono::{DateTime, Utc};
use futures::future::join_all;
use rustix::fs::{StatVfsMountFlags, statvfs};
use serde::{Deserialize, Serialize};

use crate::{
    Digest, PluginStatus, PrepareError, Registry, Settings, files::write_at_once,
    plugin::check_name,
};

const POLL: Duration = Duration::from_millis(500);
/// A file that changed less than this ago may change again without its times telling.
const SETTLED: Duration = Duration::from_secs(2);
/// What failed is tried again after this: the fault may have been elsewhere.
const RETRY: Duration = Duration::from_secs(15);
/// How often the status file follows the counters alone.
const COUNTERS: Duration = Duration::from_secs(5);

const STATUS_FILE: &str = ".status.json";

/// Keeps a registry as a directory says.
#[derive(Debug)]
pub struct PluginDirectory {
    path: PathBuf,
    registry: Registry,
    known: BTreeMap<String, Known>,
    unreadable: bool,
    told: Told,
}

/// What is known of one method's files.
#[derive(Debug, Clone)]
struct Known {
    stamp: Stamp,
    contents: Digest,
    settled: bool,
    failed_at: Option<Instant>,
}

/// What changes when a method's files do.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    artifact: FileStamp,
    settings: Option<FileStamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct FileStamp {
    file: (u64, u64),
    size: u64,
    modified: SystemTime,
    changed: (i64, i64),
}

/// What was last written to the status file.
#[derive(Debug, Default)]
struct Told {
    plugins: Vec<PluginStatus>,
    at: Option<Instant>,
    failed: bool,
}

/// The contents of the status file: how a running server is doing, for other processes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerStatus {
    pub written_at: DateTime<Utc>,
    pub process: u32,
    pub plugins: Vec<PluginStatus>,
}

impl ServerStatus {
    /// What the server that watches this directory wrote last; nothing if none ever did.
    ///
    /// # Errors
    /// If the file cannot be read, or is none of ours.
    pub fn read(directory: &Path) -> io::Result<Option<Self>> {
        match fs::read(directory.join(STATUS_FILE)) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Files that have to be looked at.
struct Found {
    method: String,
    stamp: Stamp,
    artifact: Vec<u8>,
    settings: Option<Vec<u8>>,
}

impl Found {
    fn contents(&self) -> Digest {
        let settings = Digest::of(self.settings.as_deref().unwrap_or_default());
        Digest::of_parts(&[&Digest::of(&self.artifact).bytes(), &settings.bytes()])
    }

    fn settled(&self) -> bool {
        let latest = match &self.stamp.settings {
            Some(settings) => settings.modified.max(self.stamp.artifact.modified),
            None => self.stamp.artifact.modified,
        };
        latest.elapsed().is_ok_and(|age| age > SETTLED)
    }
}

impl PluginDirectory {
    pub fn new(path: impl Into<PathBuf>, registry: Registry) -> Self {
        Self {
            path: path.into(),
            registry,
            known: BTreeMap::new(),
            unreadable: false,
            told: Told::default(),
        }
    }

    /// Follows the directory for as long as it is polled: spawn it, and drop it to stop.
    pub async fn watch(mut self) {
        loop {
            self.refresh().await;
            tokio::time::sleep(POLL).await;
        }
    }

    /// Looks once: prepares and publishes what is new, withdraws what is gone, and writes the
    /// status file.
    pub async fn refresh(&mut self) {
        match self.look().await {
            Ok((present, changed)) => {
                self.unreadable = false;
                self.withdraw_all_but(&present);
                self.take_in(changed).await;
            }
            Err(error) if !self.unreadable => {
                self.unreadable = true;
                tracing::error!(path = %self.path.display(), %error, "cannot read the plugin directory; what serves goes on");
            }
            Err(_) => {}
        }
        self.tell();
    }

    /// The names of all methods there, and the files of those that may have changed.
    async fn look(&self) -> io::Result<(BTreeSet<String>, Vec<Result<Found, Refused>>)> {
        let path = self.path.clone();
        let known = self.known.clone();
        let work = move || {
            refuse_writable_by_all(&path)?;
            let present = methods_in(&path)?;
            let changed = present
                .iter()
                .filter_map(|method| examine(&path, method, known.get(method)))
                .collect();
            Ok((present, changed))
        };
        tokio::task::spawn_blocking(work).await?
    }

    fn withdraw_all_but(&mut self, present: &BTreeSet<String>) {
        let registry = &self.registry;
        self.known.retain(|method, _| {
            let stays = present.contains(method);
            if !stays {
                registry.withdraw(method);
            }
            stays
        });
    }

    /// Prepares what is new, all at once, and lets it serve.
    async fn take_in(&mut self, changed: Vec<Result<Found, Refused>>) {
        let known = &self.known;
        let fresh = changed.into_iter().map(async |found| {
            let found = match found {
                Ok(found) => found,
                Err(refused) => return self.refuse(refused),
            };
            let known = known.get(&found.method);
            let mut now = Known {
                stamp: found.stamp.clone(),
                contents: found.contents(),
                settled: found.settled(),
                failed_at: None,
            };
            let method = found.method.clone();
            match known {
                Some(known) if known.contents == now.contents && !known.retry_is_due() => {
                    now.failed_at = known.failed_at;
                }
                _ if !self.serve(found).await => now.failed_at = Some(Instant::now()),
                _ => {}
            }
            (method, now)
        });
        let fresh = join_all(fresh).await;
        self.known.extend(fresh);
    }

    /// Prepares and publishes; says whether it serves.
    async fn serve(&self, found: Found) -> bool {
        let digest = Digest::of(&found.artifact);
        let text = found.settings.as_deref().unwrap_or(b"{}");
        let settings = match Settings::from_json(text) {
            Ok(settings) => settings,
            Err(error) => {
                self.registry.refuse(&found.method, Some(digest), &error);
                return false;
            }
        };
        let registry = &self.registry;
        match registry
            .prepare(&found.method, found.artifact, settings)
            .await
        {
            Ok(candidate) => {
                registry.publish(candidate);
                true
            }
            Err(_) => false, // the registry has told
        }
    }

    fn refuse(&self, refused: Refused) -> (String, Known) {
        let Refused {
            method,
            stamp,
            error,
        } = refused;
        self.registry.refuse(&method, None, &error);
        let known = Known {
            stamp,
            contents: Digest::of(b""),
            settled: true,
            failed_at: Some(Instant::now()),
        };
        (method, known)
    }

    /// Writes the status file, if it would say something else.
    fn tell(&mut self) {
        let plugins = self.registry.status();
        let news = without_counters(&plugins) != without_counters(&self.told.plugins);
        let due = self.told.at.is_none_or(|at| at.elapsed() > COUNTERS);
        if self.told.at.is_some() && !news && (plugins == self.told.plugins || !due) {
            return;
        }
        let status = ServerStatus {
            written_at: Utc::now(),
            process: std::process::id(),
            plugins,
        };
        let text = serde_json::to_vec_pretty(&status).unwrap_or_default();
        let written = write_at_once(&self.path.join(STATUS_FILE), &text, 0o644);
        if let Err(error) = &written
            && !self.told.failed
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot write the plugins' status");
        }
        self.told = Told {
            plugins: status.plugins,
            at: Some(Instant::now()),
            failed: written.is_err(),
        };
    }
}

impl Known {
    fn retry_is_due(&self) -> bool {
        self.failed_at.is_some_and(|at| at.elapsed() > RETRY)
    }
}

/// Files that cannot even be read.
struct Refused {
    method: String,
    stamp: Stamp,
    error: PrepareError,
}

/// Reads a method's files, if they may have changed since they were known.
fn examine(
    directory: &Path,
    method: &str,
    known: Option<&Known>,
) -> Option<Result<Found, Refused>> {
    let artifact = directory.join(format!("{method}.wasm"));
    let settings = directory.join(format!("{method}.json"));
    let stamp = Stamp {
        artifact: FileStamp::of(&artifact).ok()?, // gone meanwhile
        settings: FileStamp::of(&settings).ok(),
    };
    let unchanged = |known: &Known| known.stamp == stamp && known.settled && !known.retry_is_due();
    if known.is_some_and(unchanged) {
        return None;
    }
    let read = |path: &Path| {
        refuse_writable_by_all(path)
            .and_then(|()| fs::read(path))
            .map_err(|source| PrepareError::Unreadable {
                path: path.to_owned(),
                source,
            })
    };
    let contents = check_name(method).and_then(|()| {
        let settings = stamp
            .settings
            .as_ref()
            .map(|_| read(&settings))
            .transpose()?;
        Ok((read(&artifact)?, settings))
    });
    let method = method.to_owned();
    Some(match contents {
        Ok((artifact, settings)) => Ok(Found {
            method,
            stamp,
            artifact,
            settings,
        }),
        Err(error) => Err(Refused {
            method,
            stamp,
            error,
        }),
    })
}

impl FileStamp {
    fn of(path: &Path) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        Ok(Self {
            file: (found.dev(), found.ino()),
            size: found.size(),
            modified: found.modified()?,
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

/// The names before `.wasm` of the files there; hidden ones do not count.
fn methods_in(directory: &Path) -> io::Result<BTreeSet<String>> {
    let mut methods = BTreeSet::new();
    for file in fs::read_dir(directory)? {
        let name = file?.file_name();
        let method = name.to_str().and_then(|name| name.strip_suffix(".wasm"));
        methods.extend(
            method
                .filter(|name| !name.starts_with('.'))
                .map(str::to_owned),
        );
    }
    Ok(methods)
}

/// Whoever can write a plugin can log in as anybody. On a file system mounted read-only, as volumes
/// are in Kubernetes, the mode bits grant nothing.
fn refuse_writable_by_all(path: &Path) -> io::Result<()> {
    let writable = fs::metadata(path)?.mode() & 0o002 != 0;
    if !writable || statvfs(path)?.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Ok(());
    }
    let complaint = format!("everybody can write {0}; `chmod o-w {0}`", path.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, complaint))
}

fn without_counters(plugins: &[PluginStatus]) -> Vec<PluginStatus> {
    let mut plugins = plugins.to_vec();
    for serving in plugins
        .iter_mut()
        .filter_map(|plugin| plugin.serving.as_mut())
    {
        serving.calls = 0;
        serving.failures = 0;
    }
    plugins
}
