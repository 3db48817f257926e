//! A folder of documents.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt as _};
use wflo_model::{Digest, Label};
use wflo_ports::{Knowledge, KnowledgeError, Passage};

use super::blocks::{markdown, plain};
use super::html::html;
use super::index::{Document, Index, Stamp};
use super::passages::passages;

/// Most documents of a folder, and those below it.
const MOST_DOCUMENTS: usize = 20_000;
/// Most bytes of one.
const LARGEST: u64 = 8 << 20;
/// How deep folders may lie in each other.
const DEEPEST: usize = 16;

/// A folder of Markdown (`.md`, `.markdown`), text (`.txt`) and HTML (`.html`, `.htm`), searched by words.
///
/// Each search first looks at what has changed in the folder since the last one, so that what a person writes into it is
/// found at once; what has not changed is not read again. Names that begin with a full stop are left out, and so is what
/// links lead to outside of the folder. Several processes may share an index.
///
/// ```
/// use std::sync::Arc;
/// use wflo_backends::knowledge::Folder;
/// use wflo_ports::Knowledge;
/// let help: Arc<dyn Knowledge> = Arc::new(Folder::new("kb", Some("/srv/wflo/knowledge".into()), &"help".parse().unwrap()));
/// ```
#[derive(Clone)]
pub struct Folder(Arc<Shared>);

struct Shared {
    folder: PathBuf,
    /// Where its index is; none for one in memory.
    file: Option<PathBuf>,
    index: Mutex<Option<Index>>,
}

/// What a folder holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FolderContents {
    /// How many documents there are.
    pub documents: usize,
}

impl Folder {
    /// The documents in `folder`, whose index is kept in the folder `indexes`, or in memory; opens nothing yet.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, indexes: Option<PathBuf>, label: &Label) -> Self {
        let folder = folder.into();
        // Two folders under one label, of two deployments, have an index each.
        let place = std::path::absolute(&folder).unwrap_or_else(|_| folder.clone());
        let digest = Digest::of(place.as_os_str().as_encoded_bytes()).hex();
        let file = indexes.map(|indexes| indexes.join(format!("{label}-{}.db", &digest[..16])));
        Self(Arc::new(Shared { folder, file, index: Mutex::default() }))
    }

    /// Looks at a folder, and says what is wrong with it in words that follow its name.
    ///
    /// # Errors
    /// Why it cannot be searched.
    pub fn look(folder: &Path) -> Result<FolderContents, String> {
        if !folder.exists() {
            return Err("is not there".to_owned());
        }
        if !folder.is_dir() {
            return Err("is no folder".to_owned());
        }
        let found = Dir::open_ambient_dir(folder, ambient_authority()).map_err(|error| error.to_string());
        let found = found.and_then(|dir| list(&dir).map_err(|error| error.to_string()));
        let found = found.map_err(|error| format!("cannot be read: {error}"))?;
        Ok(FolderContents { documents: found.len() })
    }
}

impl Shared {
    fn search(&self, query: &str, top: usize) -> Result<Vec<Passage>, KnowledgeError> {
        // An index that somebody panicked with is opened anew.
        let mut guard = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let mut index = match guard.take() {
            Some(index) => index,
            None => self.open()?,
        };
        self.update(&mut index)?;
        let found = index.search(query, top).map_err(Failed::from)?;
        *guard = Some(index);
        Ok(found)
    }

    fn open(&self) -> Result<Index, KnowledgeError> {
        let Some(file) = &self.file else { return Ok(Index::in_memory().map_err(Failed::from)?) };
        if let Some(indexes) = file.parent() {
            // It holds what the documents hold.
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(indexes);
            made.map_err(|error| unavailable(&indexes.display(), &error))?;
        }
        Ok(Index::open(file).map_err(Failed::from)?)
    }

