//! A working copy and a real terraform.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use wflo_backends::terraform::{TerraformConfig, TerraformFolder};
use wflo_model::Digest;
use wflo_ports::{
    RestoreRequest, Restored, Terraform, TerraformBase, TerraformError, TerraformFile, TerraformSnapshot,
    Verified,
};

/// The terraform of the tests: the variable's, or what `cargo xtask terraform` has left.
#[expect(clippy::disallowed_methods, reason = "a test is told by it where the program is")]
fn terraform() -> PathBuf {
    if let Ok(path) = std::env::var("WFLO_TEST_TERRAFORM") {
        return path.into();
    }
    let here = std::env::current_exe().unwrap();
    let target = here.ancestors().nth(3).unwrap();
    let path = target.join("terraform/terraform");
    assert!(path.is_file(), "`{}` is not there: run `cargo xtask terraform`", path.display());
    path
}

/// A working copy with two machines in it, which nobody has applied yet.
struct Copy {
    folder: tempfile::TempDir,
    terraform: TerraformFolder,
}

const MACHINES: &str = "output \"machines\" { value = { size = \"m5.xlarge\", count = 6 } }\n";
const FEWER: &str = "output \"machines\" { value = { size = \"m5.large\", count = 3 } }\n";

impl Copy {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("infra")).unwrap();
        std::fs::write(folder.path().join("infra/main.tf"), MACHINES).unwrap();
        let terraform = TerraformFolder::new(Self::config(&folder.path().join("infra"), terraform()));
        Self { folder, terraform }
    }

    fn config(dir: &Path, binary: PathBuf) -> TerraformConfig {
        TerraformConfig {
            dir: dir.to_owned(),
            binary,
            env: [("TF_VAR_key".to_owned(), "s3same-key".to_owned())].into(),
            secrets: vec!["s3same-key".to_owned()],
            plugins: None,
            timeout: Duration::from_secs(60),
        }
    }

    /// The same with a terraform that does something else at first: `script` has the command in `$1` and the real one in
    /// `$real`.
    fn with(&self, script: &str) -> TerraformFolder {
        let path = self.folder.path().join("other");
        let text = format!("#!/bin/sh\nreal='{}'\n{script}\nexec \"$real\" \"$@\"\n", terraform().display());
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        TerraformFolder::new(Self::config(&self.dir(), path))
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("infra")
    }

    fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.dir().join(path)).unwrap()
    }

    /// Plans and prepares.
    async fn ready(&self, files: &[TerraformFile]) -> TerraformSnapshot {
        let plan = self.terraform.plan(files).await.unwrap();
        self.terraform.prepare(&plan.digest).await.unwrap()
    }

    async fn apply(&self, files: &[TerraformFile]) -> TerraformSnapshot {
        let ready = self.ready(files).await;
        self.terraform.apply(&ready.plan.digest, &ready.base).await.unwrap();
        ready
    }

    async fn size(&self) -> serde_json::Value {
        self.terraform.state().await.unwrap().outputs.remove("machines").unwrap()
    }
}

fn file(path: &str, content: &str) -> TerraformFile {
    TerraformFile { path: path.parse().unwrap(), content: content.to_owned() }
}

fn request(ready: &TerraformSnapshot, serial: Option<u64>) -> RestoreRequest {
    RestoreRequest { plan: ready.plan.digest, files: ready.files.clone(), serial }
}

#[tokio::test]
async fn what_is_planned_is_applied_and_nothing_else() {
    let copy = Copy::new();
    assert_eq!(copy.terraform.state().await.unwrap().serial, 0, "nothing was ever applied");
    copy.apply(&[]).await;
    assert_eq!(copy.size().await, json!({"size": "m5.xlarge", "count": 6}));

    let plan = copy.terraform.plan(&[file("main.tf", FEWER)]).await.unwrap();
    assert_eq!((plan.adds, plan.changes, plan.destroys, plan.outputs.len()), (0, 0, 0, 1));
    assert!(plan.text.contains("count = 6 -> 3"), "{}", plan.text);
    assert_eq!(plan.detail["outputs"]["machines"]["after"]["count"], 3);
    assert_eq!(copy.text("main.tf"), MACHINES, "planning leaves the working copy alone");
    assert_eq!(copy.size().await["count"], 6);

    let ready = copy.terraform.prepare(&plan.digest).await.unwrap();
    assert_eq!(ready.plan, plan, "it is read from the same bytes");
    assert_eq!(ready.base.serial, 1);
    let applied = copy.terraform.apply(&plan.digest, &ready.base).await.unwrap();
    assert_eq!((applied.serial, applied.outputs["machines"]["count"].clone()), (2, json!(3)));
    assert_eq!(copy.text("main.tf"), FEWER, "what is applied is the configuration from now on");

    let again = copy.terraform.apply(&plan.digest, &ready.base).await.unwrap_err();
    assert!(matches!(again, TerraformError::Stale { .. }), "{again}");
    assert_eq!(copy.terraform.prepare(&plan.digest).await.unwrap(), ready, "a second attempt asks the same");
    assert!(
        matches!(copy.terraform.verify(&plan.digest).await.unwrap(), Verified::Done(done) if done == applied)
    );
    let none = copy.terraform.plan(&[]).await.unwrap();
    assert!(none.is_empty(), "{}", none.text);
}

