// Logging: a message with fields, which wflo keeps with the step. `console` ends here too.

import { log as host } from "wasi:logging/logging@0.1.0-draft";
import { stringify } from "./json.js";

/** What was logged while the component was made: there is no host then. Undefined once there is one. */
let early = [];

/** There is a host: what was logged before is logged now, at the beginning of whatever it is asked for. */
/** Whether there is a host yet. */
export const hasHost = () => early === undefined;

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

function line(level, message, fields = {}) {
  const line = { message: String(message) };
  // A field of that name must not take the place of the message.
  for (const [name, value] of Object.entries(fields)) line[name === "message" ? "message_" : name] = value;
  const text = written(line);
  if (early === undefined) host(level, "", text);
  else early.push([level, text]);
}

/** `console`: what is printed is a message, and an object at its end has its fields. */
export const console = Object.freeze({
  trace: (...said) => said_(said, "trace"),
  debug: (...said) => said_(said, "debug"),
  log: (...said) => said_(said, "info"),
  info: (...said) => said_(said, "info"),
  warn: (...said) => said_(said, "warn"),
  error: (...said) => said_(said, "error"),
});

function said_(said, level) {
  const last = said.at(-1);
  const fields = said.length > 1 && last !== null && typeof last === "object" && isPlain(last) ? said.pop() : {};
  line(level, said.map(shown).join(" "), fields);
}

function isPlain(object) {
  const prototype = Object.getPrototypeOf(object);
  return prototype === Object.prototype || prototype === null;
}

function shown(value) {
  if (typeof value === "string") return value;
  if (value instanceof Error) return value.stack ? `${value}\n${value.stack}` : String(value);
  return written(value);
}

/** A value that has no JSON form says why instead of failing the step. */
function written(value) {
  try {
    return stringify(value);
  } catch (error) {
    return JSON.stringify({ message: error.message });
  }
}
