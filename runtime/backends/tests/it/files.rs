//! Files of this machine, and every way out of a folder.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wflo_backends::files::{HostFiles, HostFilesConfig};
use wflo_ports::{FileError, FileFailure, FileKind, FilePlace, Files, Opened};

struct Home {
    dir: tempfile::TempDir,
    files: HostFiles,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        fs::create_dir_all(at("data/sub")).unwrap();
        fs::create_dir_all(at(".wflo/keys")).unwrap();
        fs::write(at("secret.txt"), "secret").unwrap();
        fs::write(at(".wflo/keys/seal.key"), "secret").unwrap();
        fs::write(at("data/hello.txt"), "hello").unwrap();
        fs::write(at("data/sub/deep.txt"), "deep").unwrap();
        symlink("hello.txt", at("data/link_in")).unwrap();
        symlink("../hello.txt", at("data/sub/link_up")).unwrap();
        symlink("../secret.txt", at("data/link_out")).unwrap();
        symlink("..", at("data/folder_out")).unwrap();
        symlink(at("secret.txt"), at("data/absolute_link")).unwrap();
        symlink("link_out", at("data/link_to_link")).unwrap();
        symlink("loop_b", at("data/loop_a")).unwrap();
        symlink("loop_a", at("data/loop_b")).unwrap();
        let config = HostFilesConfig { root: dir.path().to_owned(), kept: vec![at(".wflo")] };
        Self { files: HostFiles::new(config), dir }
    }

    fn at(&self, path: &str) -> std::path::PathBuf {
        self.dir.path().join(path)
    }

    async fn open(&self, base: &str, path: &str) -> Result<Opened, FileError> {
        self.files.open(&place("data", base, path), 1 << 20).await
    }
}

fn place(folder: &str, base: &str, path: &str) -> FilePlace {
    FilePlace { folder: folder.parse().unwrap(), base: base.to_owned(), path: path.to_owned(), follow: true }
}