#[tokio::test]
async fn a_plan_that_others_overtook_or_touched_is_not_applied() {
    let copy = Copy::new();
    copy.apply(&[]).await;
    let old = copy.ready(&[file("main.tf", FEWER)]).await;
    let tampered = copy.ready(&[file("more.tf", "output \"more\" { value = 1 }\n")]).await;
    let stale = |result: Result<_, TerraformError>, word: &str| match result {
        Err(TerraformError::Stale { message }) => assert!(message.contains(word), "{message}"),
        other => panic!("{other:?}"),
    };
    std::fs::write(copy.dir().join("by-hand.tf"), "locals {}\n").unwrap();
    stale(copy.terraform.apply(&old.plan.digest, &old.base).await, "configuration");
    std::fs::remove_file(copy.dir().join("by-hand.tf")).unwrap();
    copy.apply(&[file("other.tf", "output \"other\" { value = 1 }\n")]).await;
    std::fs::remove_file(copy.dir().join("other.tf")).unwrap();
    stale(copy.terraform.apply(&old.plan.digest, &old.base).await, "serial 1 and is at 2");
    let other = TerraformBase { serial: 7, ..old.base.clone() };
    stale(copy.terraform.apply(&old.plan.digest, &other).await, "not prepared");

    let kept = copy.dir().join(".wflo/plans").join(tampered.plan.digest.hex().as_str()).join("plan");
    std::fs::copy(copy.dir().join(".wflo/plans").join(old.plan.digest.hex().as_str()).join("plan"), kept)
        .unwrap();
    stale(copy.terraform.prepare(&tampered.plan.digest).await.map(|_| unreachable!()), "not the one");
    let unknown = copy.terraform.prepare(&Digest::of(b"another")).await.unwrap_err();
    assert!(matches!(unknown, TerraformError::Unknown { .. }), "{unknown}");
}

#[tokio::test]
async fn what_fails_half_way_is_put_back() {
    let copy = Copy::new();
    copy.apply(&[]).await;
    // The cloud does what it is told, and says that it did not: the state moves, and the apply fails.
    let broken = copy.with(
        "if [ \"$1\" = apply ] && [ ! -e \"$0.once\" ]; then touch \"$0.once\"; \"$real\" \"$@\"; \
         echo 'Error: InsufficientInstanceCapacity' >&2; exit 1; fi",
    );
    let ready = copy.ready(&[file("main.tf", FEWER), file("new.tf", "locals {}\n")]).await;
    let failed = broken.apply(&ready.plan.digest, &ready.base).await.unwrap_err();
    let TerraformError::Failed { message } = &failed else { panic!("{failed:?}") };
    assert!(
        message.contains("InsufficientInstanceCapacity") && message.contains("applied again"),
        "{message}"
    );
    assert_eq!(copy.size().await["count"], 6, "it is as it was");
    assert_eq!(copy.terraform.state().await.unwrap().serial, 3, "there and back");
    assert_eq!(copy.text("main.tf"), MACHINES);
    assert!(!copy.dir().join("new.tf").exists());

    let nothing = copy.with("if [ \"$1\" = apply ]; then echo 'Error: no' >&2; exit 1; fi");
    let ready = copy.ready(&[file("main.tf", FEWER)]).await;
    let failed = nothing.apply(&ready.plan.digest, &ready.base).await.unwrap_err();
    assert!(
        matches!(&failed, TerraformError::Failed { message } if message.contains("changed nothing")),
        "{failed}"
    );

    let worse = copy.with(
        "if [ \"$1\" = apply ]; then if [ ! -e \"$0.twice\" ]; then touch \"$0.twice\"; \"$real\" \"$@\"; fi; \
         echo 'Error: no' >&2; exit 1; fi",
    );
    let ready = copy.ready(&[file("main.tf", FEWER)]).await;
    let failed = worse.apply(&ready.plan.digest, &ready.base).await.unwrap_err();
    let TerraformError::Unrestored { message } = &failed else { panic!("{failed:?}") };
    assert!(message.contains("state.json"), "{message}");
}

#[tokio::test]
async fn what_became_of_an_apply_whose_caller_died_is_found_out() {
    let copy = Copy::new();
    copy.apply(&[]).await;
    let ready = copy.ready(&[file("main.tf", FEWER)]).await;
    let digest = ready.plan.digest;
    assert_eq!(copy.terraform.verify(&digest).await.unwrap(), Verified::NotBegun);
    let plan = copy.dir().join(".wflo/plans").join(digest.hex().as_str());
    std::fs::write(plan.join("begun"), "").unwrap();
    let unknown = copy.terraform.verify(&digest).await.unwrap();
    assert!(
        matches!(&unknown, Verified::Unknown { message } if message.contains("as it was before")),
        "{unknown:?}"
    );

    // It was done by a terraform that outlived whoever had started it.
    let tree = plan.join("tree");
    let done = std::process::Command::new(terraform())
        .args(["apply", "-input=false", "-no-color", "../plan"])
        .current_dir(&tree)
        .env("TF_VAR_key", "s3same-key")
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    let Verified::Done(applied) = copy.terraform.verify(&digest).await.unwrap() else { panic!("it is done") };
    assert_eq!(applied.outputs["machines"]["count"], 3);
    assert_eq!(copy.text("main.tf"), FEWER);
}

