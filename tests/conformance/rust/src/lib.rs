//! What every SDK must do, in Rust.

use wflo::db::Value as Sql;
use wflo::artifact;
use wflo::prelude::*;
use wflo::{Ask, FactError, SecretError, Undo};

#[wflo::step]
fn context(ctx: Context) -> wflo::Result<Value> {
    let mut inputs: Value = ctx.inputs()?;
    inputs["port"] = Value::Null;
    let item: Option<Value> = ctx.item()?;
    let stranger: Option<Value> = ctx.output_of("after")?;
    Ok(json!({
        "inputs": inputs, "item": item, "attempt": ctx.attempt(), "step": ctx.step(),
        "run_id": ctx.run_id().len(), "stranger": stranger, "decision": ctx.decision().is_some(),
    }))
}

#[wflo::step]
fn after(ctx: Context) -> wflo::Result<Value> {
    let context: Value = ctx.output_of("context")?;
    let skipped: Option<Value> = ctx.output_of("skipped")?;
    Ok(json!({ "text": context["inputs"]["text"], "list": context["inputs"]["list"], "skipped": skipped }))
}

#[wflo::step]
fn skipped() -> wflo::Result<()> {
    Ok(())
}

#[wflo::step]
fn values(ctx: Context) -> wflo::Result<Value> {
    let text: String = ctx.input("text")?;
    let bytes: Vec<u8> = vec![0, 9, 10, 255];
    let price = Sql::Decimal("12.50".into());
    let changed = db("data").execute(
        "INSERT INTO kept (n, safe, r, t, b, d, x, yes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![i64::MIN + 1, 9_007_199_254_740_993_i64, 0.1, &text, &bytes, price, None::<&str>, true],
    )?;
    let rows = db("data").query("SELECT n, safe, r, t, b, d, x, yes FROM kept WHERE id > ?1 ORDER BY id", params![0])?;
    let row = rows.iter().next().expect("it was written");
    let none = db("data").query("SELECT n FROM kept WHERE id = ?1", params![-1])?;
    Ok(json!({
        "changed": changed,
        "columns": rows.columns(),
        "n": row.get::<i64>("n")?.to_string(),
        "safe": row.get::<i64>("safe")?.to_string(),
        "r": row.get::<f64>("r")?,
        "text": row.get::<String>("t")? == text,
        "b": row.get::<Vec<u8>>("b")?,
        "d": row.get::<String>("d")?,
        "x": row.get::<Option<String>>("x")?,
        "yes": row.get::<i64>("yes")?,
        "none": none.len(),
    }))
}

#[wflo::step]
fn large() -> wflo::Result<Value> {
    let rows: Vec<String> = db("data").query_as("SELECT printf('%.*c', 1000000, 'x') AS t", params![])?;
    let lengths: Vec<u64> = db("data").query_as("SELECT length(?1) AS n", params!["ü".repeat(500_000)])?;
    let many: Vec<u64> = db("data").query_as(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5000) SELECT n FROM c",
        params![],
    )?;
    Ok(json!({ "length": rows[0].len(), "sent": lengths[0], "sum": many.iter().sum::<u64>(), "text": "é".repeat(100_000) }))
}

#[wflo::step]
fn pages() -> wflo::Result<Value> {
    let numbers = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5000) SELECT n FROM c ORDER BY n";
    let (mut sizes, mut sum) = (Vec::new(), 0);
    for page in db("data").pages(numbers, params![], 2000) {
        let page: Vec<u64> = page?.read()?;
        sizes.push(page.len());
        sum += page.iter().sum::<u64>();
    }
    let denied = db("data").pages("SELECT id FROM secrets", params![], 10).next().expect("an error");
    Ok(json!({ "sizes": sizes, "sum": sum, "denied": db_error(denied) }))
}

fn db_error<T>(result: Result<T, wflo::db::Error>) -> &'static str {
    use wflo::db::Error;
    match result {
        Ok(_) => "none",
        Err(Error::AccessDenied(_)) => "AccessDenied",
        Err(Error::Invalid(_)) => "Invalid",
        Err(Error::Constraint(_)) => "Constraint",
        Err(_) => "other",
    }
}

#[wflo::step]
fn db_errors() -> wflo::Result<Vec<&'static str>> {
    let insert = || db("data").execute("INSERT INTO once (id) VALUES (?1)", params!["a"]);
    Ok(vec![
        db_error(db("data").query("SELEC 1", params![])),
        db_error(db("data").query("SELECT id FROM secrets", params![])),
        db_error(db("other").query("SELECT 1", params![])),
        db_error(insert()),
        db_error(insert()),
    ])
}

