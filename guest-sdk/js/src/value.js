// Values of databases, exact: as `wflo:db/sql-json` has them, and as JavaScript does.

import { Invalid } from "./errors.js";
import { bytesOf, parse, stringify } from "./json.js";

/** Text that means something: shown, compared and written as JSON as its text. */
class Exact {
  #text;

  constructor(text) {
    this.#text = String(text);
  }

  toString() {
    return this.#text;
  }

  toJSON() {
    return this.#text;
  }
}

/** An exact decimal. JavaScript has no type for one; this is its text. */
export class Decimal extends Exact {
  constructor(text) {
    super(text);
    if (!/^[+-]?(\d+(\.\d*)?|\.\d+)$/.test(this.toString())) throw new Invalid(`\`${text}\` is no decimal`);
  }
}

/** An instant, as RFC 3339 text: more exact than a `Date`, which has milliseconds. */
export class Timestamp extends Exact {
  constructor(time) {
    super(time instanceof Date ? time.toISOString() : time);
    if (!/^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d/.test(this.toString())) throw new Invalid(`\`${time}\` is no time of RFC 3339`);
  }

  /** The instant as a `Date`, to the millisecond. */
  toDate() {
    return new Date(this.toString());
  }
}

/** A UUID. */
export class Uuid extends Exact {
  constructor(text) {
    super(text);
    if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(this.toString())) throw new Invalid(`\`${text}\` is no UUID`);
  }
}

export const decimal = (text) => new Decimal(text);
export const timestamp = (time) => new Timestamp(time);
export const uuid = (text) => new Uuid(text);

const LEAST = -(2n ** 63n);
const MOST = 2n ** 63n - 1n;

/** A parameter of a statement, as the host takes it. */
export function encode(value) {
  switch (typeof value) {
    case "undefined":
      return null;
    case "boolean":
    case "string":
      return value;
    case "bigint":
      return value >= LEAST && value <= MOST ? { integer: String(value) } : { decimal: String(value) };
    case "number":
      if (Number.isSafeInteger(value) && !Object.is(value, -0)) return { integer: String(value) };
      if (Number.isNaN(value)) return { real: "NaN" };
      if (!Number.isFinite(value)) return { real: value > 0 ? "inf" : "-inf" };
      return { real: Object.is(value, -0) ? "-0" : String(value) };
    case "object":
      if (value === null) return null;
      if (isBytes(value)) return { blob: hex(bytesOf(value)) };
      if (value instanceof Decimal) return { decimal: value.toString() };
      if (value instanceof Timestamp) return { timestamp: value.toString() };
      if (value instanceof Date) return { timestamp: value.toISOString() };
      if (value instanceof Uuid) return { uuid: value.toString() };
      return { json: stringify(value, "parameter") };
    default:
      throw new Invalid(`a parameter of a statement is no ${typeof value}`);
  }
}

/** A parameter of a named statement: JSON, which says its type only where JSON cannot hold the value. */
export function encodeNamed(value) {
  if (value instanceof Exact) return value.toString();
  if (typeof value === "number" && Number.isFinite(value)) return value;
  const encoded = encode(value);
  return encoded?.timestamp ?? encoded;
}

/** A typed array of anything but bytes is a list. */
const isBytes = (value) =>
  [ArrayBuffer, DataView, Uint8Array, Uint8ClampedArray].some((kind) => value instanceof kind);

/** A value of a row, as JavaScript has it. */
export function decode(value) {
  if (value === null || typeof value !== "object") return value;
  for (const kind in value) {
    const text = value[kind];
    switch (kind) {
      case "integer": {
        const number = Number(text);
        return Number.isSafeInteger(number) ? number : BigInt(text);
      }
      case "real":
        return text === "inf" ? Infinity : text === "-inf" ? -Infinity : Number(text);
      case "decimal":
        return new Decimal(text);
      case "blob":
        return bytes(text);
      case "timestamp":
        return new Timestamp(text);
      case "json":
        return parse(text);
      case "uuid":
        return new Uuid(text);
    }
  }
  throw new Invalid(`a value of a database of a kind that this SDK does not know: ${JSON.stringify(value)}`);
}

/** Bytes as their tag has them. */
export function hex(bytes) {
  let text = "";
  for (const byte of bytes) text += (byte < 16 ? "0" : "") + byte.toString(16);
  return text;
}

function bytes(text) {
  const bytes = new Uint8Array(text.length / 2);
  for (let at = 0; at < bytes.length; at++) bytes[at] = Number.parseInt(text.slice(2 * at, 2 * at + 2), 16);
  return bytes;
}
