//! The database servers that tests share: started by the tests' own harness, ended with this value.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use anyhow::{Context, Result};

use crate::shell::{command, root};

/// MariaDB and PostgreSQL, running on loopback.
pub struct Databases {
    keeper: Child,
    environment: BTreeMap<String, String>,
}

impl Databases {
    /// Starts both; `bin` is the Python environment's.
    ///
    /// # Errors
    ///
    /// Fails when one of them does not start; its output says why.
    pub fn start(bin: &Path) -> Result<Self> {
        let mut keeper = command(bin.join("python"))
            .args(["-m", "harness.databases"])
            .current_dir(root().join("tests"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the databases")?;
        let mut told = String::new();
        let output = keeper.stdout.take().context("no output to read")?;
        BufReader::new(output).read_line(&mut told)?;
        let environment =
            serde_json::from_str(&told).context("the databases did not start, see above")?;
        Ok(Self {
            keeper,
            environment,
        })
    }

    /// The variables by which tests find the servers.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }
}

impl Drop for Databases {
    /// The keeper ends with its input.
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}
