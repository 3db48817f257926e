//! Copies of a working copy, and files put into it.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use wflo_model::Digest;
use wflo_ports::{ConfigurationPath, TerraformError};

use super::blocks::state_override;

/// Most files of a working copy, and most bytes of all of them together: it is copied for every plan.
const MOST_FILES: u64 = 10_000;
const MOST_BYTES: u64 = 256 << 20;

/// What is to be in a file, or that there is to be none.
pub(super) type Contents = BTreeMap<ConfigurationPath, Option<String>>;

/// Copies the working copy to `to`, which is not there, with some files in the place of its own. Its state and what is
/// kept for it are not part of the copy; what terraform has installed in it is, but for providers.
pub(super) fn copy(dir: &Path, to: &Path, contents: &Contents) -> Result<(), TerraformError> {
    let failed = |error: io::Error| unavailable(dir, &error);
    let mut budget = Budget { files: 0, bytes: 0 };
    std::fs::create_dir_all(to).map_err(failed)?;
    tree(dir, to, is_copied, &mut budget)?;
    let installed = dir.join(".terraform");
    if installed.is_dir() {
        let target = to.join(".terraform");
        std::fs::create_dir_all(&target).map_err(failed)?;
        tree(&installed, &target, |name| name != "providers", &mut budget)?;
    }
    write(to, contents)?;
    // Which backend it names is what is in the copy; the state is the working copy's.
    if let Some(text) = state_override(to, dir)? {
        std::fs::write(to.join(ConfigurationPath::KEPT), text).map_err(failed)?;
    }
    Ok(())
}

struct Budget {
    files: u64,
    bytes: u64,
}

fn is_copied(name: &str) -> bool {
    !matches!(name, ".wflo" | ".terraform" | ".git" | ".terraform.tfstate.lock.info" | "terraform.tfstate.d")
        && !name.ends_with(".tfstate")
        && !name.contains(".tfstate.")
}

fn tree(
    from: &Path,
    to: &Path,
    is_copied: fn(&str) -> bool,
    budget: &mut Budget,
) -> Result<(), TerraformError> {
    let failed = |error: io::Error| unavailable(from, &error);
    for entry in from.read_dir().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        if !name.to_str().is_some_and(is_copied) {
            continue;
        }
        let (source, target) = (entry.path(), to.join(&name));
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            std::fs::create_dir_all(&target).map_err(failed)?;
            tree(&source, &target, is_copied, budget)?;
        } else if kind.is_symlink() {
            // It leads to where it led; what a step brings is never written through it.
            if let Ok(real) = source.canonicalize() {
                symlink(real, &target).map_err(failed)?;
            }
        } else if kind.is_file() {
            budget.files += 1;
            budget.bytes += entry.metadata().map_err(failed)?.len();
            if budget.files > MOST_FILES || budget.bytes > MOST_BYTES {
                let message =
                    format!("the working copy has more than {MOST_FILES} files or {MOST_BYTES} bytes");
                return Err(TerraformError::Limit { message });
            }
            std::fs::copy(&source, &target).map_err(failed)?;
        }
    }
    Ok(())
}

/// Puts contents into a folder, file by file; each takes its place as a whole. No link leads out of the folder.
pub(super) fn write(folder: &Path, contents: &Contents) -> Result<(), TerraformError> {
    if contents.is_empty() {
        return Ok(());
    }
    let root = open(folder)?;
    for (path, content) in contents {
        let put = match content {
            Some(content) => replace(&root, path.as_str(), content),
            None => match root.remove_file(path.as_str()) {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                other => other,
            },
        };
        put.map_err(|error| unavailable(&folder.join(path.as_str()), &error))?;
    }
    Ok(())
}

fn replace(root: &Dir, path: &str, content: &str) -> io::Result<()> {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    if !parent.is_empty() {
        root.create_dir_all(parent)?;
    }
    let new = if parent.is_empty() { format!(".{name}.wflo") } else { format!("{parent}/.{name}.wflo") };
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let mut file = root.open_with(&new, &options)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    root.rename(&new, root, path)
}

/// What is in these files now; none where there is no such file.
pub(super) fn read<'a>(
    folder: &Path,
    paths: impl IntoIterator<Item = &'a ConfigurationPath>,
) -> Result<Contents, TerraformError> {
    let root = open(folder)?;
    let mut contents = Contents::new();
    for path in paths {
        let content = match root.read_to_string(path.as_str()) {
            Ok(content) => Some(content),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => None,
            Err(error) => return Err(unavailable(&folder.join(path.as_str()), &error)),
        };
        contents.insert(path.clone(), content);
    }
    Ok(contents)
}

fn open(folder: &Path) -> Result<Dir, TerraformError> {
    Dir::open_ambient_dir(folder, ambient_authority()).map_err(|error| unavailable(folder, &error))
}

