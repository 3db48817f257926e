// What every SDK must do, in JavaScript.

import {
  HttpStatus,
  WfloError,
  artifact,
  ask,
  db,
  decimal,
  fact,
  knowledge,
  llm,
  mail,
  notify,
  permanent,
  publish,
  redo,
  retryable,
  secret,
  step,
  terraform,
} from "@wflo/sdk";

// While the component is made there is no host: it is logged when there is one. `fetch` is a global as well.
console.log("read");

const data = db("data");

/** The class of the error that a promise is rejected with. */
const error = async (promise) => {
  try {
    await promise;
    return "none";
  } catch (error) {
    return error instanceof WfloError ? error.constructor.name : String(error);
  }
};

step("context", async (context) => ({
  inputs: { ...context.inputs, port: null },
  item: context.item ?? null,
  attempt: context.attempt,
  step: context.step,
  run_id: context.runId.length,
  stranger: context.steps.after ?? null,
  decision: context.decision !== undefined,
}));

step("after", async (context) => {
  const { text, list } = context.steps.context.output.inputs;
  return { text, list, skipped: context.steps.skipped?.output ?? null };
});

step("skipped", () => null);

step("values", async ({ inputs: { text } }) => {
  const changed = await data.execute(
    "INSERT INTO kept (n, safe, r, t, b, d, x, yes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [-(2n ** 63n) + 1n, 9007199254740993n, 0.1, text, new Uint8Array([0, 9, 10, 255]), decimal("12.50"), null, true],
  );
  const row = await data.first("SELECT n, safe, r, t, b, d, x, yes FROM kept WHERE id > ?1 ORDER BY id", [0]);
  const none = await data.query("SELECT n FROM kept WHERE id = ?1", [-1]);
  return {
    changed,
    columns: Object.keys(row),
    n: String(row.n),
    safe: String(row.safe),
    r: row.r,
    text: row.t === text,
    b: row.b,
    d: row.d,
    x: row.x,
    yes: row.yes,
    none: none.length,
  };
});

step("large", async () => {
  const { t } = await data.first("SELECT printf('%.*c', 1000000, 'x') AS t");
  const { n } = await data.first("SELECT length(?1) AS n", ["ü".repeat(500_000)]);
  const rows = await data.query(
    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5000) SELECT n FROM c",
  );
  const sum = rows.reduce((sum, row) => sum + row.n, 0);
  return { length: t.length, sent: n, sum, text: "é".repeat(100_000) };
});

step("pages", async () => {
  const numbers = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5000) SELECT n FROM c ORDER BY n";
  const sizes = [];
  let sum = 0;
  for await (const page of data.pages(numbers, [], { most: 2000 })) {
    sizes.push(page.length);
    sum += page.reduce((sum, { n }) => sum + n, 0);
  }
  return { sizes, sum, denied: await error(data.pages("SELECT id FROM secrets").next()) };
});

step("db_errors", async () => {
  const insert = () => data.execute("INSERT INTO once (id) VALUES (?1)", ["a"]);
  return [
    await error(data.query("SELEC 1")),
    await error(data.query("SELECT id FROM secrets")),
    await error(db("other").query("SELECT 1")),
    await error(insert()),
    await error(insert()),
  ];
});

step("named", async () => {
  const [row] = await data.call("double", { n: 9007199254740993n, price: decimal("0.10"), bytes: new Uint8Array([0, 255]) });
  return {
    n: String(row.n),
    less: String(row.less),
    price: row.price,
    bytes: row.bytes,
    denied: await error(data.call("forbidden")),
  };
});

const ANSWER = {
  type: "object",
  properties: { count: { type: "integer" }, words: { type: "array", items: { type: "string" } } },
  required: ["count", "words"],
  additionalProperties: false,
};