#[wflo::step]
fn named() -> wflo::Result<Value> {
    #[wflo::data]
    struct Row {
        n: i64,
        less: i64,
        price: String,
        bytes: String,
    }
    let params = json!({ "n": { "integer": "9007199254740993" }, "price": "0.10", "bytes": vec![0_u8, 255] });
    let rows: Vec<Row> = db("data").call("double", &params)?;
    let Row { n, less, price, bytes } = &rows[0];
    let denied = db_error(db("data").call::<u64>("forbidden", &json!({})));
    Ok(json!({ "n": n.to_string(), "less": less.to_string(), "price": price, "bytes": bytes, "denied": denied }))
}

#[wflo::data]
struct Answer {
    count: u32,
    words: Vec<String>,
}

#[wflo::step]
fn models() -> wflo::Result<Value> {
    let chat = llm::chat("gpt-4").system("Be terse.").user("漢字?").max_tokens(50).temperature(0.0).seed(7).send()?;
    let structured: Answer = llm::chat("gpt-4").user("Count.").json()?;
    let analyzed: Answer = llm::analyze("gpt-4").data(&[1, 2]).prompt("Count.").json()?;
    let classified = llm::classify("gpt-4").text("give it back").one_of(["refund", "question"])?;
    let transformed: Vec<Answer> = llm::transform("gpt-4").rows(&[1, 2, 3]).instructions("Count.").json()?;
    let validated = llm::validate("gpt-4").data(&[1]).rules(["no number twice"])?;
    let code = llm::generate_code("gpt-4").language("Python").requirements(&["print"])?;
    let moderated = llm::moderate("gpt-4").content("spam").policies(["No spam"])?;
    let drawn: Answer = llm::synthesize("gpt-4").data(&[1, 2]).prompt("Count.").json()?;
    Ok(json!({
        "text": chat.text, "finish_reason": chat.finish_reason, "tokens": chat.usage.output_tokens > 0,
        "structured": structured, "analyzed": analyzed, "category": classified.category,
        "transformed": transformed.len(), "verdicts": validated.verdicts.len(), "code": code.code.is_empty(),
        "moderated": moderated.verdict, "drawn": drawn,
    }))
}

#[wflo::step]
fn model_errors() -> wflo::Result<Vec<&'static str>> {
    use llm::Error;
    let kind = |result: Result<String, Error>| match result {
        Ok(_) => "none",
        Err(Error::AccessDenied(_)) => "AccessDenied",
        Err(Error::BudgetExceeded(_)) => "BudgetExceeded",
        Err(Error::Invalid(_)) => "Invalid",
        Err(_) => "other",
    };
    Ok(vec![
        kind(llm::chat("gpt-3.5-turbo").user("Hi").text()),
        kind(llm::chat("gpt-4").user("Hi").text()),
        kind(llm::chat("gpt-4").text()),
    ])
}

#[wflo::step]
fn requests(ctx: Context) -> wflo::Result<Value> {
    use http::Error;
    let site = format!("http://127.0.0.1:{}", ctx.input::<u32>("port")?);
    let got: Value = http::get(format!("{site}/api/json")).query("q", "a b&ü").json()?;
    let body = json!({ "text": "漢字", "list": [1, 2] });
    let posted: Value = http::post(format!("{site}/api/echo")).body_json(&body)?.json()?;
    let large = "ü".repeat(100_000);
    let echoed = http::post(format!("{site}/api/echo")).body(large.clone()).text()?;
    let moved = http::get(format!("{site}/api/moved")).text()?;
    let status = match http::get(format!("{site}/api/missing")).text() {
        Err(Error::Status { status, body }) => json!([status, body]),
        other => json!(format!("{other:?}")),
    };
    let denied = matches!(http::get(format!("{site}/private")).send(), Err(Error::AccessDenied(_)));
    let key = wflo::secret("key")?;
    let header = http::get(format!("{site}/api/header")).header("x-key", format!("Key {key}")).text()?;
    let secret = matches!(wflo::secret("other"), Err(SecretError::AccessDenied(_)));
    Ok(json!({
        "got": got, "posted": posted, "echoed": echoed == large, "moved": moved, "status": status,
        "denied": denied, "secret": secret, "header": header.contains("s3cret"), "key": key.as_str() != "s3cret-of-the-host",
    }))
}

#[wflo::step]
fn people(ctx: Context) -> wflo::Result<Value> {
    let decision = Ask::new("Go on? ü").details(&json!({ "n": 1 })).approvers(["alice"]).quorum(1).decide()?;
    let status = if decision.is_approved() { "approved" } else { "other" };
    let votes: Vec<_> = decision.votes.iter().map(|vote| json!([vote.by, vote.approved, vote.comment])).collect();
    let last = ctx.decision().is_some_and(|last| last.is_approved());
    let nobody = Ask::new("Nobody").decide().is_err();
    Ok(json!({ "status": status, "votes": votes, "last": last, "nobody": nobody }))
}

