/**
 * Write the steps of wflo workflows in JavaScript and TypeScript.
 *
 * A step is a function with a name. It runs in a sandbox of its own and reaches nothing but what `workflow.toml` grants
 * it, through the functions here.
 *
 * Globals are `console`, `fetch`, `setTimeout`, `clearTimeout`, `queueMicrotask`, `TextEncoder`, `TextDecoder`, and of
 * `crypto` `randomUUID` and `getRandomValues`; randomness is of the attempt, and the same when it is played again.
 *
 * ```js
 * import { db, llm, step } from "@wflo/sdk";
 *
 * step("analyze_transactions", async (context) => {
 *   const rows = await db("bank").query("SELECT * FROM transactions WHERE at >= ?1", [context.inputs.since]);
 *   const analysis = await llm.analyze({ model: "gpt-4", data: rows, prompt: "Identify suspicious patterns", schema });
 *   console.info("analyzed", { flagged: analysis.flagged.length });
 *   return { suspicious: analysis.flagged };
 * });
 * ```
 */

/** What JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A JSON Schema. */
export type Schema = { readonly [key: string]: unknown };

/** The run that a step is part of, as the step sees it. */
export interface Context<Inputs = Record<string, any>> {
  /** The inputs of the run, with their defaults. An integer that a number cannot hold exactly is a `bigint`. */
  readonly inputs: Inputs;
  /** The steps that this one depends on, directly or through others; a step that was skipped has no output. */
  readonly steps: { readonly [name: string]: { readonly output: any } | undefined };
  /** The element this attempt works on, where the step fans out with `for_each`. */
  readonly item: any;
  /** The id of the run. */
  readonly runId: string;
  /** The name of this step. */
  readonly step: string;
  /** The number of this attempt, from 1. */
  readonly attempt: number;
  /** The last decision about this step, else about those it depends on. */
  readonly decision: Decision | undefined;
  /** Reports a cost that wflo does not see: in a cloud, at an API. `usd` is an exact decimal, as text. */
  reportCost(kind: string, usd: string, note?: string): Promise<void>;
}

/** A step to undo, given to its compensation. */
export interface Undo {
  /** The function that it was run by. Where steps of `workflow.toml` share it, `context.step` says which this is. */
  readonly step: string;
  /** The element the step worked on, where it fans out. */
  readonly item: any;
  /** Its output, if it got that far. */
  readonly output: any;
  /** False when it is unknown whether the step's effects happened. */
  readonly certain: boolean;
}

/** What a step says about itself. What it may reach and when it runs stands in `workflow.toml`. */
export interface StepOptions {
  /** One line for people. */
  summary?: string;
  /**
   * The JSON Schema of its output: a promise, which `wflo check` compares with `output` of `workflow.toml`. What the step returns
   * is held against the latter alone.
   */
  output?: Schema;
  /** The facts it may claim, with their schemas. */
  facts?: { [name: string]: Schema };
  /** Undoes it. */
  compensate?: (context: Context, undo: Undo) => unknown;
}

/** Makes a step. What it returns is its output; what it throws ends it, see {@link WfloError}. */
export function step<Inputs = Record<string, any>>(name: string, run: (context: Context<Inputs>) => unknown): (context: Context<Inputs>) => unknown;
export function step<Inputs = Record<string, any>>(
  name: string,
  options: StepOptions,
  run: (context: Context<Inputs>) => unknown,
): (context: Context<Inputs>) => unknown;

/** An exact decimal. JavaScript has no type for one; this is its text. */
export class Decimal {
  constructor(text: string | number | bigint);
  toString(): string;
  toJSON(): string;
}

/** An instant, as RFC 3339 text: more exact than a `Date`, which has milliseconds. */
export class Timestamp {
  constructor(time: string | Date);
  toDate(): Date;
  toString(): string;
  toJSON(): string;
}

/** A UUID. */
export class Uuid {
  constructor(text: string);
  toString(): string;
  toJSON(): string;
}

export function decimal(text: string | number | bigint): Decimal;
export function timestamp(time: string | Date): Timestamp;
export function uuid(text: string): Uuid;

/** A parameter of a statement. `undefined` is null; an object or a list that is none of these is JSON. */
export type Param = null | undefined | boolean | number | bigint | string | Uint8Array | ArrayBuffer | DataView | Date | Decimal | Timestamp | Uuid | object;

/**
 * A row, by its columns. Integers are numbers, and `bigint` where a number would lose a digit; decimals, times and UUIDs
 * are {@link Decimal}, {@link Timestamp} and {@link Uuid}; bytes are `Uint8Array`; JSON is what it holds.
 */
export type Row = { [column: string]: any };

