//! `cargo xtask instructions`: how many instructions the hot paths take, held against what they took.
//!
//! Instructions are counted by valgrind, since they are the same on a busy machine and on an idle one.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{
    machine,
    shell::{cargo, command, root, run, say, target},
};

/// What was accepted, beside the code that it is of.
const ACCEPTED: &str = "benches/instructions/accepted.json";

/// How many times as many instructions as accepted are too many.
const MOST: f64 = 1.1;

/// What one round takes is the difference between these many rounds.
const ROUNDS: [u32; 2] = [100, 1100];

/// Counts the instructions of the hot paths, and fails where one takes a tenth more than accepted.
#[derive(Debug, Args)]
pub struct Instructions {
    /// Accept what is counted now.
    #[arg(long)]
    accept: bool,
}

impl Instructions {
    /// # Errors
    ///
    /// Fails when a path takes too many, or when there is no valgrind.
    pub fn execute(&self) -> Result<()> {
        machine::install_packages()?;
        let package = "archstone-instructions";
        run(cargo().args(["build", "--release", "--locked", "--package", package]))?;
        let program = target().join("release").join(package);
        let counted = count_all(&program)?;
        let file = root().join(ACCEPTED);
        if self.accept {
            let text = serde_json::to_string_pretty(&counted)? + "\n";
            return fs::write(&file, text).with_context(|| format!("cannot write {ACCEPTED}"));
        }
        let accepted = fs::read(&file).with_context(|| format!("cannot read {ACCEPTED}"))?;
        let accepted: BTreeMap<String, u64> = serde_json::from_slice(&accepted)?;
        let mut too_many = Vec::new();
        for (path, count) in &counted {
            let Some(before) = accepted.get(path) else {
                bail!("{path} is new: run `cargo xtask instructions --accept`");
            };
            let ratio = *count as f64 / *before as f64;
            say(&format!(
                "{path:<20}{count:>10} instructions, {before} accepted ({:+.1} %)",
                (ratio - 1.0) * 100.0
            ));
            if ratio > MOST {
                too_many.push(path.as_str());
            }
        }
        if !too_many.is_empty() {
            bail!(
                "{} take more than a tenth more instructions than accepted. Where that is worth it, run `cargo \
                 xtask instructions --accept`.",
                too_many.join(", ")
            );
        }
        Ok(())
    }
}

/// The instructions that one round of each path takes.
fn count_all(program: &Path) -> Result<BTreeMap<String, u64>> {
    let names = command(program).output()?.stdout;
    let names = String::from_utf8(names)?;
    let of_one = |name: &str| -> Result<u64> {
        let [few, many] = ROUNDS.map(|rounds| count(program, name, rounds));
        Ok((many? - few?) / u64::from(ROUNDS[1] - ROUNDS[0]))
    };
    names
        .lines()
        .map(|name| Ok((name.to_owned(), of_one(name)?)))
        .collect()
}

fn count(program: &Path, name: &str, rounds: u32) -> Result<u64> {
    let output = command("valgrind")
        .args([
            "--tool=cachegrind",
            "--cache-sim=no",
            "--cachegrind-out-file=/dev/null",
        ])
        .arg(program)
        .args([name, &rounds.to_string()])
        .output()
        .context("cannot run valgrind")?;
    let told = String::from_utf8_lossy(&output.stderr);
    told.lines()
        .find_map(|line| line.split_once("I refs:").or(line.split_once("I   refs:")))
        .and_then(|(_, count)| count.trim().replace(',', "").parse().ok())
        .with_context(|| format!("valgrind counted nothing of {name}:\n{told}"))
}
