//! The audit file: what it proves, and what gives a change away.

use crate::harness::Project;

#[test]
fn an_audit_file_verifies_without_a_store_and_shows_every_change() {
    let (project, _) = Project::fraud();
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let id = run["run"].as_str().expect("an id");
    project.wflo(&["audit", "export", id, "-o", "run.audit"]).expect_code(0);
    let file = std::fs::read_to_string(project.path("run.audit")).expect("the audit file");
    std::fs::rename(project.path(".wflo"), project.path("gone")).expect("the store is moved away");

    let verified = project.wflo(&["audit", "verify", "run.audit"]).expect_code(0);
    assert!(verified.stdout.contains(id), "{}", verified.stdout);

    let lines: Vec<&str> = file.lines().collect();
    let altered = |name: &str, lines: Vec<String>| {
        project.write(name, &(lines.join("\n") + "\n"));
        project.wflo(&["audit", "verify", name]).expect_code(1);
    };
    let own = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect::<Vec<_>>();
    let mut changed = own(&lines);
    changed[3] = changed[3].replacen("analyze_transactions", "analyze_transactionz", 1);
    assert_ne!(changed, own(&lines));
    altered("changed.audit", changed);
    let mut cut = own(&lines);
    cut.remove(3);
    altered("cut.audit", cut);
    let mut swapped = own(&lines);
    swapped.swap(3, 4);
    altered("swapped.audit", swapped);
}

/// The only file in a folder whose name ends so, or the last of them.
fn last_file(folder: &std::path::Path, end: &str) -> std::path::PathBuf {
    let mut files: Vec<_> =
        folder.read_dir().expect("the folder").map(|file| file.expect("a file").path()).collect();
    files.retain(|file| file.to_string_lossy().ends_with(end));
    files.sort();
    files.pop().unwrap_or_else(|| panic!("no `{end}` in `{}`", folder.display()))
}

#[test]
fn a_checkpoint_kept_elsewhere_shows_that_nothing_was_rewritten() {
    let project = Project::new("hello");
    let config = project.path("wflo.toml");
    let text = std::fs::read_to_string(&config).expect("wflo.toml");
    std::fs::write(&config, format!("{text}\n[audit]\npublish = \"file:elsewhere\"\n")).expect("wflo.toml");
    let run = project.wflo(&["run", "--input", "name=Ada", "--json"]).expect_code(0).json();
    let id = run["run"].as_str().expect("an id");
    // Every command leaves a checkpoint behind when something has moved.
    let first = last_file(&project.path("elsewhere"), ".checkpoint");
    let first = first.to_str().expect("paths are text");
    let key = project.wflo(&["key", "show"]).expect_code(0).stdout.trim().to_owned();
    assert!(key.starts_with("wflo-store/"), "{key}");
    project.write("trusted.key", &format!("{key}\n"));
    project.wflo(&["run", "--input", "name=Bob"]).expect_code(0);

    project.wflo(&["audit", "export", id, "-o", "run.audit", "--since", first]).expect_code(0);
    std::fs::rename(project.path(".wflo"), project.path("gone")).expect("the store is moved away");
    let verify = |args: &[&str]| project.wflo(&[&["audit", "verify", "run.audit"], args].concat());
    let alone = verify(&[]).expect_code(0).stdout;
    assert!(alone.contains("Proven to checkpoint ") && alone.contains("Not proven: that the key"), "{alone}");
    let all = verify(&["--trust", &key, "--checkpoint", first]).expect_code(0).stdout;
    assert!(all.contains("nothing under it was rewritten") && !all.contains("Not proven"), "{all}");
    assert_eq!(verify(&["--trust", "trusted.key", "--checkpoint", first]).expect_code(0).stdout, all);

    // Another store's key, and another store's checkpoint.
    let other = Project::new("hello");
    other.wflo(&["run", "--input", "name=Eve"]).expect_code(0);
    let strange = other.wflo(&["key", "show"]).expect_code(0).stdout.trim().to_owned();
    let refused = verify(&["--trust", &strange]).expect_code(1);
    assert!(refused.stderr.contains("a key that you do not trust"), "{}", refused.stderr);
    let shown = other.wflo(&["key", "show", "--json"]).expect_code(0).json();
    project.write("strange.checkpoint", shown["checkpoint"].as_str().expect("a checkpoint"));
    let refused = verify(&["--checkpoint", "strange.checkpoint"]).expect_code(1);
    assert!(refused.stderr.contains("two logs were put together"), "{}", refused.stderr);
    verify(&["--trust", "nonsense"]).expect_code(2);
    verify(&["--checkpoint", "missing.file"]).expect_code(2);
}

