//! Compiled code on disk, over restarts and damage.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wflo_model::{Content, Limits};
use wflo_sandbox::{
    CodeSettings, CompileError, Compiler, End, LoadError, Program, Sandbox, SandboxConfig, SandboxError,
};

use crate::gate::Recorder;
use crate::guests;

/// Loads a guest in a sandbox of its own, as a new process would, and runs it.
async fn fresh(dir: &Path) -> Arc<Program> {
    let config = SandboxConfig { cache_dir: Some(dir.to_owned()), instances: 2, ..SandboxConfig::default() };
    let program = Sandbox::new(config).unwrap().load(&guests::component("odd").into()).await.unwrap();
    let ended = program.run("ok", Box::new(Recorder::default()), &Limits::default()).await;
    assert!(matches!(ended.end, End::Output(_)), "{:?}", ended.end);
    program
}

fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

#[tokio::test]
async fn code_is_compiled_once_and_anew_when_damaged() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("code");
    assert!(!fresh(&dir).await.from_cache());
    assert!(fresh(&dir).await.from_cache());

    let [code] = files(&dir, "cwasm").try_into().unwrap();
    let sound = fs::read(&code).unwrap();
    let mut damaged = sound.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 64].iter_mut().for_each(|byte| *byte = !*byte);
    for bad in [damaged.as_slice(), &sound[..middle], b""] {
        // As a broken disk would: a mapped file is never written, this one is nobody's any more.
        fs::remove_file(&code).unwrap();
        fs::write(&code, bad).unwrap();
        assert!(!fresh(&dir).await.from_cache());
        assert!(fresh(&dir).await.from_cache());
    }

    let [checksum] = files(&dir, "sha256").try_into().unwrap();
    fs::remove_file(checksum).unwrap();
    assert!(!fresh(&dir).await.from_cache());
    assert!(files(&dir, "tmp").is_empty());
}

#[tokio::test]
async fn a_sandbox_loads_a_component_once() {
    let sandbox = Sandbox::new(SandboxConfig { instances: 1, ..SandboxConfig::default() }).unwrap();
    let bytes: Content = guests::component("stranger").into();
    let (first, second) = tokio::join!(sandbox.load(&bytes), sandbox.load(&bytes));
    assert!(Arc::ptr_eq(&first.unwrap(), &second.unwrap()));
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_is_not_followed() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("code");
    fresh(&dir).await;
    let [code] = files(&dir, "cwasm").try_into().unwrap();
    fs::remove_file(&code).unwrap();
    // It has no end.
    std::os::unix::fs::symlink("/dev/zero", &code).unwrap();
    assert!(!fresh(&dir).await.from_cache());
    assert!(fresh(&dir).await.from_cache());
}

#[cfg(unix)]
#[tokio::test]
async fn the_folder_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("open");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
    fresh(&dir).await;
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    let config =
        SandboxConfig { cache_dir: Some(file.join("code")), instances: 1, ..SandboxConfig::default() };
    assert!(matches!(Sandbox::new(config), Err(SandboxError::CacheDir { .. })));
}

#[tokio::test]
async fn what_was_not_used_for_longest_goes_when_the_folder_is_full() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("code");
    let load = async |guest: &str, cache_bytes: u64| {
        let config = SandboxConfig {
            cache_dir: Some(dir.clone()),
            instances: 1,
            cache_bytes,
            ..SandboxConfig::default()
        };
        Sandbox::new(config).unwrap().load(&guests::component(guest).into()).await.unwrap().from_cache()
    };
    let bytes = || files(&dir, "cwasm").iter().map(|path| fs::metadata(path).unwrap().len()).sum::<u64>();
    assert!(!load("odd", 1 << 30).await && !load("stranger", 1 << 30).await);
    // It is used once more, and so the other is the older one.
    assert!(load("odd", 1 << 30).await);
    let before = bytes();
    assert!(!load("reader", 1 << 30).await);
    let all = bytes();
    fs::remove_dir_all(&dir).unwrap();
    assert!(!load("odd", 1 << 30).await && !load("stranger", 1 << 30).await);
    assert!(load("odd", 1 << 30).await && bytes() == before);
    // One byte too few for all three.
    assert!(!load("reader", all - 1).await);
    assert!(load("odd", 1 << 30).await && load("reader", 1 << 30).await && bytes() < all);
    assert!(!load("stranger", 1 << 30).await);
    // What is written just now stays, however little room there is.
    assert!(!load("pacer", 0).await);
    assert_eq!((files(&dir, "cwasm").len(), files(&dir, "sha256").len()), (1, 1));
    assert!(load("pacer", 0).await);
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_a_link_is_not_used() {
    let home = tempfile::tempdir().unwrap();
    let (real, link) = (home.path().join("real"), home.path().join("link"));
    fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let config = SandboxConfig { cache_dir: Some(link), instances: 1, ..SandboxConfig::default() };
    assert!(matches!(Sandbox::new(config), Err(SandboxError::CacheDir { .. })));
}

#[tokio::test]
async fn who_supplies_a_compiler_has_it_asked_and_only_for_what_is_not_kept() {
    struct Refuses;

    impl Compiler for Refuses {
        fn compile(&self, settings: &CodeSettings, component: &[u8]) -> Result<Vec<u8>, CompileError> {
            let message = format!("{} bytes for {}", component.len(), settings.max_memory >> 20);
            Err(CompileError::Invalid { message })
        }
    }

    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("code");
    let config = SandboxConfig { cache_dir: Some(dir.clone()), instances: 2, ..SandboxConfig::default() };
    let sandbox = Sandbox::with_compiler(config.clone(), Arc::new(Refuses)).unwrap();
    let refused = sandbox.load(&b"component"[..].into()).await.map(|_| ());
    assert!(matches!(&refused, Err(LoadError::Compile { .. })), "{refused:?}");
    assert!(refused.unwrap_err().to_string().contains("9 bytes for 512"));
    fresh(&dir).await;
    let sandbox = Sandbox::with_compiler(config, Arc::new(Refuses)).unwrap();
    assert!(sandbox.load(&guests::component("odd").into()).await.unwrap().from_cache());
}
