// Logging: a message with fields, which wflo keeps with the step. `console` ends here too.

import { log as host } from "wasi:logging/logging@0.1.0-draft";
import { told } from "./errors.js";
import { stringify } from "./json.js";

/** What was logged while the component was made: there is no host then. Undefined once there is one. */
let early = [];

/** Whether there is a host yet. */
export const hasHost = () => early === undefined;

/** There is a host: what was logged before is logged now, at the beginning of whatever it is asked for. */
export function begin() {
  const lines = early ?? [];
  early = undefined;
  for (const [level, text] of lines) host(level, "", text);
}

/** Logs a message with fields at a level; `log.info` and so on are shorter. */
export const log = Object.freeze({
  trace: (message, fields) => line("trace", message, fields),
  debug: (message, fields) => line("debug", message, fields),
  info: (message, fields) => line("info", message, fields),
  warn: (message, fields) => line("warn", message, fields),
  error: (message, fields) => line("error", message, fields),
});

function line(level, message, fields) {
  const line = { message: String(message) };
  // A field of that name must not take the place of the message.
  for (const [name, value] of entries(fields)) line[name === "message" ? "message_" : name] = value;
  const text = json(line);
  if (early === undefined) host(level, "", text);
  else early.push([level, text]);
}

function entries(fields) {
  if (fields === undefined || fields === null) return [];
  if (fields instanceof Error) return [["error", fields]];
  return typeof fields === "object" ? Object.entries(fields) : [["fields", fields]];
}

const counts = new Map();
const times = new Map();

const elapsed = (label) => `${label}: ${Date.now() - (times.get(label) ?? Date.now())} ms`;

/**
 * `console`: what is printed is a message, and an object at its end has its fields. `%s` and so on are filled in. There are no
 * tables, and groups are not set off.
 */
export const console = Object.freeze({
  trace: (...said) => print("trace", said),
  debug: (...said) => print("debug", said),
  log: (...said) => print("info", said),
  info: (...said) => print("info", said),
  warn: (...said) => print("warn", said),
  error: (...said) => print("error", said),
  dir: (value) => print("info", [value]),
  dirxml: (...said) => print("info", said),
  table: (rows) => print("info", [rows]),
  group: (...said) => said.length > 0 && print("info", said),
  groupCollapsed: (...said) => said.length > 0 && print("info", said),
  groupEnd() {},
  assert(holds, ...said) {
    if (holds) return;
    if (typeof said[0] === "string") said[0] = `Assertion failed: ${said[0]}`;
    else said.unshift("Assertion failed");
    print("error", said);
  },
  count(label = "default") {
    counts.set(label, (counts.get(label) ?? 0) + 1);
    print("info", [`${label}: ${counts.get(label)}`]);
  },
  countReset: (label = "default") => void counts.delete(label),
  time: (label = "default") => void times.set(label, Date.now()),
  timeLog: (label = "default", ...said) => print("info", [elapsed(label), ...said]),
  timeEnd(label = "default") {
    print("info", [elapsed(label)]);
    times.delete(label);
  },
});

function print(level, said) {
  const left = Array.from(said);
  const texts = typeof left[0] === "string" && left.length > 1 ? [filled(left.shift(), left)] : [];
  const fields = texts.length + left.length > 1 && isPlain(left.at(-1)) ? left.pop() : undefined;
  line(level, [...texts, ...left.map(shown)].join(" "), fields);
}

function isPlain(object) {
  if (object === null || typeof object !== "object") return false;
  const prototype = Object.getPrototypeOf(object);
  return prototype === Object.prototype || prototype === null;
}

/** A text with the first of `left` in the places that `%s` and so on hold; these are taken out of it. */
function filled(text, left) {
  return text.replace(/%[sdifjoOc%]/g, (sign) => {
    if (sign === "%%") return "%";
    const isNumber = "dif".includes(sign[1]);
    // `50%done` is no place for the fields of a message.
    if (left.length === 0 || (isNumber && !["number", "bigint", "string"].includes(typeof left[0]))) return sign;
    const value = left.shift();
    if (sign === "%c") return "";
    if (isNumber) return typeof value === "bigint" ? String(value) : String(sign === "%i" ? Number.parseInt(value, 10) : Number(value));
    return sign === "%s" ? shown(value) : written(value);
  });
}

function shown(value) {
  switch (typeof value) {
    case "object":
      return value instanceof Error ? trouble(value) : written(value);
    case "function":
      return `[function ${value.name}]`;
    default:
      return String(value);
  }
}

/** An error as it is printed: what it and its causes say, and where it came from. */
function trouble(error) {
  const said = error.name === "Error" ? `Error: ${told(error)}` : told(error);
  return error.stack ? `${said}\n${error.stack}` : said;
}

/** A line as JSON. A field that has no JSON form says why in its place. */
function json(line) {
  try {
    return stringify(line);
  } catch {
    const fields = Object.entries(line).map(([name, value]) => `${written(name)}:${written(value)}`);
    return `{${fields.join(",")}}`;
  }
}

/** A value as JSON, or why it has no JSON form. */
function written(value) {
  try {
    return stringify(value);
  } catch (error) {
    return stringify(error.message);
  }
}