/** A database. Writes of a step are one transaction, which commits when the step has succeeded. */
export interface Db {
  /** Reads rows. Parameters are bound in their order (`?1` or `?` on SQLite), never pasted in. */
  query<T = Row>(statement: string, params?: readonly Param[]): Promise<T[]>;
  /**
   * Reads a result that may be larger than memory, at most `most` rows at a time, all of one snapshot: that of the first
   * part, which is begun before the step's first write to this database.
   */
  pages<T = Row>(statement: string, params?: readonly Param[], options?: { most?: number }): AsyncIterable<T[]>;
  /** Reads the first row, if there is one. */
  first<T = Row>(statement: string, params?: readonly Param[]): Promise<T | undefined>;
  /** Writes, and gives the number of rows changed. */
  execute(statement: string, params?: readonly Param[]): Promise<number>;
  /**
   * Calls a statement that the workflow names, with its parameters by their names. One that writes gives one row: the
   * number of rows it `changed`. A policy may have people asked first; the step then waits for them.
   */
  call<T = Row>(statement: string, params?: { readonly [name: string]: Param }): Promise<T[]>;
  /**
   * Inserts the rows of an artifact, all of them or none, and gives their number. They go from the artifact to the database
   * and not through the step. `columns` are those that get values; without any, those of the first row.
   */
  bulkInsert(
    table: string,
    rows: Artifact,
    options?: { columns?: readonly string[]; format?: "json-lines" | "csv" },
  ): Promise<number>;
}

/** Names a database. */
export function db(label: string): Db;

/** What a call used and cost. */
export interface Usage {
  inputTokens: number;
  outputTokens: number;
  /** USD, exact, as a decimal. */
  costUsd: string;
  /** True when the provider reported no usage and the quote was charged instead. */
  estimated: boolean;
}

/** What a model answered. */
export interface Completion {
  readonly text: string;
  /** The model as the provider names it. */
  readonly model: string;
  /** Why it stopped: `stop`, `length`, or the provider's word. */
  readonly finishReason: string;
  readonly usage: Usage;
  /** The answer as JSON: it is, where the request had a schema. */
  json<T = any>(): T;
}

/** A task of a model: the answer, or with `withUsage` also what it used and cost. */
export interface Task<Options, Answer> {
  <T = Answer>(options: Options): Promise<T>;
  withUsage<T = Answer>(options: Options): Promise<{ value: T; usage: Usage }>;
}

/** Language models, by the names that `workflow.toml` grants. Every request is held against the budget, journaled and charged by the host. */
export namespace llm {
  /** Asks a model once: a `prompt`, or `messages`. */
  function complete(request: {
    model: string;
    prompt?: string;
    system?: string;
    messages?: readonly { role: "system" | "user" | "assistant"; content: string }[];
    schema?: Schema;
    maxTokens?: number;
    temperature?: number;
    seed?: number;
  }): Promise<Completion>;
  /** Has a model analyse data. */
  const analyze: Task<{ model: string; data: unknown; prompt: string; schema?: Schema }, any>;
  /** Has a model answer a question from at most `top` passages of a knowledge base and nothing else, and say where it stands. */
  const answer: Task<
    { model: string; question: string; knowledge: string; top?: number },
    { answered: boolean; answer: string; citations: { source: string; title: string; text: string }[] }
  >;
  /** Has a model sort a text into exactly one of several categories. */
  const classify: Task<
    { model: string; text: string; categories: readonly string[] },
    { category: string; confidence: number; details: string }
  >;
  /** Has a model transform rows, one by one. `schema` is that of a row of the result. */
  const transform: Task<{ model: string; data: readonly unknown[]; instructions: string; schema?: Schema }, any[]>;
  /** Has a model hold data against rules. */
  const validate: Task<
    { model: string; data: unknown; rules: readonly string[] },
    { passed: boolean; verdicts: { rule: string; passed: boolean; issues: string[] }[]; issues: string[] }
  >;
  /** Has a model write code. Nothing runs it. */
  const generateCode: Task<{ model: string; language: string; requirements: unknown }, { code: string; explanation: string }>;
  /** Has a model judge content by policies. */
  const moderate: Task<
    { model: string; content: string; policies: readonly string[] },
    { verdict: "safe" | "review" | "block"; confidence: number; reasoning: string; violated: string[] }
  >;
  /** Has a model draw many inputs together into one result. */
  const synthesize: Task<{ model: string; data: readonly unknown[]; prompt: string; schema?: Schema }, any>;
}

