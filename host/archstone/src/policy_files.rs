//! The operator's policy: `[oslo_policy] policy_file`, and over it the files of
//! `[oslo_policy] policy_dirs`, as oslo.policy reads them.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context, Result};
use archstone_model::policy::{PolicyEngine, PolicyOptions};

/// Where the policy is. Neither the file nor a directory has to be there, unless it was named.
#[derive(Debug, Clone)]
pub(crate) struct PolicyFiles {
    pub file: PathBuf,
    /// The operator named the file, so that its absence is a mistake.
    pub file_is_named: bool,
    pub directories: Vec<PathBuf>,
}

/// What changes when the policy does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PolicyStamp(Vec<(PathBuf, Option<SystemTime>)>);

impl PolicyFiles {
    /// Keystone's defaults with the rules of the file, then of each directory's files by name.
    ///
    /// # Errors
    /// Names the file that is missing, cannot be read, or is no policy.
    pub(crate) fn load(&self, options: PolicyOptions) -> Result<PolicyEngine> {
        let mut rules = Default::default();
        let read = |path: &Path| -> Result<_> {
            let text = fs::read_to_string(path)
                .with_context(|| format!("cannot read the policy {}", path.display()))?;
            PolicyEngine::read_file(&text).with_context(|| format!("policy {}", path.display()))
        };
        if self.file_is_named || self.file.exists() {
            rules = read(&self.file)?;
        }
        for path in self.in_directories()? {
            rules.extend(read(&path)?);
        }
        PolicyEngine::with_overrides(options, rules).context("the policy cannot be used")
    }

    /// The files there are now and when each changed.
    pub(crate) fn stamp(&self) -> PolicyStamp {
        let files = self.in_directories().unwrap_or_default();
        let stamps = std::iter::once(self.file.clone())
            .chain(files)
            .map(|path| {
                let changed = fs::metadata(&path).and_then(|data| data.modified()).ok();
                (path, changed)
            })
            .collect();
        PolicyStamp(stamps)
    }

    /// The files of the directories that are there; hidden ones do not count.
    fn in_directories(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for directory in &self.directories {
            let files = match fs::read_dir(directory) {
                Ok(files) => files,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    return Err(error).with_context(|| {
                        format!("cannot read the policy directory {}", directory.display())
                    });
                }
            };
            let mut here: Vec<PathBuf> = files
                .filter_map(|file| file.ok())
                .filter(|file| !file.file_name().to_string_lossy().starts_with('.'))
                .map(|file| file.path())
                .filter(|path| path.is_file())
                .collect();
            here.sort();
            found.append(&mut here);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Home {
        directory: tempfile::TempDir,
        files: PolicyFiles,
    }

    impl Home {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let files = PolicyFiles {
                file: directory.path().join("policy.yaml"),
                file_is_named: false,
                directories: vec![directory.path().join("policy.d")],
            };
            Self { directory, files }
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn has_rule(&self, name: &str) -> bool {
            let engine = self.files.load(PolicyOptions::default()).unwrap();
            engine.has_rule(name)
        }
    }

    #[test]
    fn without_files_the_defaults_hold() {
        assert!(Home::new().has_rule("identity:get_user"));
    }

    #[test]
    fn a_file_that_the_operator_named_has_to_be_there() {
        let mut home = Home::new();
        home.files.file_is_named = true;
        let error = home.files.load(PolicyOptions::default()).unwrap_err();
        assert!(error.to_string().contains("policy.yaml"), "{error}");
    }

    #[test]
    fn files_in_the_directory_add_rules_and_are_noticed_when_they_appear() {
        let home = Home::new();
        home.write("policy.yaml", "\"one\": \"@\"");
        let before = home.files.stamp();
        home.write("policy.d/10-two.yaml", "\"two\": \"!\"");
        home.write("policy.d/.hidden", "not a policy");
        assert_ne!(home.files.stamp(), before);
        assert!(home.has_rule("one") && home.has_rule("two"));
    }
}