step("models", async () => {
  const model = "gpt-4";
  const chat = await llm.complete({ model, system: "Be terse.", prompt: "漢字?", maxTokens: 50, temperature: 0, seed: 7 });
  const structured = await llm.complete({ model, prompt: "Count.", schema: ANSWER });
  const analyzed = await llm.analyze({ model, data: [1, 2], prompt: "Count.", schema: ANSWER });
  const classified = await llm.classify({ model, text: "give it back", categories: ["refund", "question"] });
  const transformed = await llm.transform({ model, data: [1, 2, 3], instructions: "Count.", schema: ANSWER });
  const validated = await llm.validate({ model, data: [1], rules: ["no number twice"] });
  const code = await llm.generateCode({ model, language: "Python", requirements: ["print"] });
  const moderated = await llm.moderate({ model, content: "spam", policies: ["No spam"] });
  const drawn = await llm.synthesize.withUsage({ model, data: [1, 2], prompt: "Count.", schema: ANSWER });
  return {
    text: chat.text,
    finish_reason: chat.finishReason,
    tokens: chat.usage.outputTokens > 0 && drawn.usage.outputTokens > 0,
    structured: structured.json(),
    analyzed,
    category: classified.category,
    transformed: transformed.length,
    verdicts: validated.verdicts.length,
    code: code.code === "",
    moderated: moderated.verdict,
    drawn: drawn.value,
  };
});

step("model_errors", async () => [
  await error(llm.complete({ model: "gpt-3.5-turbo", prompt: "Hi" })),
  await error(llm.complete({ model: "gpt-4", prompt: "Hi" })),
  await error(llm.complete({ model: "gpt-4" })),
]);

step("requests", async ({ inputs: { port } }) => {
  const site = `http://127.0.0.1:${port}`;
  const body = { text: "漢字", list: [1, 2] };
  const [got, posted] = await Promise.all([
    fetch(`${site}/api/json?q=a%20b%26%C3%BC`).then((response) => response.json()),
    fetch(`${site}/api/echo`, { method: "POST", json: body }).then((response) => response.json()),
  ]);
  const large = "ü".repeat(100_000);
  const echoed = await (await fetch(`${site}/api/echo`, { method: "POST", body: large })).text();
  const moved = await (await fetch(`${site}/api/moved`)).text();
  let status;
  try {
    (await fetch(`${site}/api/missing`)).success();
  } catch (error) {
    status = error instanceof HttpStatus ? [error.status, error.body] : String(error);
  }
  const key = await secret("key");
  const header = await (await fetch(`${site}/api/header`, { headers: { "x-key": `Key ${key}` } })).text();
  return {
    got,
    posted,
    echoed: echoed === large,
    moved,
    status,
    denied: (await error(fetch(`${site}/private`))) === "AccessDenied",
    secret: (await error(secret("other"))) === "AccessDenied",
    header: header.includes("s3cret"),
    key: key !== "s3cret-of-the-host",
  };
});

step("people", async (context) => {
  const decision = await ask({ summary: "Go on? ü", details: { n: 1 }, approvers: ["alice"], quorum: 1 });
  return {
    status: decision.status,
    votes: decision.votes.map(({ by, approved, comment }) => [by, approved, comment]),
    last: context.decision?.approved ?? false,
    nobody: (await error(ask({ summary: "Nobody", approvers: [] }))) === "Invalid",
  };
});

step("facts", async () => ({
  unopposed: (await fact("score", 5)) === "unopposed",
  denied: (await error(fact("other", 5))) === "AccessDenied",
  refused: (await error(fact("score", 500))) === "RefusedByPolicy",
}));

step("cost", async (context) => {
  console.info("spent ü", { usd: "0.0125", list: [1, 2], nothing: null });
  await context.reportCost("cloud", "0.0125", "an hour");
  return (await error(context.reportCost("cloud", "much"))) === "Invalid";
});

step("fail", async (context) => {
  if (context.attempt > 1) return context.attempt;
  await new Promise((resolve) => setTimeout(resolve, 5));
  switch (context.item) {
    case "permanent":
      throw permanent("no: ü");
    case "retryable":
      throw retryable("later");
    case "redo":
      throw redo("again");
    default:
      return context.nothing.there;
  }
});

step(
  "effect",
  {
    compensate: async (_, undo) => {
      await data.execute("INSERT INTO undone (step, output, certain) VALUES (?1, ?2, ?3)", [
        undo.step,
        undo.output.id,
        undo.certain,
      ]);
    },
  },
  async ({ inputs: { port } }) => {
    (await fetch(`http://127.0.0.1:${port}/api/echo`, { method: "POST", body: "e-1" })).success();
    return { id: "e-1", text: "ü" };
  },
);