#[wflo::step]
fn facts() -> wflo::Result<Value> {
    let unopposed = wflo::fact("score", 5)?.permits();
    let denied = matches!(wflo::fact("other", 5), Err(FactError::AccessDenied(_)));
    let refused = matches!(wflo::fact("score", 500), Err(FactError::RefusedByPolicy(name)) if name == "too_high");
    Ok(json!({ "unopposed": unopposed, "denied": denied, "refused": refused }))
}

#[wflo::step]
fn cost(ctx: Context) -> wflo::Result<bool> {
    wflo::info!("spent ü", usd = "0.0125", list = [1, 2], nothing = None::<u8>);
    ctx.report_cost("cloud", "0.0125", "an hour")?;
    Ok(ctx.report_cost("cloud", "much", "").is_err())
}

#[wflo::step]
fn fail(ctx: Context) -> wflo::Result<u32> {
    if ctx.attempt() > 1 {
        return Ok(ctx.attempt());
    }
    match ctx.item::<String>()?.as_str() {
        "permanent" => Err(wflo::permanent("no: ü")),
        "retryable" => Err(wflo::retryable("later")),
        "redo" => Err(wflo::redo("again")),
        _ => Err("x".parse::<u32>().map(drop).expect_err("it is no number").into()),
    }
}

#[wflo::step(compensate = undo)]
fn effect(ctx: Context) -> wflo::Result<Value> {
    let site = format!("http://127.0.0.1:{}", ctx.input::<u32>("port")?);
    http::post(format!("{site}/api/echo")).body("e-1").text()?;
    Ok(json!({ "id": "e-1", "text": "ü" }))
}

fn undo(_ctx: Context, undo: Undo) -> wflo::Result<()> {
    let output: Value = undo.output()?;
    db("data").execute(
        "INSERT INTO undone (step, output, certain) VALUES (?1, ?2, ?3)",
        params![&undo.step, output["id"].as_str(), undo.certain],
    )?;
    Ok(())
}

#[wflo::step]
fn messages() -> wflo::Result<Value> {
    use mail::Error;
    let id = mail::to("ann@example.org").and_to("bob@example.org").subject("Grüße").text("Hello ü").answers("1@example.org");
    let id = id.send()?;
    wflo::notify("slack://team", "told ü", "what was done")?;
    fn kind<T>(result: Result<T, Error>) -> &'static str {
        match result {
            Ok(_) => "none",
            Err(Error::AccessDenied(_)) => "AccessDenied",
            Err(Error::Invalid(_)) => "Invalid",
            Err(_) => "other",
        }
    }
    Ok(json!({
        "id": id.as_str().contains('@'),
        "denied": [kind(mail::send("ann@example.com", "s", "t")), kind(wflo::notify("slack://other", "s", "t"))],
        "invalid": [kind(mail::send("ann@example.org", "s\ns", "t")), kind(wflo::notify("slack://team", "s\ns", "t"))],
    }))
}

#[wflo::step]
fn publish(ctx: Context) -> wflo::Result<Value> {
    use http::Error;
    let site = format!("http://127.0.0.1:{}", ctx.input::<u32>("port")?);
    let posted: Value = wflo::publish(format!("{site}/api/echo"), &json!({ "title": "ü" }))?.json()?;
    let denied = match wflo::publish(format!("{site}/private"), &json!(1)) {
        Err(Error::AccessDenied(_)) => "AccessDenied",
        _ => "other",
    };
    let missing = match wflo::publish(format!("{site}/api/missing"), &json!(1)) {
        Err(Error::Status { status, .. }) => status,
        _ => 0,
    };
    Ok(json!({ "posted": posted, "denied": denied, "missing": missing }))
}

#[wflo::step]
fn knowledge() -> wflo::Result<Value> {
    use wflo::KnowledgeError as Error;
    let kind = |result: Result<_, Error>| match result {
        Ok(_) => "none",
        Err(Error::AccessDenied(_)) => "AccessDenied",
        Err(Error::Invalid(_)) => "Invalid",
        Err(_) => "other",
    };
    let found = wflo::knowledge("help").top(1).search("are worn shoes taken back?")?;
    let answer = llm::answer("gpt-4").question("are worn shoes taken back?").top(1).from("help")?;
    let none = llm::answer("gpt-4").question("zyzzyva").from("help")?;
    Ok(json!({
        "source": found[0].source, "title": found[0].title, "found": found.len(), "score": found[0].score > 0.0,
        "denied": kind(wflo::knowledge("other").search("shoes")), "invalid": kind(wflo::knowledge("help").search("")),
        "answered": answer.answered, "cited": answer.citations.iter().map(|it| &it.source).collect::<Vec<_>>(),
        "unanswered": none.answered,
    }))
}