fn text(opened: Result<Opened, FileError>) -> String {
    match opened {
        Ok(Opened::File(octets)) => octets.as_text().unwrap().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_lies_in_the_folder_is_read() {
    let home = Home::new();
    assert_eq!(text(home.open("", "hello.txt").await), "hello");
    assert_eq!(text(home.open("", "sub/deep.txt").await), "deep");
    assert_eq!(text(home.open("sub", "deep.txt").await), "deep");
    assert_eq!(text(home.open("", "link_in").await), "hello");
    assert_eq!(text(home.open("", "sub/link_up").await), "hello");
    assert_eq!(text(home.open("", "sub/../hello.txt").await), "hello");
    assert_eq!(home.open("", "sub").await, Ok(Opened::Folder));
    assert_eq!(home.open("", "").await, Ok(Opened::Folder));

    let entries = home.files.list(&place("data", "", "")).await.unwrap();
    let names: Vec<_> = entries.iter().map(|entry| (entry.name.as_str(), entry.kind)).collect();
    assert_eq!(names[0], ("absolute_link", FileKind::Link));
    assert!(names.is_sorted() && names.contains(&("sub", FileKind::Folder)), "{names:?}");

    let found = home.files.look(&place("data", "", "hello.txt")).await.unwrap();
    assert_eq!((found.kind, found.size), (FileKind::File, 5));
    let link = FilePlace { follow: false, ..place("data", "", "link_out") };
    assert_eq!(home.files.look(&link).await.unwrap().kind, FileKind::Link);
}

#[tokio::test]
async fn nothing_leads_out() {
    let home = Home::new();
    let absolute = home.at("secret.txt");
    for (base, path) in [
        ("", ".."),
        ("", "../secret.txt"),
        ("", "sub/../../secret.txt"),
        ("", "./.././secret.txt"),
        ("", "/etc/passwd"),
        ("", absolute.to_str().unwrap()),
        ("", "link_out"),
        ("", "folder_out/secret.txt"),
        ("", "folder_out"),
        ("", "absolute_link"),
        ("", "link_to_link"),
        ("sub", "../hello.txt"),
        ("sub", "link_up"),
        ("folder_out", "secret.txt"),
        ("..", "secret.txt"),
    ] {
        let opened = home.open(base, path).await;
        assert!(matches!(opened, Err(FileError::Prohibited { .. })), "{base} {path}: {opened:?}");
        let found = home.files.look(&place("data", base, path)).await;
        assert!(matches!(found, Err(FileError::Prohibited { .. })), "{base} {path}: {found:?}");
    }
    assert_eq!(home.open("", "loop_a").await, Err(FileError::Failed(FileFailure::Loop)));
    assert_eq!(home.open("", "none").await, Err(FileError::Failed(FileFailure::NoEntry)));
    assert_eq!(home.open("", "hello.txt/more").await, Err(FileError::Failed(FileFailure::NotFolder)));
}

#[tokio::test]
async fn what_the_host_keeps_is_not_lent() {
    let home = Home::new();
    // A grant cannot name a hidden folder; one that leads there by a link is as far.
    symlink(".wflo", home.at("store")).unwrap();
    symlink("/", home.at("root")).unwrap();
    for folder in ["store", "store/keys", "root", "root/etc"] {
        let opened = home.files.open(&place(folder, "", "seal.key"), 100).await;
        assert!(
            matches!(
                opened,
                Err(FileError::Failed(_) | FileError::Prohibited { .. } | FileError::Unavailable { .. })
            ),
            "{folder}: {opened:?}"
        );
    }
    let around = HostFilesConfig { root: home.dir.path().to_owned(), kept: vec![home.at("data/sub/store")] };
    fs::create_dir(home.at("data/sub/store")).unwrap();
    let opened = HostFiles::new(around).open(&place("data", "", "hello.txt"), 100).await;
    assert!(opened.is_err(), "{opened:?}");
}

#[tokio::test]
async fn what_is_too_large_or_no_file_is_not_opened() {
    let home = Home::new();
    fs::write(home.at("data/large"), vec![b'x'; 101]).unwrap();
    let large = home.files.open(&place("data", "", "large"), 100).await;
    assert_eq!(large, Err(FileError::Failed(FileFailure::TooLarge)));
    // Nobody writes to this pipe: opening it would never come back.
    let made = std::process::Command::new("mkfifo").arg(home.at("data/pipe")).status().unwrap();
    assert!(made.success());
    let pipe = home.open("", "pipe").await;
    assert!(matches!(pipe, Err(FileError::Prohibited { .. })), "{pipe:?}");
    assert!(matches!(home.files.open(&place("gone", "", "a"), 1).await, Err(FileError::Unavailable { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_comes_and_goes_leads_nowhere() {
    let home = Arc::new(Home::new());
    let over = Arc::new(AtomicBool::new(false));
    let swapping = {
        let (home, over) = (Arc::clone(&home), Arc::clone(&over));
        std::thread::spawn(move || {
            let (here, away) = (home.at("data/swap"), home.at("data/swapped"));
            while !over.load(Ordering::Relaxed) {
                fs::write(&away, "hello").unwrap();
                fs::rename(&away, &here).unwrap();
                symlink("../secret.txt", &away).unwrap();
                fs::rename(&away, &here).unwrap();
            }
        })
    };
    let (mut seen, mut tries) = (0, 0);
    // On a machine that has other things to do the one who swaps may not come to it for long.
    while tries < 2_000 || (seen == 0 && tries < 2_000_000) {
        tries += 1;
        match home.open("", "swap").await {
            Ok(Opened::File(octets)) => {
                assert_ne!(octets.as_text(), Some("secret"));
                seen += 1;
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) => {}
        }
    }
    over.store(true, Ordering::Relaxed);
    swapping.join().unwrap();
    assert!(seen > 0, "the file is there half of the time");
}