/** The answer to a request, in whole. */
export interface Response {
  readonly url: string;
  readonly status: number;
  /** Whether the status says success. */
  readonly ok: boolean;
  readonly headers: { get(name: string): string | null; has(name: string): boolean } & Iterable<[string, string]>;
  /** The answer, if it is one of success; else throws {@link HttpStatus}. */
  success(): Response;
  text(): Promise<string>;
  json<T = any>(): Promise<T>;
  bytes(): Promise<Uint8Array>;
  arrayBuffer(): Promise<ArrayBuffer>;
}

/**
 * Sends a request, and gives the answer, whatever its status. Every redirect is a request of its own that needs a grant;
 * credentials are not sent on to another host.
 */
export function fetch(
  url: string,
  options?: {
    method?: string;
    headers?: { readonly [name: string]: string | number } | Iterable<readonly [string, string | Uint8Array]>;
    body?: string | ArrayBuffer | ArrayBufferView | null;
    /** A body, written as JSON. */
    json?: unknown;
    /** How long the server may take to begin its answer. The host has a limit of its own. */
    timeoutSeconds?: number;
    redirect?: "follow" | "manual";
  },
): Promise<Response>;

/**
 * Posts a value as JSON, and gives the answer of success. Use a grant that names the header in which the server takes an
 * idempotency key: what is published again after a crash or in another attempt is then published once.
 */
export function publish(url: string, value: unknown): Promise<Response>;

/** Queues a mail, which leaves when the step has succeeded; gives the `Message-ID` that it will have. */
export function mail(message: {
  /** Addresses such as `ann@example.org`, without a display name. Everybody sees the others. */
  to: string | readonly string[];
  /** One line. */
  subject: string;
  text: string;
  /** The `Message-ID` of the message that it answers, without angle brackets. */
  answers?: string;
}): Promise<string>;

/** Queues a message for a channel such as `slack://cs-managers`, which leaves when the step has succeeded. */
export function notify(address: string, title: string, text: string): Promise<void>;

/** A passage of a document. */
export interface Passage {
  /** The document, and after a `#` the number of the passage in it. */
  readonly source: string;
  /** The title of the document and the headings above the passage. */
  readonly title: string;
  readonly text: string;
  /** How well it fits: above 0, the more the better. */
  readonly score: number;
}

/** Names a knowledge base that the step was granted. */
export function knowledge(label: string): {
  /** Finds the passages that fit a question best, the best first; 5 of them, 1 to 50. */
  search(question: string, options?: { top?: number }): Promise<Passage[]>;
};

/** The reference to an artifact: put it into an output, and take it from one. */
export interface Artifact {
  readonly artifact: string;
  /** The step that made it. */
  readonly step: string;
  /** The item that made it, where that step fans out. */
  readonly item?: number;
  readonly bytes: number;
  /** SHA-256 of its bytes. */
  readonly digest: string;
}

/** An artifact that is being written. One that is not finished never was. */
export interface ArtifactWriter {
  write(said: string | ArrayBuffer | ArrayBufferView): Promise<void>;
  /** Writes a value as one line of JSON. */
  row(value: unknown): Promise<void>;
  /** Makes the artifact. */
  finish(): Promise<Artifact>;
}

/** An artifact that is being read, from its beginning. */
export interface ArtifactReader {
  readonly size: number;
  readonly artifact: Artifact;
  /** The next bytes, at least one; none at the end. */
  read(most?: number): Promise<Uint8Array>;
  /** Goes on at another byte. */
  seek(at: number): void;
  /** All that is left. */
  bytes(): Promise<Uint8Array>;
  text(): Promise<string>;
  lines(): AsyncIterable<string>;
  /** Its lines of JSON. */
  rows<T = any>(): AsyncIterable<T>;
}

/** Bytes of any size that a step makes or fetches, and hands on by reference. They need no grant. */
export namespace artifact {
  /** Begins an artifact. The name is of letters, digits and `_-.`, and new in this attempt. */
  function create(name: string): Promise<ArtifactWriter>;
  /** Opens an artifact: by its reference, or one of this step, else of the only step before it, by its name. */
  function open(which: string | Artifact): Promise<ArtifactReader>;
  /** Sends a request as {@link fetch} does, and keeps the body of a successful answer, which does not come through the step. */
  function save(url: string, name: string, options?: Parameters<typeof fetch>[1]): Promise<Artifact>;
}

/** What becomes of one resource or output. */
export interface Change {
  readonly address: string;
  readonly action: "create" | "update" | "replace" | "delete";
}