#[test]
fn keys_are_rotated_and_everything_still_opens_and_verifies() {
    let project = Project::new("hello");
    let greet = |key: &str| project.wflo(&["run", "--input", "name=Ada", "--key", key, "--json"]);
    let run = greet("nightly").expect_code(0).json();
    let id = run["run"].as_str().expect("an id").to_owned();
    let old = project.wflo(&["key", "show"]).expect_code(0).stdout.trim().to_owned();
    let sealed_with = std::fs::read(project.path(".wflo/seal.key")).expect("the key file");
    let new = project.wflo(&["key", "rotate"]).expect_code(0).stdout.trim().to_owned();
    assert_ne!(new, old);
    assert_ne!(std::fs::read(project.path(".wflo/seal.key")).expect("the key file"), sealed_with);
    assert!(!project.path(".wflo/seal.key.next").exists());

    assert_eq!(
        greet("nightly").expect_code(0).json()["run"],
        id.as_str(),
        "idempotency keys are still known"
    );
    project.wflo(&["replay", &id]).expect_code(0);
    project.wflo(&["audit", "export", &id, "-o", "run.audit"]).expect_code(0);
    for key in [&old, &new] {
        project.wflo(&["audit", "verify", "run.audit", "--trust", key]).expect_code(0);
    }
    let log = project.wflo(&["audit", "show"]).expect_code(0).stdout;
    assert!(log.contains(&format!("rotates the signing key: it is now {new}")), "{log}");
    assert!(log.contains("rotates the master key"), "{log}");

    // From its file to the environment, where the next one must be given.
    let digits = std::fs::read_to_string(project.path(".wflo/seal.key")).expect("the key file");
    project.edit("wflo.toml", "[store]\n", "[store]\nseal_key = \"env:TEST_SEAL_KEY\"\n");
    let with = |key: &str, args: &[&str]| {
        let mut command = project.command(args);
        command.env("TEST_SEAL_KEY", key.trim()).env("TEST_NEXT_KEY", "0f".repeat(32));
        crate::harness::Output::of(&mut command)
    };
    let refused = with(&digits, &["key", "rotate"]).expect_code(2);
    assert!(refused.stderr.contains("nobody said what the new one is"), "{}", refused.stderr);
    with(&digits, &["key", "rotate", "--only", "master", "--new-key", "TEST_NEXT_KEY"]).expect_code(0);
    let refused = with(&digits, &["runs"]).expect_code(70);
    assert!(
        refused.stderr.contains("the master key is not the one this store was sealed with"),
        "{}",
        refused.stderr
    );
    with(&"0f".repeat(32), &["replay", &id]).expect_code(0);

    // And in a file elsewhere, which must be its owner's only.
    project.edit("wflo.toml", "env:TEST_SEAL_KEY", "file:elsewhere.key");
    project.write("elsewhere.key", &"0f".repeat(32));
    let mode = |mode| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(project.path("elsewhere.key"), std::fs::Permissions::from_mode(mode))
    };
    mode(0o640).expect("a mode");
    let refused = project.wflo(&["runs"]).expect_code(70);
    assert!(refused.stderr.contains("only its owner may have rights to it"), "{}", refused.stderr);
    mode(0o600).expect("a mode");
    project.wflo(&["key", "rotate", "--only", "master"]).expect_code(0);
    project.wflo(&["replay", &id]).expect_code(0);
    assert!(!std::fs::read_to_string(project.path("elsewhere.key")).expect("it").starts_with("0f0f"));
}

/// All files below a folder.
fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = folder.read_dir().expect("the folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn a_search_of_the_state_folder_finds_no_patient() {
    const PATIENT: &str = "Zebulon-Quartz";
    let project = Project::new("hello");
    let state = project.path(".wflo");
    #[track_caller]
    fn search(state: &std::path::Path, when: &str) {
        let found: Vec<_> = files(state);
        assert!(found.len() > 5, "there is something to search");
        for file in found {
            // A socket or a file that goes meanwhile holds nothing.
            let Ok(bytes) = std::fs::read(&file) else { continue };
            let is_there = bytes.windows(PATIENT.len()).any(|window| window == PATIENT.as_bytes());
            assert!(!is_there, "{when}: the patient is in `{}`", file.display());
        }
    }
    // One in a record, one that is too large for it and lies in a blob, one as the key of a request.
    let large = format!("name={}", PATIENT.repeat(500));
    let mut ids = Vec::new();
    for input in [&format!("name={PATIENT}"), &large] {
        let run = project.wflo(&[
            "run",
            "--input",
            input,
            "--key",
            &format!("{PATIENT}-{}", input.len()),
            "--json",
        ]);
        ids.push(run.expect_code(0).json()["run"].as_str().expect("an id").to_owned());
    }
    assert!(
        project.wflo(&["show", &ids[0], "--json"]).expect_code(0).stdout.contains(PATIENT),
        "it is in the run"
    );
    search(&state, "before anything was erased");
    assert!(files(&state.join("blobs/runs")).iter().any(|file| file.to_string_lossy().contains(&ids[1])));
    project.wflo(&["key", "rotate"]).expect_code(0);
    search(&state, "after the keys were rotated");
    for id in &ids {
        project.wflo(&["erase", id]).expect_code(0);
        project.wflo(&["audit", "export", id, "-o", "erased.audit"]).expect_code(0);
        let verified = project.wflo(&["audit", "verify", "erased.audit"]).expect_code(0).stdout;
        assert!(
            verified.contains("whether the run was erased") && verified.contains("Proven to checkpoint"),
            "{verified}"
        );
        assert!(!std::fs::read_to_string(project.path("erased.audit")).expect("it").contains(PATIENT));
    }
    search(&state, "after the runs were erased");
    let costs = project.wflo(&["cost", "--json"]).expect_code(0).json();
    let of: Vec<_> = costs.as_array().expect("a list").iter().map(|cost| &cost["workflow"]).collect();
    assert_eq!(of, ["hello", "hello"], "what an erased run has cost is not forgotten");
}

