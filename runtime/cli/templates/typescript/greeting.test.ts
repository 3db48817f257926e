import assert from "node:assert/strict";
import { test } from "node:test";
import { greeting } from "./greeting.ts";

test("a name is greeted", () => {
  assert.equal(greeting(" Ada "), "Hello, Ada!");
});