/** Names a working copy of a terraform configuration that the step was granted. */
export function terraform(label: string): {
  /** What there is. Values that are sensitive, or named like a secret, are null. */
  state(): Promise<{
    serial: number;
    outputs: Record<string, any>;
    resources: { address: string; kind: string; values: Record<string, any> }[];
  }>;
  /** Works out what these files, by their paths, would change. Nothing is changed; the plan is kept. */
  plan(files: { readonly [path: string]: string }): Promise<{
    /** Names the plan. */
    digest: string;
    adds: number;
    changes: number;
    destroys: number;
    resources: Change[];
    outputs: Change[];
    /** As terraform shows it to people. */
    text: string;
    detail: Record<string, any>;
  }>;
  /** Applies a plan, by its digest. Where that fails, the previous configuration is applied again. */
  apply(digest: string): Promise<{ serial: number; outputs: Record<string, any>; resources: string[] }>;
};

/** What people decided. */
export interface Decision {
  readonly status: "approved" | "rejected" | "expired";
  /** Whether everybody who had to has approved. */
  readonly approved: boolean;
  /** The votes that counted, in the order they were cast. */
  readonly votes: readonly { readonly by: string; readonly approved: boolean; readonly comment: string | undefined }[];
}

/** Asks people, and waits for their decision for as long as it takes, at no cost. A rejection is a decision, not an error. */
export function ask(question: {
  /** One line for the people who decide. */
  summary: string;
  /** What is decided on. */
  details?: unknown;
  /** Groups and principals that are asked: one distinct person of each. */
  approvers: readonly string[];
  /** Any so many distinct persons of those asked, instead of one of each. */
  quorum?: number;
  /** How long they have; for ever otherwise. */
  timeoutSeconds?: number;
}): Promise<Decision>;

/** Claims a fact that the step declares in `workflow.toml`, and gives what the policies say to it. */
export function fact(name: string, value: unknown): Promise<"unopposed" | "auto-approved" | "approved" | "rejected">;

/**
 * What stands for a secret. Written in a header or the body of a request, the host puts the secret in its place on the
 * way out, for the hosts that the deployment has bound it to; anywhere else it is refused. It may be printed: it is of no
 * use to anybody.
 */
export function secret(label: string): Promise<string>;

type Log = (message: string, fields?: { readonly [name: string]: unknown }) => void;

/** Logs a message with fields. `console` does the same: an object after the message has its fields. */
export const log: { readonly trace: Log; readonly debug: Log; readonly info: Log; readonly warn: Log; readonly error: Log };

/** An error with what another attempt of the step could do. Any other error is `permanent`. */
export class WfloError extends Error {
  constructor(message: string, options?: { kind?: WfloError["kind"]; cause?: unknown });
  /** `permanent`: it cannot help. `retryable`: it may, and what models answered is kept. `redo`: it may, and models are asked afresh. */
  readonly kind: "permanent" | "retryable" | "redo";
}
/** The step was not granted it, or the deployment does not allow it. */
export class AccessDenied extends WfloError {}
/** A model's answer is not what it was asked for. */
export class BadOutput extends WfloError {}
/** The call would exceed the budget and was not made. */
export class BudgetExceeded extends WfloError {
  /** What is left, in USD, as an exact decimal. */
  readonly left: string;
}
/** A constraint of the database refused a statement. */
export class Constraint extends WfloError {}
/** The request is longer than the model's context. */
export class ContextTooLong extends WfloError {}
/** A server answered, and not with success. */
export class HttpStatus extends WfloError {
  readonly status: number;
  /** The beginning of the body. */
  readonly body: string;
}
/** The request itself is wrong. */
export class Invalid extends WfloError {}
/** It went over a limit. */
export class Limit extends WfloError {}
/** The provider limits the rate. */
export class RateLimited extends WfloError {
  /** Seconds to wait, if the provider said so. */
  readonly retryAfter: number | undefined;
}
/** A policy denied it. */
export class RefusedByPolicy extends WfloError {
  readonly policy: string;
}
/** People were asked about it, and decided against it or not in time. */
export class Rejected extends WfloError {}
/** A terraform plan could not be applied, and everything is as it was before. */
export class NotApplied extends WfloError {}
/** What a terraform plan starts from has changed since it was made. */
export class Stale extends WfloError {}
/** The deployment has nothing of that name: no mail, channel, knowledge base; or there is no such artifact. */
export class Unknown extends WfloError {}
/** The other side is away, busy or broken. */
export class Unavailable extends WfloError {}
/** No binding of the deployment serves a model of this name. */
export class UnknownModel extends WfloError {}
/** The deployment binds no secret of this label. */
export class UnknownSecret extends WfloError {}

/** Makes an error that no other attempt can mend: `throw permanent("quality check failed")`. */
export function permanent(message: string): WfloError;
/** Makes an error after which another attempt may help. What models answered is kept. */
export function retryable(message: string): WfloError;
/** Makes an error after which another attempt may help that asks models afresh. */
export function redo(message: string): WfloError;
