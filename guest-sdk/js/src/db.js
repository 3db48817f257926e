// SQL databases, by the labels that `workflow.toml` grants.

import { bulkInsert } from "wflo:db/sql@0.1.0";
import * as host from "wflo:db/sql-json@0.1.0";
import { source } from "./artifact/reference.js";
import {
  AccessDenied,
  Constraint,
  Invalid,
  Limit,
  RefusedByPolicy,
  Rejected,
  Unavailable,
  WfloError,
  hosted,
} from "./errors.js";
import { count, stringify, text, texts } from "./json.js";
import { decode, encode, encodeNamed } from "./value.js";

/** Names a database. */
export function db(label) {
  return new Db(text(label, "the label of a database"));
}

/** Rows that are read at a time, where nobody says how many. */
const PAGE = 10_000;
const FORMATS = ["json-lines", "csv"];

class Db {
  #label;

  constructor(label) {
    this.#label = label;
  }

  /** Reads rows, each an object of its columns. */
  async query(statement, params = []) {
    const values = encoded(params);
    return rows(hosted(() => host.query(this.#label, text(statement, "a statement"), values), translate));
  }

  /** Reads a result that may be larger than memory, `most` rows at a time, all of one snapshot. */
  async *pages(statement, params = [], { most = PAGE } = {}) {
    const values = encoded(params);
    const asked = [text(statement, "a statement"), values];
    for (let from = 0; ; ) {
      const page = rows(hosted(() => host.page(this.#label, ...asked, from, count(most, "`most`")), translate));
      if (page.length === 0) return;
      yield page;
      from += page.length;
    }
  }

  /** Reads the first row, if there is one. */
  async first(statement, params = []) {
    return (await this.query(statement, params))[0];
  }

  /** Writes, and gives the number of rows changed. */
  async execute(statement, params = []) {
    const values = encoded(params);
    return hosted(() => host.execute(this.#label, text(statement, "a statement"), values), translate);
  }

  /** Calls a statement that the workflow names, with its parameters by their names. */
  async call(statement, params = {}) {
    const values = named(params);
    return rows(hosted(() => host.call(this.#label, text(statement, "the name of a statement"), values), translate));
  }

  /** Inserts the rows of an artifact, all of them or none, and gives their number. */
  async bulkInsert(table, artifact, { columns = [], format = "json-lines" } = {}) {
    if (!FORMATS.includes(format)) throw new Invalid(`the format of rows is one of ${FORMATS.join(", ")}`);
    const from = { ...source(artifact), format };
    const into = [this.#label, text(table, "the name of a table"), texts(columns, "`columns`")];
    return Number(hosted(() => bulkInsert(...into, from), translate));
  }
}

function encoded(params) {
  if (!Array.isArray(params)) throw new Invalid("the parameters of a statement are a list");
  return stringify(params.map(encode), "parameters");
}

function named(params) {
  return stringify(Object.fromEntries(Object.entries(params).map(([name, value]) => [name, encodeNamed(value)])), "parameters");
}

function rows(json) {
  const { columns, rows } = JSON.parse(json);
  return rows.map((values) => {
    const row = {};
    for (let at = 0; at < columns.length; at++) row[columns[at]] = decode(values[at]);
    return row;
  });
}

function translate(tag, val) {
  switch (tag) {
    case "access-denied":
      return new AccessDenied(`access to the database denied: ${val}`);
    case "invalid":
      return new Invalid(`invalid statement: ${val}`);
    case "constraint":
      return new Constraint(`a constraint refused the statement: ${val}`);
    case "limit":
      return new Limit(`the statement went over a limit: ${val}`);
    case "refused-by-policy":
      return new RefusedByPolicy(val, "the statement");
    case "rejected":
      return new Rejected(`the statement was not approved: ${val}`);
    case "unavailable":
      return new Unavailable(`the database is unavailable: ${val}`);
    default:
      return new WfloError(`the statement failed: ${val}`);
  }
}
