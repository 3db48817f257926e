// The promises of a step, on a host that this file plays.
import assert from "node:assert/strict";
import { register } from "node:module";
import { test } from "node:test";

register("./host.js", import.meta.url);
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
