//! The folder a store lives in: its lock, its format, its generation.
//!
//! `STATE/{FORMAT, CURRENT, MARK, lock, seal.key, gen-0001/{log/, index/}, blobs/}`. `FORMAT` is written last when a store is made, and
//! a file `creating` stands there until then; so a folder without `FORMAT` either holds a store whose making was
//! cut short and which never acknowledged anything, or is no store.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use wflo_model::StoreId;

use super::log::LOG;
use super::sync::SyncHook;
use crate::error::OpenError;

const FORMAT: &str = "FORMAT";
const CURRENT: &str = "CURRENT";
const MARK: &str = "MARK";
const LOCK: &str = "lock";
const CREATING: &str = "creating";
const FIRST_GENERATION: &str = "gen-0001";
/// The format this version writes.
const VERSION: u32 = 3;
/// The first format whose generations have a log. The records of that one's say every value as a whole, and are read as
/// those of this one are.
const WITH_LOG: u32 = 2;
/// The first format, in which a generation is sled's files and nothing else. It is read, and turned into this one.
const FIRST: u32 = 1;

/// How long to wait for a lock that only a copy of a file of ours can hold.
const PATIENCE: Duration = Duration::from_millis(100);

/// The folder, locked for as long as this lives.
pub(crate) struct StateDir {
    path: PathBuf,
    _lock: File,
}

/// What the folder holds.
pub(crate) enum Contents {
    /// A store of this id, in this generation's folder.
    Store(StoreId, PathBuf),
    /// The same of the version before: the folder is sled's.
    Version1(StoreId, PathBuf),
    /// Nothing yet.
    Nothing,
}

/// What a store holds at least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marked {
    /// Groups in its log.
    pub(crate) writes: u64,
    /// Checkpoints that its index has seen.
    pub(crate) checkpoint: u64,
}

/// Why another generation is not in use, or may not be.
pub(crate) enum Switch {
    /// The one before is.
    Not(io::Error),
    /// Either is, after the folder is opened again.
    Unknown(io::Error),
}

