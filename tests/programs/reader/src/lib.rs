//! Reads files, and tries to reach those it was not given.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};

wit_bindgen::generate!({
    inline: r#"
        package test:reader;
        world reader {
            export wflo:step/handler@0.1.0;
        }
    "#,
    path: ["../../../wit/deps/logging", "../../../wit/step"],
    world: "test:reader/reader",
    generate_all,
});

use exports::wflo::step::handler::{Failure, Guest, StepInfo, Undo};

struct Reader;
export!(Reader);

/// Ways out of `/data`.
const ESCAPES: &[&str] = &[
    "/data/../secret.txt",
    "/data/sub/../../secret.txt",
    "/data/./.././secret.txt",
    "/data//..//secret.txt",
    "/secret.txt",
    "/etc/passwd",
    "../secret.txt",
    "/data/link_out",
    "/data/folder_out/secret.txt",
    "/data/absolute_link",
    "/data/sub/link_up",
    "/data/link_to_link",
];

impl Guest for Reader {
    fn describe() -> Vec<StepInfo> {
        let step = |name: &str| StepInfo {
            name: name.into(),
            summary: "Reads files.".into(),
            compensates: false,
            output_schema: None,
            facts: Vec::new(),
        };
        ["read", "escape", "write", "nothing"].map(step).into()
    }

    fn run(step: String) -> Result<String, Failure> {
        let said: Vec<String> = match step.as_str() {
            "nothing" => Vec::new(),
            "read" => read().map_err(|error| Failure::Permanent(format!("{error:?}")))?,
            "escape" => ESCAPES.iter().map(|path| came_to(fs::read_to_string(path))).collect(),
            "write" => write(),
            other => return Err(Failure::Permanent(format!("no step `{other}`"))),
        };
        let said: Vec<String> = said.iter().map(|text| format!("{text:?}")).collect();
        Ok(format!("[{}]", said.join(",")))
    }

    fn compensate(_: Undo) -> Result<(), Failure> {
        Ok(())
    }
}

fn came_to<T: std::fmt::Debug>(result: std::io::Result<T>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{:?}", error.kind()),
    }
}

fn read() -> std::io::Result<Vec<String>> {
    let mut said = vec![fs::read_to_string("/data/hello.txt")?, fs::read_to_string("/data/sub/deep.txt")?];
    let mut names = Vec::new();
    for entry in fs::read_dir("/data")? {
        let entry = entry?;
        names.push(format!(
            "{}{}",
            entry.file_name().display(),
            if entry.file_type()?.is_dir() { "/" } else { "" }
        ));
    }
    said.push(names.join(" "));
    let found = fs::metadata("/data/hello.txt")?;
    said.push(format!("{} {}", found.len(), found.is_file()));
    let mut file = File::open("/data/hello.txt")?;
    file.seek(SeekFrom::Start(2))?;
    let mut two = [0; 2];
    file.read_exact(&mut two)?;
    said.push(String::from_utf8_lossy(&two).into_owned());
    said.push(came_to(fs::read_to_string("/data/link_in")));
    said.push(came_to(fs::read_to_string("/data/none.txt")));
    said.push(came_to(fs::read_to_string("/data/hello.txt/more")));
    said.push(came_to(fs::read_to_string("/data/large.bin").map(|text| text.len())));
    Ok(said)
}

fn write() -> Vec<String> {
    let append = |path: &str| OpenOptions::new().append(true).open(path)?.write_all(b"more");
    vec![
        came_to(File::create("/data/new.txt")),
        came_to(fs::write("/data/hello.txt", "other")),
        came_to(append("/data/hello.txt")),
        came_to(fs::create_dir("/data/folder")),
        came_to(fs::remove_file("/data/hello.txt")),
        came_to(fs::remove_dir("/data/sub")),
        came_to(fs::rename("/data/hello.txt", "/data/other.txt")),
        came_to(fs::hard_link("/data/hello.txt", "/data/other.txt")),
        came_to(File::open("/data/hello.txt").and_then(|file| file.set_len(0))),
    ]
}
