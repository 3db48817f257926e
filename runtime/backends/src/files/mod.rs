//! Files of this machine.

mod folder;

pub use folder::{HostFiles, HostFilesConfig};
