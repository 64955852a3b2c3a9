//! Which files make up the configuration.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::Args;

use super::ConfigError;

const SYSTEM_FILE: &str = "/etc/keystone/keystone.conf";
const SYSTEM_DIRECTORY: &str = "/etc/keystone/keystone.conf.d";

/// Where to read the configuration from.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigArgs {
    /// A keystone.conf; given again, later files win. Left out:
    /// /etc/keystone/keystone.conf and /etc/keystone/keystone.conf.d, where they exist.
    #[arg(long, global = true, value_name = "FILE")]
    #[arg(
        env = "OS_KEYSTONE_CONFIG_FILES",
        value_delimiter = ';',
        hide_env_values = true
    )]
    config_file: Vec<PathBuf>,

    /// A directory whose *.conf files are read after the files, by name.
    #[arg(long, global = true, value_name = "DIRECTORY")]
    config_dir: Vec<PathBuf>,
}

/// The configuration's files, the winner last.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConfigFiles(Vec<PathBuf>);

impl ConfigArgs {
    /// The files that are asked for, or those of the system.
    ///
    /// # Errors
    /// Where a directory cannot be read.
    pub(crate) fn files(&self) -> Result<ConfigFiles, ConfigError> {
        if !self.config_file.is_empty() || !self.config_dir.is_empty() {
            return ConfigFiles::of(&self.config_file, &self.config_dir);
        }
        let existing = |path: &'static str| Some(PathBuf::from(path)).filter(|path| path.exists());
        let file = Vec::from_iter(existing(SYSTEM_FILE));
        let directory = Vec::from_iter(existing(SYSTEM_DIRECTORY));
        ConfigFiles::of(&file, &directory)
    }
}

impl ConfigFiles {
    fn of(files: &[PathBuf], directories: &[PathBuf]) -> Result<Self, ConfigError> {
        let mut all = files.to_vec();
        for directory in directories {
            let found = conf_files(directory).map_err(|source| ConfigError::Unreadable {
                path: directory.clone(),
                source,
            })?;
            all.extend(found);
        }
        Ok(Self(all))
    }

    pub(super) fn paths(&self) -> &[PathBuf] {
        &self.0
    }

    /// Where files that the configuration names without a directory are looked for.
    pub(super) fn directory(&self) -> Option<&Path> {
        self.0.first()?.parent()
    }

    #[cfg(test)]
    pub(super) fn named(files: Vec<PathBuf>) -> Self {
        Self(files)
    }
}

fn conf_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "conf")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directorys_conf_files_come_after_the_files_and_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["20-b.conf", "10-a.conf", "notes.txt"] {
            fs::write(path(name), "").unwrap();
        }
        let files = ConfigFiles::of(&[path("x.conf")], &[directory.path().into()]).unwrap();
        let expected = [path("x.conf"), path("10-a.conf"), path("20-b.conf")];
        assert_eq!(files.paths(), expected);
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = ConfigFiles::of(&[], &["/nowhere/at/all".into()]).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /nowhere/at/all");
    }
}
