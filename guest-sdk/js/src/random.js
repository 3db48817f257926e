// Randomness, which is the host's: it follows from the run, the step, the item and the attempt, so that no two are alike and
// one that is played again draws the same. The engine's own is fixed when the component is made.

import { getInsecureRandomBytes } from "wasi:random/insecure@0.2.12";
import { getRandomBytes } from "wasi:random/random@0.2.12";
import { hasHost } from "./log.js";
import { hex } from "./value.js";

/** Most bytes that are drawn at once, as browsers have it. */
const MOST = 65_536;
/** Numbers that the host is asked for at a time. */
const BATCH = 32;

const fixed = Math.random;
let drawn = new Uint32Array();
let next = 0;

/** As `Math.random`. While the component is made there is no host, and the engine's own has to do. */
export function random() {
  if (!hasHost()) return fixed();
  if (next === drawn.length) {
    drawn = new Uint32Array(copied(getInsecureRandomBytes(8 * BATCH)).buffer);
    next = 0;
  }
  // 53 bits, as many as a double has.
  return ((drawn[next++] >>> 5) * 2 ** 26 + (drawn[next++] >>> 6)) / 2 ** 53;
}

/** `crypto`, as browsers have it but for `subtle`. */
export const crypto = Object.freeze({
  getRandomValues(array) {
    const isOfIntegers = ArrayBuffer.isView(array) && !/DataView|Float/.test(Object.prototype.toString.call(array));
    if (!isOfIntegers) throw new TypeError("`getRandomValues` fills a typed array of integers");
    if (array.byteLength > MOST) throw new RangeError(`\`getRandomValues\` fills at most ${MOST} bytes, not ${array.byteLength}`);
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength).set(bytes(array.byteLength));
    return array;
  },

  randomUUID() {
    const drawn = bytes(16);
    // Version 4 and its variant (RFC 9562, section 5.4).
    drawn[6] = (drawn[6] & 0x0f) | 0x40;
    drawn[8] = (drawn[8] & 0x3f) | 0x80;
    return hex(drawn).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  },
});

function bytes(count) {
  if (!hasHost()) throw new Error("`crypto` is there while a step runs: what is drawn as modules are read would be the same in every run");
  return copied(getRandomBytes(count));
}

const copied = (bytes) => new Uint8Array(bytes);