/// The digest of all that terraform would read in a working copy: paths and contents, in order.
pub(super) fn configuration(dir: &Path) -> Result<Digest, TerraformError> {
    let mut files = Vec::new();
    list(dir, dir, &mut files)?;
    files.sort();
    let mut parts: Vec<Vec<u8>> = vec![b"wflo terraform configuration".to_vec()];
    for path in files {
        let content = std::fs::read(dir.join(&path)).map_err(|error| unavailable(&path, &error))?;
        parts.push(path.to_string_lossy().into_owned().into_bytes());
        parts.push(content);
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    Ok(Digest::of_parts(&parts))
}

fn list(dir: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), TerraformError> {
    let failed = |error: io::Error| unavailable(folder, &error);
    for entry in folder.read_dir().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
        let kind = entry.file_type().map_err(failed)?;
        let ends = [".tf", ".tf.json", ".tfvars", ".tfvars.json"];
        if kind.is_dir() {
            list(dir, &entry.path(), files)?;
        } else if ends.iter().any(|end| name.ends_with(end)) {
            let path = entry.path();
            files.push(path.strip_prefix(dir).unwrap_or(&path).to_owned());
        }
    }
    Ok(())
}

pub(super) fn unavailable(path: &Path, error: &io::Error) -> TerraformError {
    TerraformError::Unavailable { message: format!("`{}`: {error}", path.display()) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::{Contents, configuration, copy, read, write};

    fn contents(files: &[(&str, Option<&str>)]) -> Contents {
        files.iter().map(|(path, content)| (path.parse().unwrap(), content.map(str::to_owned))).collect()
    }

    fn working_copy() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            ("main.tf", "output \"a\" { value = 1 }"),
            ("modules/web/main.tf", "locals {}"),
            ("terraform.tfstate", "{}"),
            ("terraform.tfstate.backup", "{}"),
            (".terraform/modules/modules.json", "{}"),
            (".terraform/providers/p", "a program"),
            (".wflo/lock", ""),
            ("run.sh", "echo"),
        ];
        for (path, content) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        folder
    }

    fn has(folder: &Path, path: &str) -> bool {
        folder.join(path).exists()
    }

    #[test]
    fn a_copy_has_the_configuration_and_not_the_state() {
        let (dir, to) = (working_copy(), tempfile::tempdir().unwrap());
        let to = to.path().join("tree");
        copy(dir.path(), &to, &contents(&[("new.tf", Some("locals {}")), ("main.tf", None)])).unwrap();
        for there in
            ["new.tf", "modules/web/main.tf", "run.sh", ".terraform/modules/modules.json", "wflo_override.tf"]
        {
            assert!(has(&to, there), "{there}");
        }
        for not in
            ["main.tf", "terraform.tfstate", "terraform.tfstate.backup", ".terraform/providers", ".wflo"]
        {
            assert!(!has(&to, not), "{not}");
        }
        let state = std::fs::read_to_string(to.join("wflo_override.tf")).unwrap();
        let path = dir.path().join("terraform.tfstate").display().to_string();
        assert!(state.contains(&format!("\"{path}\"")), "{state}");
    }

    #[test]
    fn a_backend_elsewhere_stays_and_a_local_one_is_that_of_the_working_copy() {
        for (text, expect) in [
            ("terraform {\n backend \"s3\" {}\n}", None),
            ("terraform {\n backend \"local\" { path = \"prod.tfstate\" }\n}", Some("prod.tfstate")),
        ] {
            let (dir, to) = (working_copy(), tempfile::tempdir().unwrap());
            std::fs::write(dir.path().join("backend.tf"), text).unwrap();
            let to = to.path().join("tree");
            copy(dir.path(), &to, &Contents::new()).unwrap();
            let state = std::fs::read_to_string(to.join("wflo_override.tf")).ok();
            let path = expect.map(|path| dir.path().join(path).display().to_string());
            assert_eq!(state.is_some(), path.is_some());
            assert!(path.is_none_or(|path| state.unwrap().contains(&path)));
        }
    }

    #[test]
    fn no_link_leads_what_is_written_out_of_the_folder() {
        let (dir, out) = (working_copy(), tempfile::tempdir().unwrap());
        symlink(out.path(), dir.path().join("linked")).unwrap();
        std::fs::write(out.path().join("victim.tf"), "locals {}").unwrap();
        symlink(out.path().join("victim.tf"), dir.path().join("victim.tf")).unwrap();
        assert!(write(dir.path(), &contents(&[("linked/main.tf", Some("x"))])).is_err());
        assert!(read(dir.path(), [&"linked/victim.tf".parse().unwrap()]).is_err());
        // The link itself is replaced.
        write(dir.path(), &contents(&[("victim.tf", Some("output"))])).unwrap();
        assert_eq!(std::fs::read_to_string(out.path().join("victim.tf")).unwrap(), "locals {}");
        assert!(!has(out.path(), "main.tf"));
    }

    #[test]
    fn the_digest_of_a_configuration_is_of_what_terraform_reads() {
        let dir = working_copy();
        let first = configuration(dir.path()).unwrap();
        std::fs::write(dir.path().join("run.sh"), "other").unwrap();
        std::fs::write(dir.path().join("terraform.tfstate"), "other").unwrap();
        assert_eq!(configuration(dir.path()).unwrap(), first);
        let before = read(dir.path(), [&"modules/web/main.tf".parse().unwrap()]).unwrap();
        write(dir.path(), &contents(&[("modules/web/main.tf", Some("other"))])).unwrap();
        assert_ne!(configuration(dir.path()).unwrap(), first);
        write(dir.path(), &before).unwrap();
        assert_eq!(configuration(dir.path()).unwrap(), first);
    }
}
