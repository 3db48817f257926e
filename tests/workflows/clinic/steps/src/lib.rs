//! Steps that use a secret, read files, and handle labelled data.

use wflo::prelude::*;
use wflo::secret;

/// A request's answer, or why there is none.
fn came_to(answer: Result<http::Response, http::Error>) -> wflo::Result<String> {
    match answer {
        Ok(answer) => {
            let head = format!("{} {:?}", answer.status(), answer.header("x-echo"));
            Ok(format!("{head} {}", answer.text()?))
        }
        Err(error) => Ok(format!("error: {error}")),
    }
}

fn said<T, E: std::fmt::Display>(result: Result<T, E>) -> String {
    result.map_or_else(|error| error.to_string(), |_| "it was given".to_owned())
}

/// Pay with a key that the step never sees; the server answers with what it got
#[wflo::step]
fn pay(ctx: Context) -> wflo::Result<Vec<String>> {
    let url: String = ctx.input("url")?;
    let key = secret("stripe")?;
    println!("the key is {key}");
    Ok(vec![
        came_to(http::get(&url).header("authorization", format!("Bearer {key}")).send())?,
        came_to(http::post(&url).body_json(&json!({"key": key.as_str()}))?.send())?,
    ])
}

/// Have a server keep the key, and ask it for what it keeps, part by part and coded
#[wflo::step]
fn recall(ctx: Context) -> wflo::Result<Vec<String>> {
    let url: String = ctx.input("url")?;
    let kept = format!("{url}/notes");
    came_to(http::post(&kept).body(secret("stripe")?.as_str()).send())?;
    let asked = |path: &str| http::get(format!("{url}/{path}"));
    let mut said = vec![
        came_to(asked("notes").header("range", "bytes=0-9").send())?,
        came_to(asked("notes").header("range", "bytes=10-60").send())?,
        came_to(asked("part").send())?,
        came_to(asked("coded").header("accept-encoding", "gzip").send())?,
    ];
    // As an artifact, the same.
    for name in ["notes", "part"] {
        said.push(match asked(name).header("range", "bytes=0-9").save(name) {
            Ok(kept) => std::io::read_to_string(kept.open()?)?,
            Err(error) => format!("error: {error}"),
        });
    }
    Ok(said)
}

/// Try to have the key go somewhere else
#[wflo::step]
fn leak(ctx: Context) -> wflo::Result<Vec<String>> {
    let (url, other): (String, String) = (ctx.input("url")?, ctx.input("other")?);
    let key = secret("stripe")?;
    let bearer = format!("Bearer {key}");
    Ok(vec![
        came_to(http::get(&other).header("authorization", &bearer).send())?,
        came_to(http::get(format!("{url}&key={key}")).send())?,
        said(db("clinic").query("SELECT ?1", params![key.as_str()])),
        said(secret("other")),
    ])
}

/// Read a patient, log about them, and fail
#[wflo::step]
fn treat(_ctx: Context) -> wflo::Result<String> {
    let rows = db("clinic").query("SELECT name, number FROM patients", params![])?;
    let name: String = rows.iter().next().ok_or_else(|| wflo::permanent("nobody"))?.get("name")?;
    println!("treating {name}, number 4711001");
    Err(wflo::permanent(format!("{name} is not here")))
}

fn note() -> wflo::Result<String> {
    let rows = db("clinic").query("SELECT note FROM notes", params![])?;
    Ok(rows.iter().next().ok_or_else(|| wflo::permanent("nobody"))?.get("note")?)
}

/// Read a note of several lines, log it as it is and as who looks for a defect would, and fail
#[wflo::step]
fn chart(_ctx: Context) -> wflo::Result<String> {
    let note = note()?;
    println!("{note}");
    println!("it was {:?}", json!({ "note": note }).to_string());
    Err(wflo::permanent(format!("cannot read {note:?}")))
}

/// Return a note where a number is due
#[wflo::step]
fn slip(_ctx: Context) -> wflo::Result<Vec<String>> {
    Ok(vec![note()?])
}

/// Tell a server and hear what comes of it
#[wflo::step]
fn tell(ctx: Context) -> wflo::Result<Vec<String>> {
    let (url, other): (String, String) = (ctx.input("url")?, ctx.input("other")?);
    Ok(vec![came_to(http::get(&url).send())?, came_to(http::get(&other).send())?])
}

/// Read a file that the clinic keeps
#[wflo::step]
fn read(_ctx: Context) -> wflo::Result<Vec<String>> {
    let said = |path: &str| match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => format!("error: {:?}", error.kind()),
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir("/notes").map_err(wflo::permanent)? {
        names.push(entry.map_err(wflo::permanent)?.file_name().display().to_string());
    }
    Ok(vec![
        said("/notes/one.txt"),
        names.join(" "),
        said("/notes/../wflo.toml"),
        said("/notes/out"),
        format!("{:?}", std::fs::write("/notes/two.txt", "two").map_err(|error| error.kind())),
    ])
}

wflo::export!(pay, recall, leak, treat, chart, slip, tell, read);
