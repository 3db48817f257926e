// JSON as wflo has it: what JavaScript has beyond JSON travels as text.

import { Invalid, told } from "./errors.js";

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
 * Writes JSON. Integers beyond 2^53 are text, dates are RFC 3339, errors are what they say; bytes, other typed arrays and sets
 * are lists, a map is an object; `undefined` is null. Half of a surrogate pair, which is no text, is U+FFFD as in UTF-8.
 */
export function stringify(value, what = "value") {
  let json;
  try {
    json = JSON.stringify(value === undefined ? null : value, replace);
  } catch (error) {
    throw new Invalid(`the ${what} is no JSON: ${error.message}`);
  }
  if (json === undefined) throw new Invalid(`the ${what} is no JSON: it is ${kind(value)}`);
  return json.includes("\\ud") ? json.replace(ESCAPES, (escape, half) => (half ? "\ufffd" : escape)) : json;
}

/** An escape; of text, only half a surrogate pair is escaped by its number from d800. */
const ESCAPES = /\\(?:u(d[89a-f][0-9a-f]{2})|[^])/g;

function replace(key, value) {
  if (typeof value === "bigint") {
    return value >= LEAST_SAFE && value <= MOST_SAFE ? Number(value) : String(value);
  }
  if (typeof value !== "object" || value === null) return value;
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) return Array.from(value);
  const bytes = bytesOf(value);
  if (bytes !== undefined) return Array.from(bytes);
  if (value instanceof Map) return object(value);
  if (value instanceof Set) return Array.from(value);
  if (value instanceof Error) return told(value);
  if (value instanceof RegExp) return String(value);
  // Of this SDK or of the engine.
  if (Object.prototype.toString.call(value) === "[object Promise]") {
    throw new TypeError(`${key === "" ? "it" : `\`${key}\``} is a promise that nobody awaited`);
  }
  return value;
}

/** The bytes of a buffer, or of a part of one; `undefined` of anything else. */
export function bytesOf(value) {
  if (value instanceof Uint8Array) return value;
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return value instanceof ArrayBuffer ? new Uint8Array(value) : undefined;
}

/** A map as an object, which has only texts for keys. */
function object(map) {
  const object = {};
  for (const [key, value] of map) {
    const isPlain = ["string", "number", "bigint", "boolean"].includes(typeof key);
    if (!isPlain || Object.hasOwn(object, key)) throw new TypeError(`a \`Map\` has a key that no object has: ${kind(key)}`);
    Object.defineProperty(object, key, { value, enumerable: true });
  }
  return object;
}

/** Text that is to be passed to the host, where anything else would end the component. */
export function text(value, what) {
  if (typeof value !== "string") throw new Invalid(`${what} is text, not ${kind(value)}`);
  return value.toWellFormed();
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
  if (typeof value === "function" || typeof value === "symbol") return `a ${typeof value}`;
  return typeof value === "string" ? JSON.stringify(value.slice(0, 40)) : `${typeof value} ${String(value)}`;
}
