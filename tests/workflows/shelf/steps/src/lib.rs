//! Makes artifacts and reads them, in every way there is. What does not come out as it should fails the step.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

use wflo::Artifact;
use wflo::artifact::{self, Error};
use wflo::prelude::*;

/// The n-th byte of what is written.
fn byte(n: usize) -> u8 {
    (n % 251) as u8
}

fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(byte).collect()
}

fn must(holds: bool, what: &str) -> wflo::Result<()> {
    if holds { Ok(()) } else { Err(wflo::permanent(format!("it does not hold that {what}"))) }
}

#[wflo::data]
struct Made {
    large: Artifact,
    empty: Artifact,
}

#[wflo::step]
fn make(ctx: Context) -> wflo::Result<Made> {
    let content = content(ctx.input("bytes")?);
    let mut large = artifact::create("large.bin")?;
    must(matches!(artifact::open("large.bin"), Err(Error::Unknown(_))), "what is not finished is not there")?;
    must(matches!(artifact::create("large.bin"), Err(Error::Invalid(_))), "a name is used once")?;
    for piece in content.chunks(70_001) {
        large.write_all(piece)?;
    }
    let large = large.finish()?;
    must(large.bytes == content.len() as u64, "its size is told")?;
    for bad in ["", "../up", "a/b", "a b", "-a", &"a".repeat(129)] {
        must(matches!(artifact::create(bad), Err(Error::Invalid(_))), "a bad name is refused")?;
    }
    let dropped = artifact::create("dropped")?;
    drop(dropped);
    must(matches!(artifact::open("dropped"), Err(Error::Unknown(_))), "what is dropped never was")?;
    {
        let _four: Vec<_> = (0..4).map(|n| artifact::create(&format!("open-{n}"))).collect::<Result<_, _>>()?;
        must(matches!(artifact::create("open-4"), Err(Error::Limit(_))), "few are open at a time")?;
    }
    let empty = artifact::create("empty")?.finish()?;
    must(empty.open()?.lines().next().is_none(), "nothing is read of nothing")?;

    let mut read = Vec::new();
    let mut reader = large.open()?;
    reader.read_to_end(&mut read)?;
    must(read == content, "what was written is read")?;
    must(reader.read(&mut [0; 9])? == 0, "there is an end")?;
    let middle = content.len() / 2;
    reader.seek(SeekFrom::Start(middle as u64))?;
    let mut one = [0];
    reader.read_exact(&mut one)?;
    must(one[0] == byte(middle), "a reader goes anywhere")?;
    reader.seek(SeekFrom::End(-1))?;
    reader.read_exact(&mut one)?;
    must(one[0] == byte(content.len() - 1), "a reader goes to the end")?;
    Ok(Made { large, empty })
}

#[wflo::step]
fn parts(ctx: Context) -> wflo::Result<Artifact> {
    let item: String = ctx.item()?;
    let mut part = artifact::create("part.jsonl")?;
    for n in 0..3 {
        part.row(&json!({ "item": item, "n": n }))?;
    }
    part.write_all(b"\n")?;
    Ok(part.finish()?)
}

#[wflo::step]
fn read(ctx: Context) -> wflo::Result<Vec<String>> {
    let Made { large, empty } = ctx.output_of("make")?;
    let by_name = artifact::open("large.bin")?;
    must(by_name.artifact()? == large, "a name leads to the only one that there is")?;
    must(by_name.size() == large.bytes && empty.bytes == 0, "sizes are told")?;
    must(matches!(artifact::open("part.jsonl"), Err(Error::Invalid(_))), "which of several is to be said")?;
    let parts: Vec<Artifact> = ctx.output_of("parts")?;
    let mut all = Vec::new();
    for part in &parts {
        for row in part.open()?.rows::<Value>() {
            let row = row?;
            all.push(format!("{}{}", row["item"].as_str().unwrap_or_default(), row["n"]));
        }
    }
    let none = Artifact { step: "stranger".into(), ..large.clone() };
    must(matches!(none.open(), Err(Error::AccessDenied(_))), "a step that is not depended on is out of reach")?;
    let other = Artifact { item: Some(7), ..parts[0].clone() };
    must(matches!(other.open(), Err(Error::Unknown(_))), "there are three items")?;
    // What cannot be read as rows says which line it is.
    let bad = Artifact { step: "make".into(), ..large }.open()?.rows::<Value>().next();
    must(matches!(bad, Some(Err(Error::Row { line: 1, .. }))), "a line that is no row is told")?;
    Ok(all)
}

#[wflo::step]
fn load(ctx: Context) -> wflo::Result<u64> {
    let rows: u64 = ctx.input("rows")?;
    let insert = |rows: &Artifact| db("big").bulk_insert("numbers", rows);
    let mut none = artifact::create("none.jsonl")?;
    none.write_all(b"\n\n")?;
    must(insert(&none.finish()?).json_lines()? == 0, "no rows are no rows")?;
    for (name, text, why) in [
        ("unknown", "{\"id\":1,\"other\":2}\n", "column"),
        ("short", "{\"id\":1}\n\n[2]\n", "line 3"),
        ("text", "{\"id\":1,\"name\":\"a\"}\nnonsense\n", "line 2"),
    ] {
        let mut bad = artifact::create(name)?;
        bad.write_all(text.as_bytes())?;
        let refused = insert(&bad.finish()?).columns(["id", "name"]).json_lines();
        must(refused.is_err_and(|error| error.to_string().contains(why)), "bad rows are told by their line")?;
    }
    if ctx.input("csv")? {
        let mut csv = artifact::create("rows.csv")?;
        csv.write_all(b"id,name,half\r\n")?;
        for n in 0..rows {
            csv.write_all(format!("{n},\"number {n}, \"\"so called\"\"\",{}.5\r\n", n / 2).as_bytes())?;
        }
        return Ok(insert(&csv.finish()?).csv()?);
    }
    let mut lines = artifact::create("rows.jsonl")?;
    for n in 0..rows {
        lines.row(&json!({ "id": n, "name": format!("number {n}, \"so called\""), "half": n as f64 / 2.0 }))?;
    }
    Ok(insert(&lines.finish()?).json_lines()?)
}

#[wflo::data]
struct Answered {
    n: u64,
    text: String,
}

#[wflo::step]
fn ask(ctx: Context) -> wflo::Result<usize> {
    let asked: u64 = ctx.input("asked")?;
    let mut questions = artifact::create("questions.jsonl")?;
    for n in 0..asked {
        questions.row(&json!({ "n": n }))?;
    }
    let questions = questions.finish()?;
    let answers = llm::transform("gpt-4").instructions("Say it in words").artifact::<Answered>(&questions, "answers.jsonl")?;
    Ok(answers.open()?.rows::<Answered>().collect::<Result<Vec<_>, _>>()?.len())
}

#[wflo::step]
fn stranger(_: Context) -> wflo::Result<&'static str> {
    must(matches!(artifact::open("large.bin"), Err(Error::Unknown(_))), "nothing is there of steps beside it")?;
    Ok("saw nothing")
}

wflo::export!(make, parts, read, load, ask, stranger);