impl StateDir {
    /// Locks the folder, which is made if need be, and says what is in it.
    pub(crate) fn open(path: &Path) -> Result<(Self, Contents), OpenError> {
        create_private_dir(path).map_err(at(path))?;
        let lock = lock(path)?;
        keep_to_owner(path)?;
        let dir = Self { path: path.to_owned(), _lock: lock };
        let contents = dir.contents()?;
        Ok((dir, contents))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn contents(&self) -> Result<Contents, OpenError> {
        let not_a_store =
            |what: &str| OpenError::NotAStore { path: self.path.clone(), what: what.to_owned() };
        let wiped = |what: String| OpenError::Wiped { path: self.path.clone(), what };
        let format = self.path.join(FORMAT);
        let Some(text) = read_small(&format).map_err(at(&format))? else {
            let creating = self.path.join(CREATING).exists();
            let generation = self.generations().map_err(at(&self.path))?;
            if !creating && (!generation.is_empty() || self.path.join(CURRENT).exists()) {
                return Err(not_a_store("there are data of a store, but `FORMAT` is missing"));
            }
            return Ok(Contents::Nothing);
        };
        let mut lines = text.lines();
        let version = lines.next().and_then(|line| line.strip_prefix("wflo store "));
        let version = version.and_then(|text| text.parse::<u32>().ok());
        let version = version.ok_or_else(|| not_a_store("`FORMAT` has no line `wflo store N`"))?;
        if !(FIRST..=VERSION).contains(&version) {
            return Err(OpenError::NewerFormat { path: self.path.clone(), found: version, known: VERSION });
        }
        let id = lines.next().and_then(|line| line.strip_prefix("id ")).and_then(|text| text.parse().ok());
        let id = id.ok_or_else(|| not_a_store("`FORMAT` has no line `id STORE`"))?;
        let current = self.path.join(CURRENT);
        let name = read_small(&current).map_err(at(&current))?;
        let name = name.ok_or_else(|| wiped("`CURRENT` is missing".to_owned()))?;
        let name = name.trim_end();
        if !is_generation(name) {
            return Err(not_a_store("`CURRENT` names no generation"));
        }
        let generation = self.path.join(name);
        let has_log = generation.join(LOG).is_dir();
        if version >= WITH_LOG && !has_log {
            return Err(wiped(format!("`{name}/{LOG}` is missing")));
        }
        if !has_log && !generation.join("db").is_file() {
            return Err(wiped(format!("`{name}/db` is missing")));
        }
        remove_if_there(&self.path.join(CREATING)).map_err(at(&self.path))?;
        self.remove_others(&generation).map_err(at(&self.path))?;
        if !has_log {
            return Ok(Contents::Version1(id, generation));
        }
        if version < VERSION {
            // From here on there may be records that the version before cannot read; or it was turned into this version,
            // and died before it said so.
            self.write_format(id).map_err(at(&self.path))?;
        }
        Ok(Contents::Store(id, generation))
    }

    /// Says which version the store has.
    pub(crate) fn write_format(&self, id: StoreId) -> io::Result<()> {
        write_durably(&self.path.join(FORMAT), format!("wflo store {VERSION}\nid {id}\n").as_bytes())
    }

    /// Begins to make a store; gives the folder of its first generation. What an earlier attempt left is removed:
    /// it never came to `FORMAT`, so nothing in it was ever acknowledged.
    pub(crate) fn begin(&self) -> Result<PathBuf, OpenError> {
        let begin = || -> io::Result<PathBuf> {
            write_durably(&self.path.join(CREATING), b"")?;
            for left in self.generations()? {
                fs::remove_dir_all(left)?;
            }
            let generation = self.path.join(FIRST_GENERATION);
            create_private_dir(&generation)?;
            Ok(generation)
        };
        begin().map_err(at(&self.path))
    }

    /// Ends the making of a store; the commit point is the rename to `FORMAT`.
    pub(crate) fn finish(&self, id: StoreId) -> Result<(), OpenError> {
        let finish = || -> io::Result<()> {
            write_durably(&self.path.join(CURRENT), format!("{FIRST_GENERATION}\n").as_bytes())?;
            self.write_format(id)?;
            remove_if_there(&self.path.join(CREATING))?;
            // The folder itself must be found again too.
            self.path.canonicalize()?.parent().map_or(Ok(()), sync_dir)
        };
        finish().map_err(at(&self.path))
    }

    /// Makes the folder of the generation after the one in use. What an earlier attempt left there goes.
    pub(crate) fn next_generation(&self, hook: &dyn SyncHook) -> io::Result<PathBuf> {
        let current = read_small(&self.path.join(CURRENT))?.ok_or(io::ErrorKind::NotFound)?;
        let number = current.trim_end().strip_prefix("gen-").and_then(|number| number.parse::<u32>().ok());
        // After the last number comes the first: only one generation is there at a time.
        let next = number.ok_or(io::ErrorKind::InvalidData)? % 9999 + 1;
        let path = self.path.join(format!("gen-{next:04}"));
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        create_private_dir(&path)?;
        self.sync(hook)?;
        Ok(path)
    }

    /// Puts a generation, durable and whole, in the place of the one in use. The commit point is the rename to
    /// `CURRENT`, and the sync of the folder after it.
    pub(crate) fn switch(&self, generation: &Path, hook: &dyn SyncHook) -> Result<(), Switch> {
        let name = generation.file_name().and_then(|name| name.to_str()).expect("a generation has a name");
        let temporary = self.path.join(CURRENT).with_extension("tmp");
        let write = || -> io::Result<()> {
            let mut file = private_file().create(true).truncate(true).open(&temporary)?;
            file.write_all(format!("{name}\n").as_bytes())?;
            hook.before_sync()?;
            file.sync_all()?;
            hook.after_sync()?;
            fs::rename(&temporary, self.path.join(CURRENT))
        };
        write().map_err(Switch::Not)?;
        self.sync(hook).map_err(Switch::Unknown)
    }

    /// Makes the names in the folder durable.
    pub(crate) fn sync(&self, hook: &dyn SyncHook) -> io::Result<()> {
        hook.before_sync()?;
        sync_dir(&self.path)?;
        hook.after_sync()
    }

    /// Notes what the store has, all of it durable: it may never have less.
    pub(crate) fn mark(&self, marked: Marked) -> io::Result<()> {
        let Marked { writes, checkpoint } = marked;
        let text = format!("writes {writes}\ncheckpoint {checkpoint}\n");
        write_durably(&self.path.join(MARK), text.as_bytes())
    }

    /// What the store must have; nothing where nothing was noted, or where the note was removed.
    pub(crate) fn marked(&self) -> Result<Marked, OpenError> {
        let path = self.path.join(MARK);
        let Some(text) = read_small(&path).map_err(at(&path))? else { return Ok(Marked::default()) };
        let damaged = |line: &str| OpenError::Corrupt {
            path: path.clone(),
            what: format!("it has no line `{line} N`"),
        };
        let number = |line: &str| {
            let mut numbers = text.lines().filter_map(|it| it.strip_prefix(line)?.strip_prefix(' '));
            numbers.next().map(|number| number.parse::<u64>().map_err(|_| damaged(line))).transpose()
        };
        let writes = number("writes")?.ok_or_else(|| damaged("writes"))?;
        // Version 1 had no other line.
        Ok(Marked { writes, checkpoint: number("checkpoint")?.unwrap_or_default() })
    }

    /// Removes the generations that are not in use: one that was not switched to, or one whose removal was cut short.
    fn remove_others(&self, current: &Path) -> io::Result<()> {
        let others = self.generations()?.into_iter().filter(|path| path != current).collect::<Vec<_>>();
        if others.is_empty() {
            return Ok(());
        }
        // The switch was seen, but may not be durable: only then may the other one go.
        sync_dir(&self.path)?;
        for other in others {
            tracing::info!(path = %other.display(), "removing a generation that is not in use");
            fs::remove_dir_all(other)?;
        }
        sync_dir(&self.path)
    }

    fn generations(&self) -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(is_generation) {
                found.push(entry.path());
            }
        }
        Ok(found)
    }
}

