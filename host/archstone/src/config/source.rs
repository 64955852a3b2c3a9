//! Every option that was given, by files and the environment, before it has a type.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt, fs,
    ops::RangeBounds,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chrono::TimeDelta;

use super::{
    error::{ConfigError, Place},
    ini,
};

type Result<T> = std::result::Result<T, ConfigError>;

/// Section in lower case, `DEFAULT` excepted, and option.
pub(super) type Name = (String, String);

/// How far references may lead from one option to the next.
const MAX_REFERENCES: usize = 16;

/// Options as text. Remembers which ones were asked for, by others too: the rest has no effect.
#[derive(Default)]
pub(super) struct Source {
    /// What files gave, the winner last.
    files: BTreeMap<Name, Vec<Given>>,
    environment: HashMap<String, String>,
    asked: RefCell<BTreeSet<Name>>,
}

struct Given {
    text: String,
    place: Place,
}

impl fmt::Debug for Source {
    /// Leaves the values out: some of them are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("files", &self.files.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Source {
    /// Options that variables named `OS_SECTION__OPTION` give. They win over every file.
    pub(super) fn from_environment(variables: impl Iterator<Item = (String, String)>) -> Self {
        Self {
            environment: variables
                .filter(|(name, _)| name.starts_with("OS_") && name.contains("__"))
                .collect(),
            ..Self::default()
        }
    }

