// JSON as wflo has it: what JavaScript has beyond JSON travels as text.

import { Invalid } from "./errors.js";

/** An integer with so many digits may be beyond 2^53. */
const LONG = /\d{16}/;
/** A text, or a number. */
const TOKENS = /"[^"\\]*(?:\\[^][^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const INTEGER = /^-?\d+$/;
// As `bigint`s: QuickJS is wrong about what is less, a `bigint` below -2^53 or a number.
const LEAST_SAFE = BigInt(Number.MIN_SAFE_INTEGER);
const MOST_SAFE = BigInt(Number.MAX_SAFE_INTEGER);

/** Reads JSON. Where a number would lose a digit of an integer, it is a `bigint`. */
export function parse(json) {
  if (!LONG.test(json)) return JSON.parse(json);
  // Such an integer is read as a text that no other in it begins like, however that is written.
  const plain = (token) => (token.includes("\\u0023") ? JSON.stringify(JSON.parse(token)) : token);
  if (json.includes("\\u0023")) json = json.replace(TOKENS, plain);
  let mark = "#";
  while (json.includes(`"${mark}`)) mark += "#";
  let some = false;
  const marked = json.replace(TOKENS, (token) => {
    if (token[0] === '"' || !INTEGER.test(token) || Number.isSafeInteger(Number(token))) return token;
    some = true;
    return `"${mark}${token}"`;
  });
  if (!some) return JSON.parse(json);
  return JSON.parse(marked, (_key, value) =>
    typeof value === "string" && value.startsWith(mark) ? BigInt(value.slice(mark.length)) : value,
  );
}

/**
 * Writes JSON. Integers beyond 2^53 are text, bytes are a list of numbers, dates are RFC 3339; `undefined` is null.
 */
export function stringify(value, what = "value") {
  try {
    return JSON.stringify(value === undefined ? null : value, replace);
  } catch (error) {
    throw new Invalid(`the ${what} is no JSON: ${error.message}`);
  }
}

function replace(_key, value) {
  if (typeof value === "bigint") {
    return value >= LEAST_SAFE && value <= MOST_SAFE ? Number(value) : String(value);
  }
  if (value instanceof Uint8Array) return Array.from(value);
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Set) return Array.from(value);
  return value;
}

/** Text that is to be passed to the host, where anything else would end the component. */
export function text(value, what) {
  if (typeof value !== "string") throw new Invalid(`${what} is text, not ${kind(value)}`);
  return value;
}

/** A list of texts. */
export function texts(value, what) {
  const list = value !== null && typeof value === "object" && Symbol.iterator in value ? Array.from(value) : undefined;
  if (list === undefined) throw new Invalid(`${what} is a list of texts, not ${kind(value)}`);
  return list.map((item) => text(item, `each of ${what}`));
}

/** A whole number from 0 to `most`, or nothing. */
export function count(value, what, most = 0x7fff_ffff) {
  if (value === undefined || value === null) return null;
  if (!Number.isInteger(value) || value < 0 || value > most) {
    throw new Invalid(`${what} is a whole number from 0 to ${most}, not ${kind(value)}`);
  }
  return value;
}

function kind(value) {
  if (value === null || value === undefined) return String(value);
  if (typeof value === "object") return Array.isArray(value) ? "a list" : "an object";
  return typeof value === "string" ? JSON.stringify(value.slice(0, 40)) : `${typeof value} ${String(value)}`;
}
