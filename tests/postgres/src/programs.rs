//! Where the programs of a PostgreSQL server are.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The programs of one PostgreSQL server.
#[derive(Clone, Debug)]
pub struct Programs {
    folder: PathBuf,
    /// Its libraries, where it was unpacked rather than installed.
    libraries: Option<PathBuf>,
}

impl Programs {
    /// Those of the machine: on the path, or where Debian puts them.
    #[must_use]
    pub fn of_machine() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let on_path = std::env::split_paths(&path).find(|folder| has_server(folder));
        let folder = on_path.or_else(|| newest(Path::new("/usr/lib/postgresql")))?;
        Some(Self { folder, libraries: None })
    }

    /// Those of Debian packages that were unpacked into a folder.
    #[must_use]
    pub fn unpacked(root: &Path) -> Option<Self> {
        let folder = newest(&root.join("usr/lib/postgresql"))?;
        let of_machine = |entry: &PathBuf| entry.to_string_lossy().ends_with("-linux-gnu");
        let libraries = entries(&root.join("usr/lib")).into_iter().find(of_machine);
        Some(Self { folder, libraries })
    }

    /// Where `cargo xtask test` unpacks packages, seen from the checkout.
    #[must_use]
    pub fn cache() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/postgres")
    }

    /// Whichever there are.
    ///
    /// # Errors
    /// Where there are none: what to do about it.
    pub fn find() -> Result<Self, String> {
        Self::of_machine().or_else(|| Self::unpacked(&Self::cache())).ok_or_else(|| {
            "there is none on this machine; `cargo xtask test` brings one where Debian's packages can be had, and else \
             a `postgres` on the `PATH` will do"
                .to_owned()
        })
    }

    /// One of them, to be started.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.folder.join(name));
        self.lend(&mut command);
        command
    }

    /// Tells a command where they are.
    pub(crate) fn lend(&self, command: &mut Command) {
        command.env("LC_ALL", "C").stdin(Stdio::null());
        if let Some(libraries) = &self.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

fn has_server(folder: &Path) -> bool {
    ["initdb", "postgres", "pg_ctl", "psql"].iter().all(|name| folder.join(name).is_file())
}

/// The programs of the newest of several versions.
fn newest(versions: &Path) -> Option<PathBuf> {
    let version = |folder: &PathBuf| folder.file_name()?.to_str()?.parse::<u32>().ok();
    let all = entries(versions).into_iter().filter(|folder| has_server(&folder.join("bin")));
    all.max_by_key(version).map(|folder| folder.join("bin"))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}
