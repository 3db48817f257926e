"""What every SDK must do, in Python."""

import asyncio
import json
import logging
from dataclasses import dataclass
from decimal import Decimal

from wflo import Context, HttpStatus, Undo, Verdict, WfloError, permanent, redo, retryable, step


async def error(awaitable) -> str:
    """The class of the error that is raised."""
    try:
        await awaitable
    except WfloError as raised:
        return type(raised).__name__
    return "none"


@step
async def context(context: Context):
    return {
        "inputs": {**context.inputs, "port": None},
        "item": context.item,
        "attempt": context.attempt,
        "step": context.step,
        "run_id": len(context.run_id),
        "stranger": context.steps.get("after"),
        "decision": context.approval is not None,
    }


@step
async def after(context: Context):
    inputs = context.steps["context"].output.inputs
    skipped = context.steps["skipped"].output if "skipped" in context.steps else None
    return {"text": inputs.text, "list": inputs["list"], "skipped": skipped}


@step
def skipped():
    return None


@dataclass
class Inputs:
    text: str


@step
async def values(context: Context[Inputs]):
    text = context.inputs.text
    changed = await context.db.execute(
        "INSERT INTO kept (n, safe, r, t, b, d, x, yes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        -(2**63) + 1,
        9007199254740993,
        0.1,
        text,
        bytes([0, 9, 10, 255]),
        Decimal("12.50"),
        None,
        True,
    )
    row = await context.db("data").first("SELECT n, safe, r, t, b, d, x, yes FROM kept WHERE id > ? ORDER BY id", 0)
    none = await context.db.query("SELECT n FROM kept WHERE id = ?1", -1)
    return {
        "changed": changed,
        "columns": list(row),
        "n": str(row.n),
        "safe": str(row.safe),
        "r": row.r,
        "text": row.t == text,
        "b": row.b,
        "d": row.d,
        "x": row.x,
        "yes": row.yes,
        "none": len(none),
    }


@step
async def large(context: Context):
    row = await context.db.first("SELECT printf('%.*c', 1000000, 'x') AS t")
    sent = await context.db.first("SELECT length(?1) AS n", "ü" * 500_000)
    rows = await context.db.query(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5000) SELECT n FROM c"
    )
    return {"length": len(row.t), "sent": sent.n, "sum": sum(row.n for row in rows), "text": "é" * 100_000}


@step
async def pages(context: Context):
    numbers = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5000) SELECT n FROM c ORDER BY n"
    sizes, sum_ = [], 0
    async for page in context.db.pages(numbers, most=2000):
        sizes.append(len(page))
        sum_ += sum(row.n for row in page)
    denied = await error(anext(context.db.pages("SELECT id FROM secrets")))
    return {"sizes": sizes, "sum": sum_, "denied": denied}


@step
async def db_errors(context: Context):
    def insert():
        return context.db.execute("INSERT INTO once (id) VALUES (?1)", "a")

    return [
        await error(context.db.query("SELEC 1")),
        await error(context.db.query("SELECT id FROM secrets")),
        await error(context.db("other").query("SELECT 1")),
        await error(insert()),
        await error(insert()),
    ]


@step
async def named(context: Context):
    (row,) = await context.db.double(9007199254740993, price=Decimal("0.10"), bytes=b"\x00\xff")
    denied = await error(context.db.call("forbidden"))
    return {"n": str(row.n), "less": str(row.less), "price": row.price, "bytes": row.bytes, "denied": denied}


@dataclass
class Answer:
    count: int
    words: list[str]