fn is_generation(name: &str) -> bool {
    name.strip_prefix("gen-").is_some_and(|n| n.len() == 4 && n.bytes().all(|byte| byte.is_ascii_digit()))
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let file_path = path.join(LOCK);
    let io = at(&file_path);
    let mut file = private_file().read(true).create(true).open(&file_path).map_err(&io)?;
    let patience = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let by = (&mut file)
                    .take(32)
                    .read_to_string(&mut text)
                    .ok()
                    .and_then(|_| text.trim().parse().ok());
                // A process that is being started has a copy of every file of this one, until it runs its own
                // program: a store that this process has closed may be locked by that for a moment.
                if by != Some(std::process::id()) || Instant::now() >= patience {
                    return Err(OpenError::Locked { path: path.to_owned(), by });
                }
                file.rewind().map_err(&io)?;
                std::thread::sleep(PATIENCE / 20);
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
    }
    // The number only serves the message of a process that finds the lock taken.
    let mut note = || -> io::Result<()> {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    note().map_err(&io)?;
    Ok(file)
}

/// Takes the rights of others to a folder away, where they have any. Whoever may write in it could put a key, a socket or
/// compiled code of their own in the place of ours, whatever the rights to those are.
#[cfg(unix)]
fn keep_to_owner(path: &Path) -> Result<(), OpenError> {
    use std::os::unix::fs::PermissionsExt as _;

    let mode = fs::metadata(path).map_err(at(path))?.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    match fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o7700)) {
        Ok(()) => {
            tracing::warn!(path = %path.display(), "others had rights to the state folder: mode {mode:04o}");
            Ok(())
        }
        // To see the names of files that nobody else can open does no harm.
        Err(_) if mode & 0o022 == 0 => Ok(()),
        Err(_) => Err(OpenError::Shared { path: path.to_owned(), mode }),
    }
}

#[cfg(not(unix))]
fn keep_to_owner(_path: &Path) -> Result<(), OpenError> {
    Ok(())
}

/// Makes a folder, with those above it, that only its owner can enter. One that is there stays as it is.
pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Options for writing a file that only its owner can read.
pub(crate) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes the names in a folder durable.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = private_file().create(true).truncate(true).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    path.parent().map_or(Ok(()), sync_dir)
}

fn read_small(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> OpenError + use<> {
    let path = path.to_owned();
    move |source| OpenError::Io { path: path.clone(), source }
}