/// The lines of a report.
#[track_caller]
fn report(project: &Project, args: &[&str]) -> Vec<serde_json::Value> {
    let args = [&["audit", "report", "--json"], args].concat();
    let lines = project.wflo(&args).expect_code(0).json();
    lines.as_array().expect("a list").clone()
}

#[test]
fn a_report_says_who_saw_changed_approved_and_was_denied_what() {
    let (project, people) = Project::fraud();
    let begin = time();
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let id = run["run"].as_str().expect("an id");
    let approval = crate::harness::approval_of(&run);
    project
        .wflo_as("alice", &people.alice, &["approve", &approval, "--comment", "seen them"])
        .expect_code(10);
    project.wflo_as("carol", &people.carol, &["approve", &approval]).expect_code(0);
    project.wflo_as("mallory", "wflo_guess", &["approve", &approval]).expect_code(3);

    let lines = report(&project, &["--run", id]);
    let of = |action: &str| lines.iter().filter(|line| line["action"] == action).collect::<Vec<_>>();
    assert!(
        of("read").iter().any(|line| line["what"].as_str().is_some_and(|what| what.starts_with("bank: ")))
    );
    assert!(!of("changed").is_empty() && !of("asked").is_empty() && of("started").len() == 1, "{lines:?}");
    let approved: Vec<_> = of("approved").iter().map(|line| (&line["person"], &line["note"])).collect();
    let (seen, nothing) = (serde_json::json!("seen them"), serde_json::Value::Null);
    assert_eq!(approved, [(&serde_json::json!("alice"), &seen), (&serde_json::json!("carol"), &nothing)]);
    assert_eq!(of("approved")[0]["step"], "block_suspicious_accounts");
    let times = lines.iter().map(|line| line["at"].as_str().expect("a time").trim_end_matches('Z'));
    assert!(times.is_sorted(), "{lines:?}");

    let alices = report(&project, &["--person", "alice"]);
    assert!(alices.iter().all(|line| line["person"] == "alice") && !alices.is_empty(), "{alices:?}");
    let all = report(&project, &["--since", &begin]);
    assert!(
        all.iter().any(|line| line["action"] == "login_failed" && line["person"] == "mallory"),
        "{all:?}"
    );
    assert!(all.iter().any(|line| line["action"] == "exported"), "reports are in the report");
    assert!(report(&project, &["--until", &begin]).iter().all(|line| line["action"] == "managed"));
    assert!(report(&project, &["--since", "2999-01-01"]).is_empty());
    project.wflo(&["audit", "report", "--since", "yesterday"]).expect_code(2);
    let text = project.wflo(&["audit", "report", "--run", id]).expect_code(0).stdout;
    assert!(text.contains("approved") && text.contains("(seen them)"), "{text}");
}

/// Now, as RFC 3339.
fn time() -> String {
    let out =
        std::process::Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%S.%NZ"]).output().expect("a clock");
    String::from_utf8(out.stdout).expect("text").trim().to_owned()
}

/// Who changed order 7 is known after the run was erased, and what else was in it is not.
#[test]
fn who_saw_whom_outlives_the_run() {
    let (project, _) = crate::refunds::shop();
    let run = project.wflo(&["run", "--json", "--input", "amount=50.00"]).expect_code(0).json();
    let run = run["run"].as_str().expect("an id");
    let about = |about: &str| {
        let lines = report(&project, &["--patient", about]);
        let what = |line: &serde_json::Value| {
            format!(
                "{} {} {} {} by {}",
                line["person"], line["action"], line["step"], line["what"], line["by"]
            )
        };
        let mut whats: Vec<_> = lines.iter().map(what).collect();
        whats.sort();
        whats.dedup();
        whats
    };
    let before = about("order_id=7");
    assert!(before.iter().any(|line| line.contains("\"changed\" \"refund\"")), "{before:?}");
    assert!(about("order_id=8").is_empty());
    project.wflo(&["erase", run]).expect_code(0);
    // Inputs are gone with the run; what was done through a statement's parameter is known.
    let outlives: Vec<_> = before.iter().filter(|line| line.ends_with("by \"order_id\"")).cloned().collect();
    assert!(outlives.len() >= 2, "{before:?}");
    assert_eq!(about("order_id=7"), outlives);
    assert!(about("7").len() >= outlives.len(), "in any column");
    assert!(about("order_id=8").is_empty() && about("other_id=7").is_empty());
    let erased = report(&project, &["--run", run]);
    assert!(erased.iter().any(|line| line["action"] == "erased"), "{erased:?}");
    // That it was asked is known, and not of whom.
    let log = project.wflo(&["audit", "show"]).expect_code(0).stdout;
    assert!(log.contains("makes a report of about sha256:"), "{log}");
}
