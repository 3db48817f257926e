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
