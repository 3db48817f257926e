//! Knowledge bases: a folder of Markdown, text and HTML, cut into passages that SQLite's FTS5 ranks by BM25.
//!
//! The index is a file of its own beside the store, made of the documents alone: it is brought up to date before each
//! search, by the documents that have changed since, and made anew when it is damaged or of another version.

mod blocks;
mod folder;
mod html;
mod index;
mod passages;

pub use folder::{Folder, FolderContents};
