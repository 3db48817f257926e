// Randomness, on a host that this file plays.
import assert from "node:assert/strict";
import { register } from "node:module";
import { test } from "node:test";

register("./host.js", import.meta.url);
const { begin } = await import("../src/log.js");
const { crypto, random } = await import("../src/random.js");

test("while the component is made there is nothing to draw from", () => {
  assert.ok(random() < 1);
  assert.throws(() => crypto.randomUUID(), /while a step runs/);
});

test("what is drawn is the host's", () => {
  begin();
  const drawn = Array.from({ length: 100 }, random);
  assert.ok(drawn.every((number) => number >= 0 && number < 1));
  assert.equal(new Set(drawn).size, 32);
  assert.equal(crypto.randomUUID(), "80818283-8485-4687-8889-8a8b8c8d8e8f");
  assert.deepEqual(crypto.getRandomValues(new Uint16Array(2)), new Uint16Array([0x9190, 0x9392]));
  assert.throws(() => crypto.getRandomValues(new Float64Array(1)), TypeError);
  assert.throws(() => crypto.getRandomValues(new Uint8Array(65_537)), RangeError);
});