    /// Brings the index to what the folder holds now.
    fn update(&self, index: &mut Index) -> Result<(), KnowledgeError> {
        let dir = Dir::open_ambient_dir(&self.folder, ambient_authority())
            .map_err(|error| unavailable(&self.folder.display(), &error))?;
        let found = list(&dir)?;
        if index.stamps().map_err(Failed::from)? == found {
            return Ok(());
        }
        Ok(index.update(&found, |path| read(&dir, path).map_err(Failed))?)
    }
}

#[async_trait]
impl Knowledge for Folder {
    async fn search(&self, query: &str, top: usize) -> Result<Vec<Passage>, KnowledgeError> {
        let (shared, query) = (Arc::clone(&self.0), query.to_owned());
        // It waits for disks, and for other processes.
        let searching = tokio::task::spawn_blocking(move || shared.search(&query, top));
        searching
            .await
            .unwrap_or_else(|error| Err(KnowledgeError::Unavailable { message: error.to_string() }))
    }
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Folder").field(&self.0.folder).finish()
    }
}

/// What went wrong, whether with the documents or with the index.
struct Failed(KnowledgeError);

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self(KnowledgeError::Unavailable { message: format!("the index: {error}") })
    }
}

impl From<Failed> for KnowledgeError {
    fn from(Failed(error): Failed) -> Self {
        error
    }
}

fn unavailable(what: &dyn fmt::Display, error: &std::io::Error) -> KnowledgeError {
    KnowledgeError::Unavailable { message: format!("`{what}`: {error}") }
}

/// What a document is written in, by its name.
#[derive(Clone, Copy)]
enum Form {
    Markdown,
    Plain,
    Html,
}

fn form(name: &str) -> Option<Form> {
    let (stem, ending) = name.rsplit_once('.')?;
    match ending.to_ascii_lowercase().as_str() {
        _ if stem.is_empty() => None,
        "md" | "markdown" => Some(Form::Markdown),
        "txt" | "text" => Some(Form::Plain),
        "html" | "htm" => Some(Form::Html),
        _ => None,
    }
}

/// The documents below a folder, by path.
fn list(dir: &Dir) -> Result<BTreeMap<String, Stamp>, KnowledgeError> {
    let mut found = BTreeMap::new();
    let mut folders = vec![(String::new(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let shown = if folder.is_empty() { "." } else { folder.as_str() };
        let failed = |error: std::io::Error| unavailable(&shown, &error);
        for entry in dir.read_dir(shown).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
            let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            // Through the folder, so that no link leads out of it.
            let Ok(metadata) = dir.metadata(&path) else {
                tracing::warn!(%path, "a document leads out of its folder, or nowhere");
                continue;
            };
            if metadata.is_dir() && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if depth < DEEPEST {
                    folders.push((path, depth + 1));
                }
            } else if metadata.is_file() && form(name).is_some() {
                if metadata.len() > LARGEST {
                    let message = format!("`{path}` has {} bytes, and {LARGEST} is the most", metadata.len());
                    return Err(KnowledgeError::TooLarge { message });
                }
                let modified = metadata.mtime().saturating_mul(1_000_000_000) + metadata.mtime_nsec();
                let size = i64::try_from(metadata.len()).unwrap_or(i64::MAX);
                found.insert(path, Stamp { modified, size });
                if found.len() > MOST_DOCUMENTS {
                    let message = format!("there are more than {MOST_DOCUMENTS} documents");
                    return Err(KnowledgeError::TooLarge { message });
                }
            }
        }
    }
    Ok(found)
}

/// Reads a document.
fn read(dir: &Dir, path: &str) -> Result<Document, KnowledgeError> {
    let failed = |error: std::io::Error| unavailable(&path, &error);
    let mut bytes = Vec::new();
    dir.open(path).map_err(failed)?.take(LARGEST).read_to_end(&mut bytes).map_err(failed)?;
    let text = String::from_utf8_lossy(&bytes);
    let name = path.rsplit('/').next().unwrap_or(path);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let blocks = match form(name) {
        Some(Form::Markdown) => markdown(&text),
        Some(Form::Html) => html(&text),
        _ => plain(&text),
    };
    Ok(Document { digest: Digest::of(&bytes), pieces: passages(stem, blocks) })
}