@step
async def models(context: Context):
    llm, model = context.llm, "gpt-4"
    chat = await llm.complete(model=model, system="Be terse.", prompt="漢字?", max_tokens=50, temperature=0.0, seed=7)
    structured = await llm.complete(model=model, prompt="Count.", schema=Answer)
    analyzed = await llm.analyze(model=model, data=[1, 2], prompt="Count.", schema=Answer)
    classified = await llm.classify(model=model, text="give it back", categories=["refund", "question"])
    transformed = await llm.transform(model=model, data=[1, 2, 3], instructions="Count.", schema=Answer)
    validated = await llm.validate(model=model, data=[1], rules=["no number twice"])
    code = await llm.generate_code(model=model, language="Python", requirements=["print"])
    moderated = await llm.moderate(model=model, content="spam", policies=["No spam"])
    drawn = await llm.synthesize(model=model, data=[1, 2], prompt="Count.", schema=Answer)
    return {
        "text": chat.text,
        "finish_reason": chat.finish_reason,
        "tokens": chat.usage.output_tokens > 0 and llm.last_usage.output_tokens > 0,
        "structured": structured.json(),
        "analyzed": analyzed,
        "category": classified.category,
        "transformed": len([row for row in transformed if isinstance(row, Answer)]),
        "verdicts": len(validated.verdicts),
        "code": code.code == "",
        "moderated": moderated.verdict,
        "drawn": drawn,
    }


@step
async def model_errors(context: Context):
    return [
        await error(context.llm.complete(model="gpt-3.5-turbo", prompt="Hi")),
        await error(context.llm.complete(model="gpt-4", prompt="Hi")),
        await error(context.llm.complete(model="gpt-4")),
    ]


@step
async def requests(context: Context):
    fetch = context.http.fetch
    site = f"http://127.0.0.1:{context.inputs['port']}"
    got, posted = await asyncio.gather(
        fetch(f"{site}/api/json", params={"q": "a b&ü"}),
        fetch(f"{site}/api/echo", method="POST", json={"text": "漢字", "list": [1, 2]}),
    )
    large = "ü" * 100_000
    echoed = await fetch(f"{site}/api/echo", method="POST", body=large)
    moved = await fetch(f"{site}/api/moved")
    try:
        (await fetch(f"{site}/api/missing")).success()
    except HttpStatus as raised:
        status = [raised.status, raised.body]
    key = await context.secret("key")
    header = await fetch(f"{site}/api/header", headers={"x-key": f"Key {key}"})
    return {
        "got": got.json(),
        "posted": posted.json(),
        "echoed": echoed.text == large,
        "moved": moved.text,
        "status": status,
        "denied": await error(fetch(f"{site}/private")) == "AccessDenied",
        "secret": await error(context.secret("other")) == "AccessDenied",
        "header": "s3cret" in header.text,
        "key": key != "s3cret-of-the-host",
    }


@step
async def people(context: Context):
    decision = await context.ask("Go on? ü", details={"n": 1}, approvers=["alice"], quorum=1)
    return {
        "status": decision.status,
        "votes": [[vote.by, vote.approved, vote.comment] for vote in decision.votes],
        "last": context.approval is not None and context.approval.approved,
        "nobody": await error(context.ask("Nobody", approvers=[])) == "Invalid",
    }


@step
async def facts(context: Context):
    return {
        "unopposed": await context.fact("score", 5) is Verdict.UNOPPOSED,
        "denied": await error(context.fact("other", 5)) == "AccessDenied",
        "refused": await error(context.fact("score", 500)) == "RefusedByPolicy",
    }


@step
async def cost(context: Context):
    logging.getLogger().info("spent ü", extra={"usd": "0.0125", "list": [1, 2], "nothing": None})
    context.logger.warning("half of a pair, %s", "\ud800", error=ValueError("x"))
    await context.report_cost("cloud", Decimal("0.0125"), "an hour")
    return await error(context.report_cost("cloud", "much")) == "Invalid"


@step
async def fail(context: Context):
    if context.attempt > 1:
        return context.attempt
    await asyncio.sleep(0.005)
    match context.item:
        case "permanent":
            raise permanent("no: ü")
        case "retryable":
            raise retryable("later")
        case "redo":
            raise redo("again")
    return int("x")


@step
async def effect(context: Context):
    site = f"http://127.0.0.1:{context.inputs['port']}"
    (await context.http.fetch(f"{site}/api/echo", method="POST", body="e-1")).success()
    return {"id": "e-1", "text": "ü"}


@effect.compensation
async def undo(context: Context, undo: Undo):
    await context.db.execute(
        "INSERT INTO undone (step, output, certain) VALUES (?1, ?2, ?3)", undo.step, undo.output.id, undo.certain
    )


