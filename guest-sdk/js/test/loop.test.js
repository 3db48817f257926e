// The promises of a step, on a host that this file plays.
import assert from "node:assert/strict";
import { register } from "node:module";
import { test } from "node:test";

register("./host.js", import.meta.url);
const { failure, retryable } = await import("../src/errors.js");
const { begin } = await import("../src/log.js");
const { Promise: Ours, clearTimeout, setTimeout, settle } = await import("../src/loop.js");

test("reactions run in order, after what is under way", () => {
  const seen = [];
  const end = settle(
    new Ours((resolve) => {
      Ours.resolve().then(() => seen.push(2)).then(() => seen.push(4));
      Ours.resolve().then(() => seen.push(3)).then(() => resolve("end"));
      seen.push(1);
    }),
  );
  assert.equal(end, "end");
  assert.deepEqual(seen, [1, 2, 3, 4]);
});

test("a rejection is thrown, and can be caught on the way", () => {
  assert.throws(() => settle(Ours.reject(new Error("no"))), /no/);
  assert.equal(settle(Ours.reject(1).catch((n) => n + 1).finally(() => 7)), 2);
  assert.equal(settle(Ours.resolve({ then: (go) => go("thenable") })), "thenable");
  assert.throws(() => settle(new Ours(() => { throw new Error("thrown"); })), /thrown/);
});

test("many are gathered", () => {
  assert.deepEqual(settle(Ours.all([1, Ours.resolve(2), new Ours((go) => setTimeout(() => go(3), 5))])), [1, 2, 3]);
  assert.deepEqual(settle(Ours.all([])), []);
  assert.throws(() => settle(Ours.all([1, Ours.reject(new Error("one"))])), /one/);
  assert.deepEqual(settle(Ours.allSettled([1, Ours.reject(2)])), [{ status: "fulfilled", value: 1 }, { status: "rejected", reason: 2 }]);
  assert.equal(settle(Ours.any([Ours.reject(1), 2])), 2);
  assert.throws(() => settle(Ours.any([Ours.reject(1)])), /all promises were rejected/);
  assert.equal(settle(Ours.race([new Ours(() => {}), 4])), 4);
});

test("timers wake it in their order", () => {
  const seen = [];
  const { promise, resolve } = Ours.withResolvers();
  setTimeout(() => seen.push("late"), 20);
  setTimeout(resolve, 30, "end");
  clearTimeout(setTimeout(() => seen.push("never"), 5));
  setTimeout(() => seen.push("early"), 10);
  assert.equal(settle(promise), "end");
  assert.deepEqual(seen, ["early", "late"]);
});

test("who waits for nothing is told", () => {
  assert.throws(() => settle(new Ours(() => {})), /nothing will settle/);
});

test("a rejection that nobody awaits is not lost", () => {
  begin();
  const failed = (call) => {
    globalThis.logged.length = 0;
    let thrown;
    assert.throws(() => settle(new Ours(call)), (error) => Boolean((thrown = error)));
    return [failure(thrown), globalThis.logged.map(([level, , text]) => [level, JSON.parse(text).error])];
  };
  const write = () => new Ours((_, reject) => Ours.resolve().then(() => reject(retryable("the write failed"))));
  const said = "a promise was rejected and nobody awaited it: the write failed";
  assert.deepEqual(
    failed((resolve) => resolve(write() && "ok")),
    [{ tag: "retryable", val: said }, [["error", "the write failed"]]],
  );
  // Where the step fails by itself, that is why; the other is logged.
  assert.deepEqual(
    failed((_, reject) => write().then(undefined, undefined) && setTimeout(reject, 1, "why")),
    [{ tag: "permanent", val: "why" }, [["error", "the write failed"]]],
  );
  // What is awaited in the end was not lost.
  const late = write();
  assert.equal(settle(new Ours((resolve) => setTimeout(() => late.catch(() => resolve("caught")), 5))), "caught");
  assert.equal(settle(Ours.all([write(), write()]).catch(() => "all")), "all");
  assert.equal(settle(Ours.race([1, write()])), 1);
  assert.deepEqual(settle(Ours.allSettled([write()]).then((ends) => ends.length)), 1);
  assert.equal(settle(write().finally(() => {}).catch(() => "finally")), "finally");
});

test("what is not awaited goes on until it waits", () => {
  const seen = [];
  Ours.resolve().then(() => seen.push(1)).then(() => setTimeout(() => seen.push("never"), 1)).then(() => seen.push(2));
  assert.equal(settle("end"), "end");
  assert.deepEqual(seen, [1, 2]);
});
