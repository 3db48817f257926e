//! Plays commands where they can be seen: each as a process of its own, as if somebody had typed it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Code, Failure};
use crate::{print, say, terminal};

/// A folder to play in.
pub(crate) struct Stage<'a> {
    folder: &'a Path,
    wflo: PathBuf,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(folder: &'a Path) -> Result<Self, Failure> {
        Ok(Self { folder, wflo: std::env::current_exe().map_err(Failure::bug)? })
    }

    /// Says what is going on.
    pub(crate) fn tell(&self, text: &str) {
        let text = format!("# {text}");
        print(&format!(
            "\n{}",
            if terminal::stdout_colors() { format!("\x1b[1m{text}\x1b[0m") } else { text }
        ));
    }

    /// Makes somebody known to the store, with their token in `tokens/`; whoever has one there keeps it.
    pub(crate) fn person(&self, name: &str, group: Option<&str>) -> Result<(), Failure> {
        let tokens = self.folder.join("tokens");
        let bad = |error: std::io::Error| Failure::usage(format!("`{}`: {error}", tokens.display()));
        let file = tokens.join(name);
        if file.is_file() && self.folder.join(".wflo").is_dir() {
            return Ok(());
        }
        private_folder(&tokens).map_err(bad)?;
        let mut args = vec!["identity", "add", name];
        args.extend(group.iter().flat_map(|group| ["--group", group]));
        let output = self.command(None, &args)?.output().map_err(bad)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Failure::rendered(Code::Usage, said).hint(
                "the store knows them and their token is gone: remove `.wflo` and `tokens` to begin anew",
            ));
        }
        let unready = tokens.join(format!(".{name}.new"));
        std::fs::write(&unready, output.stdout)
            .and_then(|()| std::fs::rename(&unready, &file))
            .map_err(bad)?;
        let of = group.map(|group| format!(", of {group}")).unwrap_or_default();
        say(&format!("tokens/{name}: {name}{of}"));
        Ok(())
    }

    /// Runs a command where it can be seen; it must end with `code`.
    pub(crate) fn play(&self, who: Option<&str>, args: &[&str], code: Code) -> Result<(), Failure> {
        self.announce(who, args);
        let status = self.command(who, args)?.status().map_err(Failure::bug)?;
        if status.code() == Some(code as i32) { Ok(()) } else { Err(unexpected(args, status, code)) }
    }

    /// Runs a command for its JSON, and says so.
    pub(crate) fn json(&self, args: &[&str], code: Code) -> Result<serde_json::Value, Failure> {
        self.announce(None, args);
        self.quietly(args, code)
    }

    /// Looks something up behind the scenes.
    pub(crate) fn look(&self, args: &[&str]) -> Result<serde_json::Value, Failure> {
        self.quietly(args, Code::Succeeded)
    }

    fn quietly(&self, args: &[&str], code: Code) -> Result<serde_json::Value, Failure> {
        let output = self.command(None, args)?.arg("--json").output().map_err(Failure::bug)?;
        if output.status.code() != Some(code as i32) {
            say(&String::from_utf8_lossy(&output.stderr));
            return Err(unexpected(args, output.status, code));
        }
        serde_json::from_slice(&output.stdout).map_err(Failure::bug)
    }

    fn announce(&self, who: Option<&str>, args: &[&str]) {
        let token = who.map(|name| format!("WFLO_TOKEN=$(cat tokens/{name}) ")).unwrap_or_default();
        let name = who.map(|name| format!(" --as {name}")).unwrap_or_default();
        print(&format!("\n$ {token}wflo {}{name}", args.join(" ")));
    }

    /// The command, in the folder.
    fn command(&self, who: Option<&str>, args: &[&str]) -> Result<Command, Failure> {
        let mut command = Command::new(&self.wflo);
        command.args(args).current_dir(self.folder).stdin(Stdio::null()).env_remove("WFLO_TOKEN");
        if let Some(name) = who {
            let file = self.folder.join("tokens").join(name);
            let token = std::fs::read_to_string(&file)
                .map_err(|error| Failure::usage(format!("`{}`: {error}", file.display())))?;
            command.args(["--as", name]).env("WFLO_TOKEN", token.trim());
        }
        Ok(command)
    }
}

fn unexpected(args: &[&str], status: std::process::ExitStatus, code: Code) -> Failure {
    Failure::bug(format!("`wflo {}` ended with {status}, not with {}", args.join(" "), code as i32))
}

/// Whoever holds a token is that person.
fn private_folder(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}