step("messages", async () => {
  const id = await mail({ to: ["ann@example.org", "bob@example.org"], subject: "Grüße", text: "Hello ü", answers: "1@example.org" });
  await notify("slack://team", "told ü", "what was done");
  return {
    id: id.includes("@"),
    denied: [await error(mail({ to: "ann@example.com", subject: "s", text: "t" })), await error(notify("slack://other", "s", "t"))],
    invalid: [await error(mail({ to: "ann@example.org", subject: "s\ns", text: "t" })), await error(notify("slack://team", "s\ns", "t"))],
  };
});

step("publish", async ({ inputs: { port } }) => {
  const site = `http://127.0.0.1:${port}`;
  const posted = await (await publish(`${site}/api/echo`, { title: "ü" })).json();
  let missing;
  try {
    await publish(`${site}/api/missing`, 1);
  } catch (error) {
    missing = error.status;
  }
  return { posted, denied: await error(publish(`${site}/private`, 1)), missing };
});

step("knowledge", async () => {
  const question = "are worn shoes taken back?";
  const found = await knowledge("help").search(question, { top: 1 });
  const answer = await llm.answer({ model: "gpt-4", question, knowledge: "help", top: 1 });
  const none = await llm.answer({ model: "gpt-4", question: "zyzzyva", knowledge: "help" });
  return {
    source: found[0].source,
    title: found[0].title,
    found: found.length,
    score: found[0].score > 0,
    denied: await error(knowledge("other").search("shoes")),
    invalid: await error(knowledge("help").search("")),
    answered: answer.answered,
    cited: answer.citations.map(({ source }) => source),
    unanswered: none.answered,
  };
});

step("artifacts", async ({ inputs: { port } }) => {
  const site = `http://127.0.0.1:${port}`;
  const lines = await artifact.create("rows.jsonl");
  for (const [id, name] of [[1, "ü"], [2, null], [3, "漢字"]]) await lines.row({ id, name });
  const rows = await lines.finish();
  const text = await artifact.create("rows.csv");
  await text.write("id,name\r\n4,four\r\n5,\r\n");
  const csv = await text.finish();
  const names = [];
  for await (const { name } of (await artifact.open(rows)).rows()) names.push(name);
  const reader = await artifact.open("rows.jsonl");
  reader.seek(8);
  const middle = new TextDecoder().decode(await reader.read(6));
  const bytes = await artifact.create("large.bin");
  await bytes.write(Uint8Array.from({ length: 1_000_000 }, (_, at) => at % 251));
  const large = await artifact.open(await bytes.finish());
  const sum = (await large.bytes()).reduce((sum, byte) => sum + byte, 0);
  const page = await artifact.open(await artifact.save(`${site}/api/json`, "page.json"));
  return {
    rows,
    csv,
    names,
    middle,
    large: [large.size, sum],
    saved: JSON.parse(await page.text()).text,
    errors: [
      await error(artifact.open("nothing")),
      await error(artifact.create("rows.jsonl")),
      await error(artifact.save(`${site}/private`, "private")),
    ],
  };
});

step("rows", async (context) => {
  const { rows, csv } = context.steps.artifacts.output;
  return {
    inserted: await data.bulkInsert("bulk", rows),
    csv: await data.bulkInsert("bulk", csv, { format: "csv", columns: ["id", "name"] }),
    names: (await data.query("SELECT name FROM bulk ORDER BY id")).map(({ name }) => name),
    denied: await error(data.bulkInsert("secrets", rows)),
    wrong: await error(data.bulkInsert("bulk", csv)),
  };
});

step("infra", async () => {
  const prod = terraform("prod");
  const before = await prod.state();
  const plan = await prod.plan({ "main.tf": 'output "size" {\n  value = "large"\n}\n' });
  const applied = await prod.apply(plan.digest);
  return {
    before: before.outputs.size,
    outputs: plan.outputs.map(({ address, action }) => [address, action]),
    counts: [plan.adds, plan.changes, plan.destroys],
    after: applied.outputs.size,
    serial: applied.serial > before.serial,
    invalid: await error(prod.plan({ "main.tf": "output {" })),
    denied: await error(terraform("other").state()),
  };
});
