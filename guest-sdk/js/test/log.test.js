// What is logged, on a host that this file plays.
import assert from "node:assert/strict";
import { register } from "node:module";
import { test } from "node:test";

register("./host.js", import.meta.url);
const { begin, console: ours, log } = await import("../src/log.js");

test("what is logged while the component is made is logged once there is a host", () => {
  ours.log("made", { n: 1 });
  assert.deepEqual(globalThis.logged, []);
  begin();
  begin();
  log.warn("asked");
  assert.deepEqual(globalThis.logged, [
    ["info", "", '{"message":"made","n":1}'],
    ["warn", "", '{"message":"asked"}'],
  ]);
});

/** What is logged meanwhile: levels and lines. */
function logged(call) {
  begin();
  globalThis.logged.length = 0;
  call();
  return globalThis.logged.map(([level, , text]) => [level, JSON.parse(text)]);
}

test("an error in a field is what it says, and its causes", () => {
  const error = new TypeError("boom", { cause: new Error("why") });
  const expected = [["error", { message: "failed", error: "TypeError: boom: why", order: "o-1" }]];
  assert.deepEqual(logged(() => ours.error("failed", { error, order: "o-1" })), expected);
  assert.deepEqual(logged(() => log.error("failed", error)), [["error", { message: "failed", error: "TypeError: boom: why" }]]);
  const [[, { message }]] = logged(() => ours.error("failed:", error));
  assert.match(message, /^failed: TypeError: boom: why\n.*at /s);
});

test("a field that is no JSON leaves the others", () => {
  const loop = {};
  loop.self = loop;
  const [[level, line]] = logged(() => log.info("blocked", { count: 3, loop, big: 2n ** 60n }));
  assert.equal(level, "info");
  assert.match(line.loop, /^the value is no JSON: /);
  assert.deepEqual({ ...line, loop: 0 }, { message: "blocked", count: 3, loop: 0, big: String(2n ** 60n) });
});

test("what is printed is filled in", () => {
  const cases = [
    [["%s has %d of %i%%: %j", "ü", 1.5, "7", [1]], { message: "ü has 1.5 of 7%: [1]" }],
    [["%o", { a: 1 }], { message: '{"a":1}' }],
    [["50%done", { n: 1 }], { message: "50%done", n: 1 }],
    [["%s and %s", "one"], { message: "one and %s" }],
    [["100%s"], { message: "100%s" }],
    [["%cred", "color: red", 1n, undefined, null], { message: "red 1 undefined null" }],
    [[{ a: 1 }], { message: '{"a":1}' }],
    [[function named() {}, Symbol("s")], { message: "[function named] Symbol(s)" }],
  ];
  for (const [said, line] of cases) assert.deepEqual(logged(() => ours.log(...said)), [["info", line]]);
});

test("what others print with is there", () => {
  const lines = logged(() => {
    ours.group("begun");
    ours.table([{ a: 1 }]);
    ours.dir({ a: 1 });
    ours.groupEnd();
    ours.assert(true, "never");
    ours.assert(false, "%s is", 1, { n: 1 });
    ours.count();
    ours.count();
    ours.time("t");
    ours.timeEnd("t");
  }).map(([level, { message }]) => `${level} ${message.replace(/\d+ ms/, "0 ms")}`);
  assert.deepEqual(lines, [
    "info begun",
    'info [{"a":1}]',
    'info {"a":1}',
    "error Assertion failed: 1 is",
    "info default: 1",
    "info default: 2",
    "info t: 0 ms",
  ]);
});
