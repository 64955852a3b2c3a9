//! Signing by the `xmlsec1` program, which has a process of its own for each assertion. It gets a
//! file that only this user can read, a part of the environment, and a few seconds; what it gives
//! back is looked at before it is believed.

use std::{env, io, io::Write, path::PathBuf, process::Stdio, time::Duration};

use quick_xml::{
    NsReader,
    events::{BytesStart, Event},
    name::ResolveResult,
};
use tempfile::NamedTempFile;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    sync::Semaphore,
    task::spawn_blocking,
    time::timeout,
};

use super::{
    SamlOptions,
    assertion::Statement,
    xml::{self, Writer},
};
use crate::{Error, Result};

/// Programs that run at once; a signature takes some milliseconds.
const AT_ONCE: usize = 8;
/// How long a request waits for its turn, and how long the program may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest signed assertion, and the longest complaint that is read.
const MOST_OUTPUT: u64 = 4 << 20;
const MOST_COMPLAINT: u64 = 2 << 10;
/// All that the program may see of this process's environment.
const VARIABLES: [&str; 4] = ["PATH", "LD_LIBRARY_PATH", "OPENSSL_CONF", "OPENSSL_MODULES"];

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
enum SigningError {
    #[error("cannot run {}: {error}; install xmlsec1 or set [saml] xmlsec1_binary", .program.display())]
    Program { program: PathBuf, error: io::Error },
    #[error("cannot hand over the assertion: {0}")]
    File(io::Error),
    #[error("cannot read the program's output: {0}")]
    Output(io::Error),
    #[error("the program did not end within {0:?}")]
    TooLong(Duration),
    #[error("the program failed with {status}: {complaint}")]
    Failed {
        status: std::process::ExitStatus,
        complaint: String,
    },
    #[error("the program did not give the assertion signed: {0}")]
    Unexpected(String),
}

impl From<SigningError> for Error {
    fn from(error: SigningError) -> Self {
        Self::internal(format!("cannot sign a SAML assertion: {error}"))
    }
}

/// Signs assertions with the key of `[saml] keyfile`.
#[derive(Debug)]
pub(crate) struct Signer {
    program: PathBuf,
    /// Key and certificate as the program wants them.
    key_and_certificate: String,
    turns: Semaphore,
    patience: Duration,
}

/// An assertion that carries its signature.
pub(super) struct SignedAssertion(Vec<Event<'static>>);

impl Signer {
    pub(crate) fn new(options: &SamlOptions) -> Self {
        let (key, certificate) = (options.key.display(), options.certificate.display());
        Self {
            program: options.xmlsec1.clone(),
            key_and_certificate: format!("{key},{certificate}"),
            turns: Semaphore::new(AT_ONCE),
            patience: PATIENCE,
        }
    }

    /// # Errors
    /// `Overloaded` where too many wait, `Invalid` where XML has no way to write what is said,
    /// `Internal` where the program or what it needs is not in order.
    pub(super) async fn sign(&self, statement: &Statement) -> Result<SignedAssertion> {
        let unsigned = statement.unsigned()?;
        let _turn = timeout(self.patience, self.turns.acquire())
            .await
            .map_err(|_| Error::Overloaded {
                retry_after_seconds: self.patience.as_secs(),
            })?;
        let signed = self.run(unsigned).await?;
        Ok(SignedAssertion::read(&signed, &statement.id)?)
    }

    async fn run(&self, unsigned: String) -> Result<String, SigningError> {
        let file = spawn_blocking(move || private_file(&unsigned))
            .await
            .map_err(|error| SigningError::File(error.into()))?
            .map_err(SigningError::File)?;
        let variables = VARIABLES
            .into_iter()
            .filter_map(|name| Some((name, env::var_os(name)?)));
        let child = Command::new(&self.program)
            .args(["--sign", "--privkey-pem", &self.key_and_certificate])
            .args(["--id-attr:ID", "Assertion"])
            .arg(file.path())
            .env_clear()
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| SigningError::Program {
                program: self.program.clone(),
                error,
            })?;
        timeout(self.patience, output(child))
            .await
            .map_err(|_| SigningError::TooLong(self.patience))?
    }
}

/// A file with `content` that goes when it is dropped.
fn private_file(content: &str) -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::with_prefix("archstone-saml-")?;
    file.write_all(content.as_bytes())?;
    Ok(file)
}

