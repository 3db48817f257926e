import { db, log, retryable, step } from "@wflo/sdk";

// QuickJS takes a `bigint` below -2^53 for one that is not less than -2^53 + 1, a number.
step("integers", () => [9007199254740993n, 9007199254740991n, -9007199254740991n, -9007199254740993n, [-(2n ** 63n)]]);

// QuickJS draws the seed of its randomness when the component is made.
const frozen = Math.random();

step("random", () => ({
  numbers: [Math.random(), Math.random()],
  uuid: crypto.randomUUID(),
  bytes: crypto.getRandomValues(new Uint32Array(2)),
  frozen,
}));

// What `JSON.stringify` makes an empty object of.
step("contents", () => {
  const { buffer } = new Uint8Array([1, 2, 3]);
  return {
    buffer,
    part: new DataView(buffer, 1),
    reals: new Float64Array([1.5]),
    units: new Uint16Array([1, 2]),
    set: new Set([new Map([["a", 1]])]),
    pattern: /a+/g,
    error: new TypeError("no", { cause: new Error("why") }),
  };
});

// Text of JavaScript may have half of a surrogate pair, which no UTF-8 has.
step("surrogate", async () => {
  log.info("a\ud800b \ud83d\ude00");
  return { "\udc00": "\ud800x", said: "\\ud800", pair: "\ud83d\ude00", thrown: await Promise.reject("\ud800").catch(String) };
});

step("nothing", ({ item }) => (item === "function" ? () => 1 : item === "symbol" ? Symbol("s") : { rows: Promise.resolve(1) }));

step("logs", () => {
  const loop = {};
  loop.self = loop;
  console.error("failed", { error: new TypeError("no", { cause: new Error("why") }), order: "o-1" });
  log.info("blocked", { count: 3, loop });
  console.log("%s has %d of %j", "ü", 1.5, [1], { n: 1 });
  console.table([{ a: 1 }]);
  console.assert(false, "one is %d", 2);
});

step("fails", () => Promise.any([Promise.reject(new Error("one")), Promise.reject("two")]));

const insert = (id) => db("data").execute("INSERT INTO once (id) VALUES (?1)", [id]);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Nobody awaits these.
step("unheard", async ({ item }) => {
  const late = (async () => {
    if (item === "thrown") throw retryable("the write failed");
    if (item === "constraint") insert("there");
    await Promise.resolve();
    if (item === "later") throw new TypeError("the write failed later");
    if (item === "caught") throw new Error("caught in the end");
  })();
  if (item === "caught") {
    await sleep(2);
    return await late.catch((error) => error.message);
  }
  return "ok";
});

step("goes_on", async () => {
  (async () => {
    await insert("one");
    await insert("two");
    await sleep(10);
    await insert("never");
  })();
  return "ok";
});

step("named", async () => {
  const data = db("data");
  await data.call("put", { id: "named", n: undefined, bytes: new Uint8Array([1, 2, 255]), json: [{ a: 1 }] });
  return data.call("got", { id: "named" });
});

// A library takes `fetch` where it finds it, as it is read.
const found = globalThis.fetch;
const { fetch: taken } = globalThis;

step("requests", async ({ inputs: { port } }) => {
  const response = await found(`http://127.0.0.1:${port}/api/echo`, { method: "POST", body: '{"big":[-9007199254740993]}' });
  return { same: found === taken && found === globalThis.fetch, big: await response.json() };
});
