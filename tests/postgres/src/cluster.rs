//! A cluster in a temporary folder.

use std::fs::{self, Permissions};
use std::io::{self, BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::AtomicU32;

use crate::database::Database;
use crate::programs::Programs;

/// The variable that tells the folder of the socket.
pub const SOCKET: &str = "WFLO_TEST_POSTGRES";

/// The user and group that nobody has a folder of: PostgreSQL does not run as root.
const NOBODY: u32 = 65534;

/// Makes a cluster and starts its server; says `ready`, and stops it and removes the folder when its input is closed,
/// however whoever has the other end comes to an end.
const KEEPER: &str = r#"
    trap '' INT TERM HUP
    cd "$1"
    {
        "$2/initdb" -D data -U postgres -A trust -E UTF8 --locale=C --no-sync &&
        cat settings >>data/postgresql.conf &&
        "$2/pg_ctl" -D data -l server.log -w -t 60 start
    } >setup.log 2>&1 && echo ready || { cat setup.log server.log 2>/dev/null | tr '\n' ' '; echo; }
    cat >/dev/null
    "$2/pg_ctl" -D data -m immediate -w stop >>setup.log 2>&1
    cd / && rm -rf "$1"
"#;

/// A running server.
#[derive(Debug)]
pub struct Cluster {
    socket: PathBuf,
    /// The port on loopback, where it has one.
    pub(crate) port: Option<u16>,
    pub(crate) programs: Programs,
    pub(crate) databases: AtomicU32,
    keeper: Option<Keeper>,
}

/// What stops the server when it is dropped, or when this process ends.
#[derive(Debug)]
struct Keeper {
    child: Child,
    /// Open for as long as the server is wanted.
    input: Option<ChildStdin>,
}

impl Cluster {
    /// The one that the environment names, or else one of this process's own.
    ///
    /// # Errors
    /// When there is none and none can be started, in one line.
    pub fn shared() -> Result<Self, String> {
        let programs = Programs::find()?;
        match std::env::var_os(SOCKET) {
            Some(socket) => {
                let databases = AtomicU32::new(0);
                Ok(Self { socket: socket.into(), port: None, programs, databases, keeper: None })
            }
            None => Self::start(programs),
        }
    }

    /// Starts one.
    ///
    /// # Errors
    /// When it does not start: what its programs said.
    pub fn start(programs: Programs) -> Result<Self, String> {
        Self::try_start(programs, None).map_err(|error| format!("it does not start: {error}"))
    }

    /// Starts one that listens on loopback as well, and proves by this certificate who it is, where it is asked to. Both
    /// are PEM.
    ///
    /// # Errors
    /// When it does not start: what its programs said.
    pub fn start_with_tls(programs: Programs, certificate: &str, key: &str) -> Result<Self, String> {
        let failed = |error| format!("it does not start: {error}");
        Self::try_start(programs, Some((certificate, key))).map_err(failed)
    }

    fn try_start(programs: Programs, tls: Option<(&str, &str)>) -> io::Result<Self> {
        // It is removed by whoever keeps the server, also when this process is killed.
        let folder = tempfile::Builder::new().prefix("wflo-pg-").tempdir()?.keep();
        let mut settings = format!(
            "unix_socket_directories = '{}'\nmax_connections = 200\nfsync = off\n\
             full_page_writes = off\njit = off\nlog_min_messages = error\n",
            folder.display()
        );
        let is_root = fs::metadata(&folder)?.uid() == 0;
        let mut port = None;
        match tls {
            None => settings.push_str("listen_addresses = ''\n"),
            Some((certificate, key)) => {
                // Free now; whoever takes it meanwhile makes the start fail, and says so.
                let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
                port = Some(free);
                settings += &format!(
                    "listen_addresses = '127.0.0.1'\nport = {free}\nssl = on\nssl_cert_file = '{0}/cert.pem'\n\
                     ssl_key_file = '{0}/key.pem'\n",
                    folder.display()
                );
                for (name, text) in [("cert.pem", certificate), ("key.pem", key)] {
                    let path = folder.join(name);
                    fs::write(&path, text)?;
                    fs::set_permissions(&path, Permissions::from_mode(0o600))?;
                    if is_root {
                        chown(&path, Some(NOBODY), Some(NOBODY))?;
                    }
                }
            }
        }
        fs::write(folder.join("settings"), settings)?;
        let mut command = match is_root {
            true => {
                chown(&folder, Some(NOBODY), Some(NOBODY))?;
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")]);
                command.args(["--clear-groups", "sh"]);
                command
            }
            false => Command::new("sh"),
        };
        fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
        programs.lend(&mut command);
        command.args(["-c", KEEPER, "keeper"]).arg(&folder).arg(programs.folder());
        // What it says on its way out reaches nobody, and must not keep anybody's pipe open.
        command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let input = child.stdin.take();
        let keeper = Keeper { child, input };
        keeper.started(folder, port, programs)
    }

    /// The folder of its socket.
    #[must_use]
    pub fn socket(&self) -> &std::path::Path {
        &self.socket
    }

    /// A new database, with an owner and two logins of its own.
    #[must_use]
    pub fn database(&self) -> Database {
        Database::create(self)
    }
}

impl Keeper {
    fn started(mut self, folder: PathBuf, port: Option<u16>, programs: Programs) -> io::Result<Cluster> {
        let mut line = String::new();
        if let Some(output) = self.child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        match line.trim() {
            "ready" => {
                let databases = AtomicU32::new(0);
                Ok(Cluster { socket: folder, port, programs, databases, keeper: Some(self) })
            }
            said => Err(io::Error::other(said.to_owned())),
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.input.take());
        // It ends by itself now; that there is nobody left to wait for is no error worth a failure.
        let _ = self.child.wait();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.take());
    }
}