/// What the program prints, if it says that all went well.
async fn output(mut child: Child) -> Result<String, SigningError> {
    let (printed, complaint) = (child.stdout.take(), child.stderr.take());
    let (printed, complaint) = tokio::try_join!(
        beginning(printed, MOST_OUTPUT),
        beginning(complaint, MOST_COMPLAINT)
    )
    .map_err(SigningError::Output)?;
    let status = child.wait().await.map_err(SigningError::Output)?;
    if status.success() {
        String::from_utf8(printed).map_err(unexpected)
    } else {
        Err(SigningError::Failed {
            status,
            complaint: String::from_utf8_lossy(&complaint).into_owned(),
        })
    }
}

/// The first bytes of a pipe. The rest is read and dropped, so that the program is not kept waiting.
async fn beginning(pipe: Option<impl AsyncRead + Unpin>, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        (&mut pipe).take(most).read_to_end(&mut bytes).await?;
        tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
    }
    Ok(bytes)
}

impl SignedAssertion {
    /// Reads what the program printed.
    ///
    /// # Errors
    /// Where it is anything but one assertion of this id, with a signature.
    fn read(document: &str, id: &str) -> Result<Self, SigningError> {
        let mut reader = NsReader::from_str(document);
        let (mut events, mut depth) = (Vec::new(), 0_usize);
        let (mut in_value, mut is_signed) = (false, false);
        loop {
            let (namespace, event) = reader.read_resolved_event().map_err(unexpected)?;
            match &event {
                Event::Eof if depth == 0 => break,
                Event::Decl(_) if depth == 0 => continue,
                Event::Text(text) if depth == 0 && text.trim_ascii().is_empty() => continue,
                Event::Start(start) if events.is_empty() => {
                    require_assertion(&namespace, start, id)?;
                    depth = 1;
                }
                _ if depth == 0 => return Err(unexpected("it is not one assertion alone")),
                Event::Start(start) => {
                    depth += 1;
                    in_value = is_named(&namespace, start, xml::SIGNATURE, "SignatureValue");
                }
                Event::End(_) => {
                    depth -= 1;
                    in_value = false;
                }
                Event::Text(text) => is_signed |= in_value && !text.trim_ascii().is_empty(),
                Event::Empty(_) | Event::GeneralRef(_) => {}
                Event::Eof => return Err(unexpected("it breaks off")),
                _ => return Err(unexpected("it holds what no assertion does")),
            }
            events.push(event.into_owned());
        }
        if is_signed {
            Ok(Self(events))
        } else {
            Err(unexpected("there is no signature in it"))
        }
    }

    /// Writes it as the program printed it: nothing that is signed changes.
    pub(super) fn write(&self, writer: &mut Writer) -> io::Result<()> {
        self.0
            .iter()
            .try_for_each(|event| writer.write_event(event.borrow()))
    }
}

fn require_assertion(
    namespace: &ResolveResult,
    start: &BytesStart,
    id: &str,
) -> Result<(), SigningError> {
    let given = start.try_get_attribute("ID").map_err(unexpected)?;
    let is_ours = is_named(namespace, start, xml::ASSERTION, "Assertion")
        && given.is_some_and(|given| given.value == id);
    if is_ours {
        Ok(())
    } else {
        Err(unexpected("it is another document"))
    }
}

fn is_named(namespace: &ResolveResult, start: &BytesStart, wanted: &str, name: &str) -> bool {
    let is_in_namespace =
        matches!(namespace, ResolveResult::Bound(bound) if bound.as_ref() == wanted);
    is_in_namespace && start.local_name().as_ref() == name
}

