//! Artifacts through the command: made, read, handed on, forked, and in a replay the same.

use serde_json::{Value, json};

use crate::harness::{Project, Provider};

/// The workflow, with its table.
fn shelf() -> Project {
    let project = Project::workflow("shelf");
    let big = rusqlite::Connection::open(project.path("big.db")).expect("the table");
    let table = "CREATE TABLE numbers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, half REAL)";
    big.execute_batch(table).expect("the table");
    project
}

fn id(run: &Value) -> String {
    run["run"].as_str().expect("a run has an id").to_owned()
}

#[test]
fn artifacts_are_read_by_whoever_depends_on_them_and_replay_reads_the_same() {
    let project = shelf();
    let run = project.wflo(&["run", "--json", "--input", "rows=0"]).expect_code(0).json();
    assert_eq!(run["steps"][2]["output"], json!(["a0", "a1", "a2", "b0", "b1", "b2", "c0", "c1", "c2"]));
    let id = id(&run);
    let made = &run["steps"][0]["output"]["large"];
    assert_eq!((&made["step"], &made["bytes"]), (&json!("make"), &json!(1_300_000)));
    project.wflo(&["replay", &id]).expect_code(0);

    let listed = project.wflo(&["artifact", "list", &id]).expect_code(0).stdout;
    let names: Vec<_> =
        listed.lines().map(|line| line.split("  ").take(2).collect::<Vec<_>>().join(" ")).collect();
    let all =
        ["make large.bin", "make empty", "parts[0] part.jsonl", "parts[1] part.jsonl", "parts[2] part.jsonl"];
    assert_eq!(names, all);
    let part =
        project.wflo(&["artifact", "get", &id, "parts", "part.jsonl", "--item", "1"]).expect_code(0).stdout;
    assert_eq!(part, "{\"item\":\"b\",\"n\":0}\n{\"item\":\"b\",\"n\":1}\n{\"item\":\"b\",\"n\":2}\n\n");
    let which = project.wflo(&["artifact", "get", &id, "parts", "part.jsonl"]).expect_code(4).stderr;
    assert!(which.contains("there are 3 artifacts"), "{which}");
    let denied = project.wflo(&["audit", "show", &id]).expect_code(0).stdout;
    assert!(denied.contains("does not depend on step `stranger`"), "a denial is in the journal: {denied}");
    assert!(denied.contains("makes artifact large.bin, 1300000 bytes"), "{denied}");

    // The bytes are sealed: none of them lie open in the store.
    let run_blobs = project.path(".wflo/blobs/runs").join(&id);
    let pattern: Vec<u8> = (0..64).collect();
    for blob in run_blobs.read_dir().expect("the blobs of the run") {
        let bytes = std::fs::read(blob.expect("a blob").path()).expect("a blob");
        assert!(!bytes.windows(pattern.len()).any(|window| window == pattern));
    }
}

#[test]
fn rows_of_both_formats_go_to_a_table_and_back_out() {
    let project = shelf();
    let count = |sql: &str| -> i64 {
        let big = rusqlite::Connection::open(project.path("big.db")).expect("the table");
        big.query_row(sql, [], |row| row.get(0)).expect("the table")
    };
    let mut sums = Vec::new();
    for csv in ["csv=false", "csv=true"] {
        let run = project.wflo(&["run", "--json", "--input", csv]).expect_code(0).json();
        assert_eq!(run["steps"][3]["output"], json!(2500));
        let named = "SELECT count(*) FROM numbers WHERE name = 'number ' || id || ', \"so called\"'";
        assert_eq!(count(named), 2500);
        sums.push(count("SELECT CAST(sum(half) * 2 AS INTEGER) FROM numbers WHERE typeof(half) = 'real'"));
        project.wflo(&["replay", &id(&run)]).expect_code(0);
        project.wflo(&["rollback", &id(&run)]).expect_code(0);
        assert_eq!(count("SELECT count(*) FROM numbers"), 0);
    }
    assert_eq!(sums, [2499 * 2500 / 2, 2 * 1250 * 1250], "each half is a number");
}

#[test]
fn a_model_transforms_the_rows_of_an_artifact_batch_by_batch() {
    let project = shelf();
    let provider = Provider::start(&project, &[]);
    project.edit("wflo.toml", "http://127.0.0.1:9/v1", &provider.address);
    let run =
        project.wflo(&["run", "--json", "--input", "rows=0", "--input", "asked=450"]).expect_code(0).json();
    assert_eq!(run["steps"][4]["output"], json!(450));
    // Two hundred rows are read at a time, and a model is sent forty.
    assert_eq!(provider.requests(), 5 + 5 + 2);
    project.wflo(&["replay", &id(&run)]).expect_code(0);
    assert_eq!(provider.requests(), 12);
}

#[test]
fn a_fork_reads_what_its_parent_made_and_a_changed_piece_is_noticed() {
    let project = shelf();
    let run = project.wflo(&["run", "--json", "--input", "rows=0"]).expect_code(0).json();
    let parent = id(&run);
    let events = project.wflo(&["audit", "show", &parent, "--json"]).expect_code(0).json();
    let all = events.as_array().expect("events");
    let ended = all.iter().filter(|it| it["text"].as_str().is_some_and(|text| text.contains("succe")));
    let first =
        ended.filter(|it| it["step"] == "make").map(|it| it["seq"].as_u64().expect("a number")).next();
    let at = first.expect("the step has ended").to_string();
    let fork = project.wflo(&["fork", &parent, "--at", &at, "--json"]).expect_code(0).json();
    let fork = id(&fork);
    let view = project.wflo(&["show", &fork, "--json"]).expect_code(0).json();
    assert_eq!(view["status"], "succeeded", "{view}");
    let bytes = project.wflo(&["artifact", "get", &fork, "make", "large.bin", "-o", "large.bin"]);
    bytes.expect_code(0);
    assert_eq!(std::fs::read(project.path("large.bin")).expect("the file").len(), 1_300_000);

    // Every piece has the name of what it holds.
    let blobs = project.path(".wflo/blobs/runs").join(&parent);
    let largest = blobs.read_dir().expect("the blobs").map(|blob| blob.expect("a blob").path());
    let largest = largest.max_by_key(|path| path.metadata().map_or(0, |it| it.len())).expect("a piece");
    let mut bytes = std::fs::read(&largest).expect("a piece");
    bytes[100] ^= 1;
    std::fs::write(&largest, bytes).expect("a piece");
    let got =
        project.wflo(&["artifact", "get", &parent, "make", "large.bin", "-o", "changed.bin"]).expect_code(4);
    assert!(got.stderr.contains("is corrupt"), "{}", got.stderr);
    assert!(!project.path("changed.bin").exists(), "it is there whole or not at all");
}