@step
async def messages(context: Context):
    to = ["ann@example.org", "bob@example.org"]
    id = await context.mail(to, subject="Grüße", text="Hello ü", answers="1@example.org")
    await context.notify("slack://team", "told ü", "what was done")
    return {
        "id": "@" in id,
        "denied": [
            await error(context.mail("ann@example.com", subject="s", text="t")),
            await error(context.notify("slack://other", "s", "t")),
        ],
        "invalid": [
            await error(context.mail("ann@example.org", subject="s\ns", text="t")),
            await error(context.notify("slack://team", "s\ns", "t")),
        ],
    }


@step
async def publish(context: Context):
    site = f"http://127.0.0.1:{context.inputs['port']}"
    posted = await context.http.publish(f"{site}/api/echo", {"title": "ü"})
    try:
        await context.http.publish(f"{site}/api/missing", 1)
    except HttpStatus as raised:
        missing = raised.status
    denied = await error(context.http.publish(f"{site}/private", 1))
    return {"posted": posted.json(), "denied": denied, "missing": missing}


@step
async def knowledge(context: Context):
    question = "are worn shoes taken back?"
    found = await context.search("help", question, top=1)
    answer = await context.llm.answer(model="gpt-4", question=question, knowledge="help", top=1)
    none = await context.llm.answer(model="gpt-4", question="zyzzyva", knowledge="help")
    return {
        "source": found[0].source,
        "title": found[0].title,
        "found": len(found),
        "score": found[0].score > 0,
        "denied": await error(context.search("other", "shoes")),
        "invalid": await error(context.search("help", "")),
        "answered": answer.answered,
        "cited": [citation.source for citation in answer.citations],
        "unanswered": none.answered,
    }


async def opened(context: Context, which):
    context.artifacts.open(which)


async def created(context: Context, name):
    context.artifacts.create(name)


@step
async def artifacts(context: Context):
    site = f"http://127.0.0.1:{context.inputs['port']}"
    writer = context.artifacts.create("rows.jsonl")
    for id, name in ((1, "ü"), (2, None), (3, "漢字")):
        writer.row({"id": id, "name": name})
    rows = writer.finish()
    writer = context.artifacts.create("rows.csv")
    writer.write("id,name\r\n4,four\r\n5,\r\n")
    csv = writer.finish()
    with context.artifacts.open(rows) as reader:
        names = [row.name for row in reader.rows()]
    with context.artifacts.open("rows.jsonl") as reader:
        reader.seek(8)
        middle = reader.read(6).decode()
    writer = context.artifacts.create("large.bin")
    writer.write(bytes(at % 251 for at in range(1_000_000)))
    with context.artifacts.open(writer.finish()) as reader:
        large = [reader.size, sum(reader.readall())]
    with context.artifacts.open(await context.http.save(f"{site}/api/json", "page.json")) as reader:
        saved = json.loads(reader.readall())
    return {
        "rows": rows,
        "csv": csv,
        "names": names,
        "middle": middle,
        "large": large,
        "saved": saved["text"],
        "errors": [
            await error(opened(context, "nothing")),
            await error(created(context, "rows.jsonl")),
            await error(context.http.save(f"{site}/private", "private")),
        ],
    }


@step
async def rows(context: Context):
    made = context.steps["artifacts"].output
    db = context.db
    return {
        "inserted": await db.bulk_insert("bulk", made.rows),
        "csv": await db.bulk_insert("bulk", made.csv, format="csv", columns=["id", "name"]),
        "names": [row.name for row in await db.query("SELECT name FROM bulk ORDER BY id")],
        "denied": await error(db.bulk_insert("secrets", made.rows)),
        "wrong": await error(db.bulk_insert("bulk", made.csv)),
    }


@step
async def infra(context: Context):
    prod = context.terraform("prod")
    before = await prod.state()
    plan = await prod.plan({"main.tf": 'output "size" {\n  value = "large"\n}\n'})
    applied = await prod.apply(plan.digest)
    return {
        "before": before.outputs.size,
        "outputs": [[change.address, change.action] for change in plan.outputs],
        "counts": [plan.adds, plan.changes, plan.destroys],
        "after": applied.outputs.size,
        "serial": applied.serial > before.serial,
        "invalid": await error(prod.plan({"main.tf": "output {"})),
        "denied": await error(context.terraform("other").state()),
    }
