//! Folders of documents, searched.

use std::path::Path;

use tempfile::TempDir;
use wflo_backends::knowledge::Folder;
use wflo_ports::{Knowledge, KnowledgeError};

/// A folder with what it says about returns.
fn shop() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir_all(folder.path().join("kb/more/.git")).unwrap();
    write(
        "kb/returns.md",
        "# Returns\n\nAnything can be returned within 30 days.\n\n## Shoes\n\nWorn shoes are not taken back.\n",
    );
    write("kb/opening.txt", "The shop is open from nine to six.\n\nOn Sundays it is closed.\n");
    write(
        "kb/more/shipping.html",
        "<title>Shipping</title><h2>Abroad</h2><p>We send parcels to Zürich in three days.</p>",
    );
    write("kb/more/.git/config.txt", "returns secret");
    write("kb/photo.jpg", "returns");
    write("outside.txt", "returns secret");
    folder
}

fn open(folder: &TempDir) -> Folder {
    let (kb, indexes) = (folder.path().join("kb"), folder.path().join("state/knowledge"));
    Folder::new(kb, Some(indexes), &"help".parse().unwrap())
}

async fn sources(kb: &Folder, query: &str) -> Vec<String> {
    let found = kb.search(query, 10).await.unwrap();
    assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score), "{found:?}");
    assert!(found.iter().all(|it| it.score > 0.0), "{found:?}");
    found.into_iter().map(|it| it.source).collect()
}

#[tokio::test]
async fn what_fits_best_comes_first_with_where_it_stands() {
    let folder = shop();
    let kb = open(&folder);
    let found = kb.search("May I return WORN shoes?", 2).await.unwrap();
    assert_eq!((found[0].source.as_str(), found[0].title.as_str()), ("returns.md#2", "Returns > Shoes"));
    assert_eq!(found[0].text, "Worn shoes are not taken back.");
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(sources(&kb, "closed on sunday").await[0], "opening.txt#1");
    // Words are found in other forms, and without their accents.
    assert_eq!(sources(&kb, "parcel zurich").await, ["more/shipping.html#1"]);
    assert!(sources(&kb, "secret").await.is_empty(), "what is hidden, or beside the folder, is not found");
    assert!(sources(&kb, "?").await.is_empty());
    for query in
        ["\"", "returns\"", "title:", "NEAR(", "a AND", "*", "--", "'; DROP TABLE words; --", "\0returns"]
    {
        kb.search(query, 5).await.unwrap_or_else(|error| panic!("{query:?}: {error}"));
    }
    assert!(!sources(&kb, "returns").await.is_empty(), "nothing was dropped");
}

#[tokio::test]
async fn what_is_written_is_found_at_once_and_what_is_gone_is_not() {
    let folder = shop();
    let (kb, other) = (open(&folder), open(&folder));
    let path = |name: &str| folder.path().join("kb").join(name);
    assert_eq!(sources(&kb, "gift vouchers").await, [""; 0]);
    std::fs::write(path("gifts.md"), "# Gifts\n\nVouchers are valid for three years.").unwrap();
    assert_eq!(sources(&kb, "vouchers").await, ["gifts.md#1"]);
    assert_eq!(sources(&other, "vouchers").await, ["gifts.md#1"], "another process shares the index");
    std::fs::write(path("gifts.md"), "# Gifts\n\nWe wrap presents.").unwrap();
    assert_eq!(sources(&other, "vouchers").await, [""; 0]);
    assert_eq!(sources(&kb, "presents").await, ["gifts.md#1"]);
    std::fs::remove_file(path("gifts.md")).unwrap();
    assert_eq!(sources(&kb, "presents").await, [""; 0]);
    // What says the same under another time stays as it was found.
    let text = std::fs::read(path("returns.md")).unwrap();
    std::fs::write(path("returns.md"), text).unwrap();
    assert_eq!(sources(&kb, "worn").await, ["returns.md#2"]);
}

#[tokio::test]
async fn an_index_of_no_use_is_made_anew() {
    let folder = shop();
    assert_eq!(sources(&open(&folder), "worn").await, ["returns.md#2"]);
    let indexes = folder.path().join("state/knowledge");
    let file = indexes.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let file = file.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "db")).unwrap();
    std::fs::write(&file, "this was an index").unwrap();
    assert_eq!(sources(&open(&folder), "worn").await, ["returns.md#2"]);
    // One of another version, with other tables.
    let other = rusqlite::Connection::open(&file).unwrap();
    other.execute_batch("DROP TABLE passages; CREATE TABLE passages (x); PRAGMA user_version = 99").unwrap();
    drop(other);
    assert_eq!(sources(&open(&folder), "worn").await, ["returns.md#2"]);
}

#[tokio::test]
async fn many_at_once_share_an_index() {
    let folder = shop();
    let searches = (0..8).map(|_| {
        let kb = open(&folder);
        tokio::spawn(async move { kb.search("worn", 5).await.map(|found| found.len()) })
    });
    for search in searches.collect::<Vec<_>>() {
        assert_eq!(search.await.unwrap().unwrap(), 1);
    }
}

#[tokio::test]
async fn links_lead_nowhere_outside_and_a_folder_that_is_gone_is_said() {
    let folder = shop();
    std::os::unix::fs::symlink("../outside.txt", folder.path().join("kb/link.txt")).unwrap();
    std::os::unix::fs::symlink("..", folder.path().join("kb/up")).unwrap();
    std::os::unix::fs::symlink("returns.md", folder.path().join("kb/again.md")).unwrap();
    let kb = open(&folder);
    assert!(sources(&kb, "secret").await.is_empty());
    assert_eq!(sources(&kb, "worn").await, ["again.md#2", "returns.md#2"]);
    let documents = |path: &Path| Folder::look(path).map(|found| found.documents);
    assert_eq!(documents(&folder.path().join("kb")), Ok(4));
    assert_eq!(documents(&folder.path().join("none")), Err("is not there".to_owned()));
    assert_eq!(documents(&folder.path().join("outside.txt")), Err("is no folder".to_owned()));
    std::fs::remove_dir_all(folder.path().join("kb")).unwrap();
    let gone = kb.search("worn", 1).await.unwrap_err();
    assert!(matches!(gone, KnowledgeError::Unavailable { .. }), "{gone:?}");
}
