//! The lock file of a new project: what of the guests' own it needs, at the same versions.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

/// One `[[package]]` of a lock file, as its text.
#[derive(Clone, Copy)]
struct Package<'a>(&'a str);

impl<'a> Package<'a> {
    fn field(self, name: &str) -> Option<&'a str> {
        let mut lines = self.0.lines();
        lines.find_map(|line| {
            let value = line.strip_prefix(name)?.strip_prefix(" = \"")?;
            value.strip_suffix('"')
        })
    }

    /// `NAME`, or `NAME VERSION` where there are several versions.
    fn dependencies(self) -> impl Iterator<Item = &'a str> {
        self.0
            .lines()
            .filter_map(|line| line.strip_prefix(" \"")?.strip_suffix("\","))
    }

    fn is(self, dependency: &str) -> bool {
        let mut parts = dependency.split(' ');
        parts.next() == self.field("name")
            && parts
                .next()
                .is_none_or(|version| Some(version) == self.field("version"))
    }
}

/// The lock file of a package of this name, which depends on these, from one that has them all.
pub(crate) fn of_project(lock: &str, name: &str, dependencies: &[&str]) -> Result<String> {
    let mut parts = lock.split("[[package]]\n");
    let head = parts.next().unwrap_or_default();
    let packages: Vec<Package<'_>> = parts.map(|text| Package(text.trim_end())).collect();
    let mut needed = BTreeSet::new();
    let mut open: Vec<&str> = dependencies.to_vec();
    while let Some(wanted) = open.pop() {
        let place = packages
            .iter()
            .position(|package| package.is(wanted))
            .with_context(|| format!("the guests' lock file has no `{wanted}`"))?;
        if needed.insert(place) {
            open.extend(
                packages
                    .get(place)
                    .into_iter()
                    .flat_map(|it| it.dependencies()),
            );
        }
    }
    let mut sorted = dependencies.to_vec();
    sorted.sort_unstable();
    let direct: String = sorted.iter().map(|one| format!(" \"{one}\",\n")).collect();
    let own = format!("name = \"{name}\"\nversion = \"0.1.0\"\ndependencies = [\n{direct}]");
    let mut all: Vec<&str> = needed
        .into_iter()
        .filter_map(|place| packages.get(place).map(|package| package.0))
        .chain([own.as_str()])
        .collect();
    // As cargo does: by name.
    all.sort_by_key(|text| (Package(text).field("name"), Package(text).field("version")));
    let all: Vec<String> = all
        .into_iter()
        .map(|text| format!("[[package]]\n{text}\n"))
        .collect();
    Ok(format!("{head}{}", all.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_needed_is_locked() {
        let lock = "# head\nversion = 4\n\n\
            [[package]]\nname = \"a\"\nversion = \"1\"\ndependencies = [\n \"c 2\",\n]\n\n\
            [[package]]\nname = \"b\"\nversion = \"1\"\n\n\
            [[package]]\nname = \"c\"\nversion = \"1\"\n\n\
            [[package]]\nname = \"c\"\nversion = \"2\"\n";
        let expected = "# head\nversion = 4\n\n\
            [[package]]\nname = \"a\"\nversion = \"1\"\ndependencies = [\n \"c 2\",\n]\n\n\
            [[package]]\nname = \"ah\"\nversion = \"0.1.0\"\ndependencies = [\n \"a\",\n]\n\n\
            [[package]]\nname = \"c\"\nversion = \"2\"\n";
        assert_eq!(of_project(lock, "ah", &["a"]).unwrap(), expected);
        assert!(of_project(lock, "ah", &["d"]).is_err());
    }
}