#[tokio::test]
async fn an_applied_configuration_is_taken_back_unless_others_came_since() {
    let copy = Copy::new();
    copy.apply(&[]).await;
    let ready = copy.apply(&[file("main.tf", FEWER), file("modules/new.tf", "locals {}\n")]).await;
    let restored = copy.terraform.restore(&request(&ready, Some(2))).await.unwrap();
    assert_eq!(restored, Restored::Done { serial: 3 });
    assert_eq!(copy.size().await["count"], 6);
    assert_eq!(copy.text("main.tf"), MACHINES);
    assert!(!copy.dir().join("modules/new.tf").exists());

    let ready = copy.apply(&[file("main.tf", FEWER)]).await;
    copy.apply(&[file("other.tf", "output \"other\" { value = 1 }\n")]).await;
    let left = copy.terraform.restore(&request(&ready, Some(4))).await.unwrap();
    assert!(matches!(&left, Restored::Left { message } if message.contains("serial 5")), "{left:?}");
    std::fs::write(copy.dir().join("main.tf"), "# by hand\n").unwrap();
    let left = copy.terraform.restore(&request(&ready, Some(5))).await.unwrap();
    assert!(matches!(&left, Restored::Left { message } if message.contains("`main.tf`")), "{left:?}");
    assert_eq!(copy.size().await["count"], 3, "what others did stays");
}

#[tokio::test]
async fn two_never_apply_at_once() {
    let copy = Copy::new();
    copy.apply(&[]).await;
    let ready = copy.ready(&[file("main.tf", FEWER)]).await;
    let log = copy.folder.path().join("log");
    let slow = format!(
        "echo begin >> '{0}'; \"$real\" \"$@\"; code=$?; echo end >> '{0}'; exit $code",
        log.display()
    );
    let (one, other) = (copy.with(&slow), copy.with(&slow));
    let (applied, state) = tokio::join!(one.apply(&ready.plan.digest, &ready.base), other.state());
    applied.unwrap();
    state.unwrap();
    let lines = std::fs::read_to_string(log).unwrap();
    let lines: Vec<_> = lines.lines().collect();
    assert!(lines.len() >= 8 && lines.chunks(2).all(|pair| pair == ["begin", "end"]), "{lines:?}");
}

#[tokio::test]
async fn nothing_secret_of_the_working_copy_is_told() {
    let copy = Copy::new();
    std::fs::write(
        copy.dir().join("key.tf"),
        "variable \"key\" {}\noutput \"key\" {\n value = var.key\n sensitive = true\n}\noutput \"shown\" { value = var.key }\n",
    )
    .unwrap();
    let ready = copy.apply(&[]).await;
    let state = copy.terraform.state().await.unwrap();
    assert_eq!(state.outputs["key"], json!(null));
    for told in [serde_json::to_string(&ready).unwrap(), serde_json::to_string(&state).unwrap()] {
        assert!(!told.contains("s3same-key"), "{told}");
    }
    let kept = copy.dir().join(".wflo").metadata().unwrap().permissions().mode();
    assert_eq!(kept & 0o077, 0, "plans and states are for nobody else");
}

#[tokio::test]
async fn what_terraform_says_is_told() {
    let copy = Copy::new();
    let invalid =
        copy.terraform.plan(&[file("main.tf", "output \"a\" { value = var.nope }\n")]).await.unwrap_err();
    let TerraformError::Invalid { message } = &invalid else { panic!("{invalid:?}") };
    assert!(message.starts_with("Error: Reference to undeclared input variable"), "{message}");
    let download = "terraform {\n required_providers { evil = { source = \"evil.example/a/b\" } }\n}\n";
    let invalid = copy.terraform.plan(&[file("main.tf", download)]).await.unwrap_err();
    assert!(matches!(&invalid, TerraformError::Invalid { .. }), "no provider is downloaded: {invalid:?}");
    let missing = TerraformFolder::new(Copy::config(&copy.dir(), "no-such-terraform".into()));
    let missing = missing.state().await.unwrap_err();
    assert!(
        matches!(&missing, TerraformError::Unavailable { message } if message.contains("no-such-terraform"))
    );
    let denied =
        copy.terraform.plan(&[file("main.tf", "output \"a\" { value = file(\"/etc/passwd\") }\n")]).await;
    assert!(matches!(denied, Err(TerraformError::Prohibited { .. })), "{denied:?}");
}