#[wflo::data]
struct Named {
    id: u32,
    name: Option<String>,
}

#[wflo::step]
fn artifacts(ctx: Context) -> wflo::Result<Value> {
    use artifact::Error;
    use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
    let site = format!("http://127.0.0.1:{}", ctx.input::<u32>("port")?);
    fn kind<T>(result: Result<T, Error>) -> &'static str {
        match result {
            Ok(_) => "none",
            Err(Error::AccessDenied(_)) => "AccessDenied",
            Err(Error::Unknown(_)) => "Unknown",
            Err(Error::Invalid(_)) => "Invalid",
            Err(_) => "other",
        }
    }
    let mut writer = artifact::create("rows.jsonl")?;
    for (id, name) in [(1, Some("ü")), (2, None), (3, Some("漢字"))] {
        writer.row(&Named { id, name: name.map(Into::into) })?;
    }
    let rows = writer.finish()?;
    let mut writer = artifact::create("rows.csv")?;
    writer.write_all(b"id,name\r\n4,four\r\n5,\r\n")?;
    let csv = writer.finish()?;
    let names = rows.open()?.rows::<Named>().map(|row| row.map(|row| row.name)).collect::<Result<Vec<_>, _>>()?;
    let (mut reader, mut middle) = (artifact::open("rows.jsonl")?, [0; 6]);
    reader.seek(SeekFrom::Start(8))?;
    reader.read_exact(&mut middle)?;
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
    let mut writer = artifact::create("large.bin")?;
    writer.write_all(&bytes)?;
    let (mut reader, mut back) = (writer.finish()?.open()?, Vec::new());
    reader.read_to_end(&mut back)?;
    let large = json!([reader.size(), back.iter().map(|byte| u64::from(*byte)).sum::<u64>()]);
    let saved = http::get(format!("{site}/api/json")).save("page.json")?;
    let mut page = String::new();
    saved.open()?.read_to_string(&mut page)?;
    let page: Value = wflo::serde_json::from_str(&page)?;
    Ok(json!({
        "rows": rows, "csv": csv, "names": names, "middle": String::from_utf8_lossy(&middle), "large": large,
        "saved": page["text"],
        "errors": [
            kind(artifact::open("nothing")), kind(artifact::create("rows.jsonl")),
            kind(http::get(format!("{site}/private")).save("private")),
        ],
    }))
}

#[wflo::step]
fn rows(ctx: Context) -> wflo::Result<Value> {
    #[wflo::data]
    struct Made {
        rows: wflo::Artifact,
        csv: wflo::Artifact,
    }
    let made: Made = ctx.output_of("artifacts")?;
    let inserted = db("data").bulk_insert("bulk", &made.rows).json_lines()?;
    let csv = db("data").bulk_insert("bulk", &made.csv).columns(["id", "name"]).csv()?;
    let names: Vec<Option<String>> = db("data").query_as("SELECT name FROM bulk ORDER BY id", params![])?;
    Ok(json!({
        "inserted": inserted, "csv": csv, "names": names,
        "denied": db_error(db("data").bulk_insert("secrets", &made.rows).json_lines()),
        "wrong": db_error(db("data").bulk_insert("bulk", &made.csv).json_lines()),
    }))
}

#[wflo::step]
fn infra() -> wflo::Result<Value> {
    use wflo::terraform::Error;
    fn kind<T>(result: Result<T, Error>) -> &'static str {
        match result {
            Ok(_) => "none",
            Err(Error::AccessDenied(_)) => "AccessDenied",
            Err(Error::Invalid(_)) => "Invalid",
            Err(_) => "other",
        }
    }
    let prod = wflo::terraform("prod");
    let before = prod.state()?;
    let plan = prod.plan([("main.tf", "output \"size\" {\n  value = \"large\"\n}\n")])?;
    let applied = prod.apply(&plan.digest)?;
    let outputs: Vec<_> = plan.outputs.iter().map(|it| json!([it.address, format!("{:?}", it.action).to_lowercase()])).collect();
    Ok(json!({
        "before": before.outputs["size"], "outputs": outputs, "counts": [plan.adds, plan.changes, plan.destroys],
        "after": applied.outputs["size"], "serial": applied.serial > before.serial,
        "invalid": kind(prod.plan([("main.tf", "output {")])), "denied": kind(wflo::terraform("other").state()),
    }))
}

wflo::export!(
    context, after, skipped, values, large, pages, db_errors, named, models, model_errors, requests, people, facts, cost, fail,
    effect, messages, publish, knowledge, artifacts, rows, infra
);
