//! Audited events in a file, one JSON object a line.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::Value;

/// `[archstone] audit_file`: appended to, and opened anew when it was moved away.
#[derive(Debug)]
pub(crate) struct AuditFile {
    path: PathBuf,
    file: Mutex<File>,
    failing: AtomicBool,
}

impl AuditFile {
    /// # Errors
    /// Where the file can be neither opened nor made.
    pub(crate) fn open(path: &Path) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            path: path.to_owned(),
            file: Mutex::new(appended_to(path)?),
            failing: AtomicBool::new(false),
        }))
    }

    /// Goes on in the file that has the name now.
    ///
    /// # Errors
    /// Where that can be neither opened nor made; events go on into the file from before.
    pub(crate) fn reopen(&self) -> io::Result<()> {
        let file = appended_to(&self.path)?;
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = file;
        Ok(())
    }

    pub(super) fn append(&self, event: &Value) {
        let line = format!("{event}\n");
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = file.write_all(line.as_bytes());
        drop(file);
        let failed = written.is_err();
        let failed_before = self.failing.swap(failed, Ordering::Relaxed);
        if let (Err(error), false) = (written, failed_before) {
            // A log event out of the log's own machinery would be lost.
            eprintln!(
                "archstone: cannot write to {}: {error}",
                self.path.display()
            );
        }
    }
}

fn appended_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).open(path)
}
