//! What comes from files and standard input: configurations, rules, and secrets, which are never
//! arguments, since others can list those.

use std::{fs, io::Read, str::FromStr};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};

/// `PROPERTY=FILE`
#[derive(Debug, Clone)]
pub(super) struct SecretFile {
    pub property: String,
    pub file: String,
}

impl FromStr for SecretFile {
    type Err = &'static str;

    fn from_str(given: &str) -> Result<Self, Self::Err> {
        match given.split_once('=') {
            Some((property, file)) if !property.is_empty() && !file.is_empty() => Ok(Self {
                property: property.to_owned(),
                file: file.to_owned(),
            }),
            _ => Err("a secret is PROPERTY=FILE"),
        }
    }
}

/// The files of one command. Standard input is there once.
#[derive(Default)]
pub(super) struct Sources {
    input_was_read: bool,
}

impl Sources {
    /// A text without the line ends at its end.
    pub(super) fn text(&mut self, file: &str) -> Result<String> {
        let mut text = match file {
            "-" => {
                ensure!(
                    !self.input_was_read,
                    "standard input can be read once: give the rest in files"
                );
                self.input_was_read = true;
                let mut text = String::new();
                std::io::stdin()
                    .read_to_string(&mut text)
                    .context("cannot read standard input")?;
                text
            }
            file => fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?,
        };
        text.truncate(text.trim_end_matches(['\r', '\n']).len());
        Ok(text)
    }

    pub(super) fn json(&mut self, file: &str) -> Result<Value> {
        // An error must not repeat what may be a secret.
        serde_json::from_str(&self.text(file)?).map_err(|error| {
            anyhow::anyhow!(
                "{file} is no JSON: line {}, column {}",
                error.line(),
                error.column()
            )
        })
    }

    pub(super) fn object(&mut self, file: &str) -> Result<Map<String, Value>> {
        match self.json(file)? {
            Value::Object(object) => Ok(object),
            _ => anyhow::bail!("{file} is no JSON object"),
        }
    }
}