fn unexpected(reason: impl ToString) -> SigningError {
    SigningError::Unexpected(reason.to_string())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, path::Path};

    use chrono::DateTime;
    use tokio::sync::Mutex;

    use super::*;

    fn statement() -> Statement {
        let text = str::to_owned;
        Statement {
            id: text("a1"),
            session: text("s1"),
            issuer: text("https://idp"),
            recipient: text("https://sp"),
            issued_at: DateTime::UNIX_EPOCH,
            expires_at: DateTime::UNIX_EPOCH,
            user: text("ada"),
            user_domain: text("Default"),
            roles: vec![text("member")],
            project: text("engines"),
            project_domain: text("Default"),
            groups: Vec::new(),
        }
    }

    /// A program that was just written cannot be run while another thread is about to run one.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

    /// Signs with a program that is this script.
    async fn sign_with(
        directory: &Path,
        script: &str,
        patience: Duration,
    ) -> Result<SignedAssertion> {
        let _turn = ONE_AT_A_TIME.lock().await;
        let program = directory.join("program");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        let signer = Signer::new(&SamlOptions {
            xmlsec1: program,
            key: "/keys/key.pem".into(),
            certificate: "/keys/cert.pem".into(),
            ..SamlOptions::default()
        });
        let signer = Signer { patience, ..signer };
        signer.sign(&statement()).await
    }

    async fn reason(script: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let signed = sign_with(directory.path(), script, PATIENCE).await;
        signed.err().unwrap().reason().unwrap().to_owned()
    }

    #[tokio::test]
    async fn what_the_program_prints_is_written_as_it_stands() {
        let directory = tempfile::tempdir().unwrap();
        let script = r#"
            wanted='--sign --privkey-pem /keys/key.pem,/keys/cert.pem --id-attr:ID Assertion 6'
            [ "$1 $2 $3 $4 $5 $#" = "$wanted" ] || exit 9
            [ "$(stat -c %a "$6")" = 600 ] || exit 8
            [ -z "$CARGO_MANIFEST_DIR" ] || exit 7
            echo "$6" >"$(dirname "$0")/file"
            echo '<?xml version="1.0"?>'
            sed 's|<\(xmldsig:SignatureValue\)/>|<\1>c2ln\n</\1>|' "$6"
        "#;
        let signed = sign_with(directory.path(), script, PATIENCE).await.unwrap();
        let document = xml::document(|writer| signed.write(writer)).unwrap();
        assert_eq!(
            document,
            statement().unsigned().unwrap().replace(
                "<xmldsig:SignatureValue/>",
                "<xmldsig:SignatureValue>c2ln\n</xmldsig:SignatureValue>"
            )
        );
        let file = fs::read_to_string(directory.path().join("file")).unwrap();
        assert!(!Path::new(file.trim()).exists(), "{file}");
    }

    #[tokio::test]
    async fn a_program_that_fails_signs_nothing() {
        let reason = reason("echo no key >&2; exit 3").await;
        let says_why = reason.contains("exit status: 3") && reason.contains("no key");
        assert!(says_why, "{reason}");
    }

    #[tokio::test]
    async fn a_program_that_is_missing_is_named() {
        let signer = Signer::new(&SamlOptions {
            xmlsec1: "/nowhere/xmlsec1".into(),
            ..SamlOptions::default()
        });
        let refused = signer.sign(&statement()).await.err().unwrap();
        assert!(refused.reason().unwrap().contains("/nowhere/xmlsec1"));
    }

    #[tokio::test]
    async fn what_is_not_the_assertion_signed_is_not_believed() {
        for (script, expected) in [
            (":", "no signature"),
            (r#"cat "$6""#, "no signature"),
            (r#"cat "$6" "$6""#, "one assertion alone"),
            (r#"head -c 900 "$6""#, ""),
            (r#"sed 's/ID="a1"/ID="a2"/' "$6""#, "another document"),
            (r#"echo '<Assertion ID="a1"/>'"#, "one assertion alone"),
            (
                r#"echo '<!DOCTYPE x [<!ENTITY e "x">]>'; cat "$6""#,
                "one assertion alone",
            ),
            (r"printf '\377'", "utf-8"),
            ("yes | head -c 9000000", "one assertion alone"),
        ] {
            let reason = reason(script).await;
            let is_no_signature = reason.contains("did not give the assertion signed");
            assert!(
                is_no_signature && reason.contains(expected),
                "{script}: {reason}"
            );
        }
    }

    #[tokio::test]
    async fn a_program_that_does_not_end_is_killed() {
        let directory = tempfile::tempdir().unwrap();
        let script = r#"echo $$ >"$(dirname "$0")/pid"; exec sleep 600"#;
        let second = Duration::from_secs(1);
        let refused = sign_with(directory.path(), script, second)
            .await
            .err()
            .unwrap();
        assert!(refused.reason().unwrap().contains("did not end within 1s"));
        let pid = fs::read_to_string(directory.path().join("pid")).unwrap();
        let status = Path::new("/proc").join(pid.trim()).join("status");
        for _ in 0..100 {
            let status = fs::read_to_string(&status).unwrap_or_default();
            if status.is_empty() || status.contains("State:\tZ") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the program still runs");
    }
}