    /// Reads a file, which wins over those before it.
    ///
    /// # Errors
    /// Where it cannot be read or a line has no meaning.
    pub(super) fn read(&mut self, path: &Path) -> Result<()> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let path = Arc::new(path.to_owned());
        let place = |line| Place::File {
            path: Arc::clone(&path),
            line,
        };
        let assignments = ini::parse(&text).map_err(|(line, problem)| ConfigError::Syntax {
            place: place(line),
            problem,
        })?;
        for assignment in assignments {
            let name = name(&assignment.section, &assignment.option.replace('-', "_"));
            self.files.entry(name).or_default().push(Given {
                text: assignment.value,
                place: place(assignment.line),
            });
        }
        Ok(())
    }

    /// The text of an option, unless nobody gave it or left it empty.
    pub(super) fn text(&self, section: &str, option: &str) -> Result<Option<String>> {
        let text = self.given(section, option)?.map(|given| given.text);
        Ok(text.filter(|text| !text.is_empty()))
    }

    /// An option in a form of its own.
    ///
    /// # Errors
    /// What `read` says, with the place.
    pub(super) fn read_as<T, E: fmt::Display>(
        &self,
        section: &str,
        option: &str,
        read: impl FnOnce(&str) -> std::result::Result<T, E>,
    ) -> Result<Option<T>> {
        let given = self.given(section, option)?;
        given
            .filter(|given| !given.text.is_empty())
            .map(|given| read(&given.text).map_err(|error| given.refused(section, option, error)))
            .transpose()
    }

    pub(super) fn path(&self, section: &str, option: &str) -> Result<Option<PathBuf>> {
        Ok(self.text(section, option)?.map(PathBuf::from))
    }

    /// A comma-separated list. An empty one is a list all the same.
    pub(super) fn list(&self, section: &str, option: &str) -> Result<Option<Vec<String>>> {
        let items = |given: Given| {
            let items = given.text.split(',').map(str::trim);
            let items = items.filter(|item| !item.is_empty());
            items.map(str::to_owned).collect()
        };
        Ok(self.given(section, option)?.map(items))
    }

    /// An option that may be given many times; each time counts.
    pub(super) fn repeated(&self, section: &str, option: &str) -> Result<Vec<String>> {
        let Some(last) = self.given(section, option)? else {
            return Ok(Vec::new());
        };
        let given = match (&last.place, self.files.get(&name(section, option))) {
            (Place::File { .. }, Some(given)) => {
                given.iter().map(|given| given.text.clone()).collect()
            }
            _ => vec![last.text],
        };
        Ok(given.into_iter().filter(|text| !text.is_empty()).collect())
    }

    /// The sections, besides `DEFAULT`, in which an option is given.
    pub(super) fn sections_with(&self, option: &str) -> Vec<String> {
        let named = self.files.keys().filter(|(_, given)| given == option);
        let mut sections: Vec<String> = named.map(|(section, _)| section.clone()).collect();
        let suffix = format!("__{}", option.to_uppercase());
        let variables = self.environment.keys();
        sections.extend(variables.filter_map(|variable| {
            let section = variable.strip_prefix("OS_")?.strip_suffix(&suffix)?;
            Some(section.to_lowercase())
        }));
        sections.retain(|section| section != "DEFAULT");
        sections
    }

    pub(super) fn bool(&self, section: &str, option: &str, default: bool) -> Result<bool> {
        let given = self.read_as(section, option, |text| match &*text.to_lowercase() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(format!("{text:?} is neither true nor false")),
        })?;
        Ok(given.unwrap_or(default))
    }

    /// A whole number within bounds.
    pub(super) fn integer<T: TryFrom<i64>>(
        &self,
        section: &str,
        option: &str,
        bounds: impl RangeBounds<i64> + fmt::Debug,
    ) -> Result<Option<T>> {
        self.read_as(section, option, |text| {
            let number: i64 = text
                .trim()
                .parse()
                .map_err(|_| format!("{text:?} is not a whole number"))?;
            let within = Some(number).filter(|number| bounds.contains(number));
            within
                .and_then(|number| T::try_from(number).ok())
                .ok_or_else(|| format!("{number} is not within {bounds:?}"))
        })
    }

    /// A number of seconds.
    pub(super) fn seconds(
        &self,
        section: &str,
        option: &str,
        default: TimeDelta,
    ) -> Result<TimeDelta> {
        // No longer than 68 years: a time so far ahead can still be written down.
        let seconds: Option<i64> = self.integer(section, option, 0..=i64::from(i32::MAX))?;
        Ok(seconds.map_or(default, TimeDelta::seconds))
    }

    /// How long a section's answers are remembered, which `[cache] enabled` and the section's `caching`
    /// and `cache_time` say: zero for not at all.
    pub(super) fn remembered_for(
        &self,
        section: &str,
        usual: Duration,
        at_most: Duration,
    ) -> Result<Duration> {
        let remembers =
            self.bool("cache", "enabled", true)? && self.bool(section, "caching", true)?;
        let given: Option<u64> = self.integer(section, "cache_time", 0..)?;
        let asked_for = given.map_or(usual, Duration::from_secs);
        Ok(match remembers {
            true => asked_for.min(at_most),
            false => Duration::ZERO,
        })
    }

    /// One of a few words, with what each one stands for.
    pub(super) fn choice<T: Copy>(
        &self,
        section: &str,
        option: &str,
        choices: &[(&str, T)],
        default: T,
    ) -> Result<T> {
        let chosen = self.read_as(section, option, |text| {
            let chosen = choices.iter().find(|(word, _)| *word == text);
            chosen.map(|(_, meaning)| *meaning).ok_or_else(|| {
                let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
                format!("{text:?} is not one of {}", words.join(", "))
            })
        })?;
        Ok(chosen.unwrap_or(default))
    }

    /// What files gave that nobody asked for: section, option, the text and its place.
    pub(super) fn ignored(&self) -> impl Iterator<Item = (&str, &str, &str, &Place)> {
        let asked = self.asked.borrow().clone();
        self.files
            .iter()
            .filter(move |(name, _)| !asked.contains(*name))
            .filter_map(|((section, option), given)| {
                let given = given.last()?;
                Some((&**section, &**option, &*given.text, &given.place))
            })
    }

    /// Runs `read` without remembering what it asks for.
    pub(super) fn unnoticed<T>(&self, read: impl FnOnce(&Self) -> T) -> T {
        let asked = self.asked.borrow().clone();
        let value = read(self);
        self.asked.replace(asked);
        value
    }

    /// The options that were asked for so far, or that those refer to.
    #[cfg(test)]
    pub(super) fn asked(&self) -> BTreeSet<Name> {
        self.asked.borrow().clone()
    }

    fn given(&self, section: &str, option: &str) -> Result<Option<Given>> {
        self.resolved(section, option, MAX_REFERENCES)
    }

    /// An option with the options that it refers to put in.
    fn resolved(&self, section: &str, option: &str, depth: usize) -> Result<Option<Given>> {
        self.asked.borrow_mut().insert(name(section, option));
        let Some(mut given) = self.raw(section, option) else {
            return Ok(None);
        };
        let Some(depth) = depth.checked_sub(1) else {
            return Err(given.refused(section, option, "refers to itself"));
        };
        given.text = substitute(&given.text, |reference| {
            let (group, wanted) = reference.split_once('.').unwrap_or((section, reference));
            let found = match self.resolved(group, wanted, depth)? {
                Some(found) => Some(found),
                None => self.resolved("DEFAULT", reference, depth)?,
            };
            found.map(|found| found.text).ok_or_else(|| {
                // The name is not shown: it may be a piece of a password.
                let problem = "refers to an option that is not set; write $$ for a plain $";
                given.refused(section, option, problem)
            })
        })?;
        Ok(Some(given))
    }

    fn raw(&self, section: &str, option: &str) -> Option<Given> {
        let variable = format!("OS_{}__{}", section.to_uppercase(), option.to_uppercase());
        let from_environment = self.environment.get(&variable).map(|text| Given {
            text: text.clone(),
            place: Place::Variable(variable),
        });
        from_environment
            .or_else(|| {
                let given = self.files.get(&name(section, option))?.last()?;
                Some(Given {
                    text: given.text.clone(),
                    place: given.place.clone(),
                })
            })
            // How the sample file writes that there is no default.
            .filter(|given| given.text != "<None>")
    }
}

