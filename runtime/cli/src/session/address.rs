//! Where the holder listens, however long the path of the store is.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The socket, in the state folder.
const SOCKET: &str = "wflo.sock";
/// What it is called until only its owner may use it.
const UNREADY: &str = "wflo.sock.new";
/// Bytes of a path that every system takes for a socket: macOS has the least, 104 with the final zero.
const MAX_PATH: usize = 103;

/// The path of the socket, for people.
pub(crate) fn path(state: &Path) -> PathBuf {
    state.join(SOCKET)
}

/// Listens, for the owner alone. What an earlier holder left behind is replaced.
///
/// Only for whoever has the store's lock: that is why a socket which is there must be a dead one.
pub(crate) fn listen(state: &Path) -> io::Result<UnixListener> {
    remove(&state.join(UNREADY))?;
    let folder = Folder::of(state)?;
    let listener = UnixListener::bind(folder.name(UNREADY))?;
    // Nobody finds it under its name before its permissions are right.
    std::fs::set_permissions(state.join(UNREADY), Permissions::from_mode(0o600))?;
    std::fs::rename(state.join(UNREADY), state.join(SOCKET))?;
    Ok(listener)
}

/// Connects to whoever listens.
pub(crate) fn connect(state: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(Folder::of(state)?.name(SOCKET))
}

/// Takes the socket away; only for its holder.
pub(crate) fn leave(state: &Path) -> io::Result<()> {
    remove(&path(state))
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The state folder by a name that is short enough. The kernel takes about a hundred bytes for the path of a socket,
/// which a folder deep in a home exceeds; an open folder has a short name in `/proc`.
struct Folder {
    name: PathBuf,
    _open: Option<File>,
}

impl Folder {
    fn of(state: &Path) -> io::Result<Self> {
        if state.join(UNREADY).as_os_str().len() <= MAX_PATH {
            return Ok(Self { name: state.to_owned(), _open: None });
        }
        let open = File::open(state)?;
        let name = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()));
        if name.is_dir() {
            return Ok(Self { name, _open: Some(open) });
        }
        let message = format!("the path of the store, `{}`, is too long for a socket", state.display());
        Err(io::Error::new(io::ErrorKind::InvalidFilename, message))
    }

    fn name(&self, file: &str) -> PathBuf {
        self.name.join(file)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::fs::PermissionsExt as _;

    use super::{connect, leave, listen, path};

    #[track_caller]
    fn speaks(state: &std::path::Path) {
        std::fs::create_dir_all(state).unwrap();
        let listener = listen(state).unwrap();
        assert_eq!(std::fs::metadata(path(state)).unwrap().permissions().mode() & 0o777, 0o600);
        let mut client = connect(state).unwrap();
        client.write_all(b"hello").unwrap();
        drop(client);
        let mut heard = String::new();
        listener.accept().unwrap().0.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "hello");
        // A holder that was killed leaves its socket behind: nobody answers there, and the next replaces it.
        drop(listener);
        assert_eq!(connect(state).unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
        drop(listen(state).unwrap());
        leave(state).unwrap();
        leave(state).unwrap();
        assert_eq!(connect(state).unwrap_err().kind(), std::io::ErrorKind::NotFound);
    }

    #[test]
    fn a_short_path_and_a_long_one() {
        let folder = tempfile::tempdir().unwrap();
        speaks(folder.path());
        #[cfg(target_os = "linux")]
        speaks(&folder.path().join("a-folder-with-quite-a-long-name").join("x".repeat(200)));
    }
}