impl Given {
    fn refused(&self, section: &str, option: &str, problem: impl fmt::Display) -> ConfigError {
        ConfigError::Value {
            place: self.place.clone(),
            section: section.to_owned(),
            option: option.to_owned(),
            problem: problem.to_string(),
        }
    }
}

pub(super) fn name(section: &str, option: &str) -> Name {
    let section = match section.to_lowercase().as_str() {
        "default" => "DEFAULT".to_owned(),
        section => section.to_owned(),
    };
    (section, option.to_owned())
}

/// Replaces `$option`, `$section.option` and both with braces. `$$` and `\$` are a plain `$`, and
/// so is one that begins no name.
fn substitute(text: &str, find: impl Fn(&str) -> Result<String>) -> Result<String> {
    let mut made = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        if let Some(before) = before.strip_suffix('\\') {
            made.push_str(before);
            made.push('$');
            rest = after;
            continue;
        }
        made.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            made.push('$');
            rest = after;
        } else if let Some((reference, after)) = reference(after) {
            made.push_str(&find(reference)?);
            rest = after;
        } else {
            made.push('$');
            rest = after;
        }
    }
    made.push_str(rest);
    Ok(made)
}

/// The name that a text begins with, in braces or without, and what follows.
fn reference(text: &str) -> Option<(&str, &str)> {
    let braced = text.strip_prefix('{');
    let text = braced.unwrap_or(text);
    let belongs = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let (name, rest) = text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()));
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return None;
    }
    let rest = if braced.is_some() {
        rest.strip_prefix('}')?
    } else {
        rest
    };
    Some((name, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(files: &[&str], variables: &[(&str, &str)]) -> Source {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        let mut source = Source::from_environment(variables);
        for text in files {
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), text).unwrap();
            source.read(file.path()).unwrap();
        }
        source
    }

    fn error<T: fmt::Debug>(read: Result<T>) -> String {
        let message = read.unwrap_err().to_string();
        message
            .split_once(".tmp")
            .map_or(message.clone(), |(_, tail)| {
                tail.split_once(':')
                    .map_or(tail, |(_, tail)| tail)
                    .to_owned()
            })
    }

    #[test]
    fn later_files_win_and_the_environment_wins_over_all() {
        let files = [
            "[token]\nexpiration = 1\ncaching = true\n",
            "[TOKEN]\nexpiration = 2\n",
        ];
        let from_files = source(&files, &[]);
        assert_eq!(
            from_files.text("token", "expiration").unwrap().unwrap(),
            "2"
        );
        assert!(from_files.bool("token", "caching", false).unwrap());
        let overridden = source(&files, &[("OS_TOKEN__EXPIRATION", "3")]);
        assert_eq!(
            overridden.text("token", "expiration").unwrap().unwrap(),
            "3"
        );
    }

    #[test]
    fn an_option_may_be_made_of_others() {
        let source = source(
            &[
                "[DEFAULT]\nstate = /var/k\n[a]\nname = keys\npath = $state/${name}\nother = $a.path/x\n",
            ],
            &[],
        );
        assert_eq!(source.text("a", "path").unwrap().unwrap(), "/var/k/keys");
        assert_eq!(source.text("a", "other").unwrap().unwrap(), "/var/k/keys/x");
    }

    #[test]
    fn a_dollar_sign_may_be_meant() {
        let text = "[a]\nregex = ^(?=.*\\d).{7,}$\nescaped = a$$b\\$c\nopen = ${x\n";
        let source = source(&[text], &[]);
        assert_eq!(
            source.text("a", "regex").unwrap().unwrap(),
            r"^(?=.*\d).{7,}$"
        );
        assert_eq!(source.text("a", "escaped").unwrap().unwrap(), "a$b$c");
        assert_eq!(source.text("a", "open").unwrap().unwrap(), "${x");
    }

    #[test]
    fn references_that_lead_nowhere_or_in_circles_are_refused() {
        let source = source(&["[a]\nx = $y\ny = $x\nz = $nothing\n"], &[]);
        assert!(error(source.text("a", "x")).contains("refers to itself"));
        assert_eq!(
            error(source.text("a", "z")),
            "4: [a] z: refers to an option that is not set; write $$ for a plain $"
        );
    }

    #[test]
    fn a_wrong_type_is_named_with_its_place() {
        let source = source(
            &["[token]\n\nexpiration = soon\ncaching = maybe\n"],
            &[("OS_TOTP__INCLUDED_PREVIOUS_WINDOWS", "11")],
        );
        assert_eq!(
            error(source.integer::<u32>("token", "expiration", 0..)),
            "3: [token] expiration: \"soon\" is not a whole number"
        );
        assert_eq!(
            error(source.bool("token", "caching", true)),
            "4: [token] caching: \"maybe\" is neither true nor false"
        );
        assert_eq!(
            error(source.integer::<u32>("totp", "included_previous_windows", 0..=10)),
            "OS_TOTP__INCLUDED_PREVIOUS_WINDOWS: [totp] included_previous_windows: 11 is not within 0..=10"
        );
        let choices = [("off", false), ("strict", true)];
        assert_eq!(
            error(source.choice("token", "caching", &choices, false)),
            "4: [token] caching: \"maybe\" is not one of off, strict"
        );
    }

    #[test]
    fn an_empty_list_is_given_and_an_empty_number_is_not() {
        let source = source(
            &["[a]\nlist =\nnumber =\nnone = <None>\nmany = x, y,\n"],
            &[],
        );
        assert_eq!(source.list("a", "list").unwrap(), Some(vec![]));
        assert_eq!(
            source.list("a", "many").unwrap(),
            Some(vec!["x".into(), "y".into()])
        );
        assert_eq!(source.integer::<u32>("a", "number", ..).unwrap(), None);
        assert_eq!(source.list("a", "none").unwrap(), None);
    }

    #[test]
    fn values_are_never_printed() {
        let source = source(&["[database]\nconnection = mysql://u:hunter2@db/k\n"], &[]);
        assert!(!format!("{source:?}").contains("hunter2"));
    }
}
