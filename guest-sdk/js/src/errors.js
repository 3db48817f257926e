// Why something did not work, and what another attempt could do about it.

import { stringify } from "./json.js";

/** An error with what another attempt of the step could do: `permanent`, `retryable` or `redo`. */
export class WfloError extends Error {
  constructor(message, { kind = "permanent", cause } = {}) {
    super(message);
    this.name = new.target.name;
    this.kind = kind;
    if (cause !== undefined) this.cause = cause;
  }
}

/** The step was not granted it, or the deployment does not allow it. */
export class AccessDenied extends WfloError {}

/** The call would exceed the budget and was not made. */
export class BudgetExceeded extends WfloError {
  constructor(left) {
    super(`the call would exceed the budget, ${left} USD are left`);
    this.left = left;
  }
}

/** No binding of the deployment serves a model of this name. */
export class UnknownModel extends WfloError {}

/** The deployment binds no secret of this label. */
export class UnknownSecret extends WfloError {}

/** The deployment has nothing of that name: no mail, channel, knowledge base; or there is no such artifact. */
export class Unknown extends WfloError {}

/** What a terraform plan starts from has changed since it was made; another attempt plans again. */
export class Stale extends WfloError {
  constructor(message) {
    super(message, { kind: "retryable" });
  }
}

/** A terraform plan could not be applied, and everything is as it was before. */
export class NotApplied extends WfloError {}

/** A policy denied it. */
export class RefusedByPolicy extends WfloError {
  constructor(policy, what) {
    super(`policy \`${policy}\` denied ${what}`);
    this.policy = policy;
  }
}

/** People were asked about it, and decided against it or not in time. */
export class Rejected extends WfloError {}

/** The provider limits the rate. */
export class RateLimited extends WfloError {
  constructor(seconds) {
    super(seconds === undefined ? "the provider limits the rate" : `the provider limits the rate for ${seconds} s`, {
      kind: "retryable",
    });
    this.retryAfter = seconds;
  }
}

/** The request is longer than the model's context. */
export class ContextTooLong extends WfloError {}

/** A model's answer is not what it was asked for. */
export class BadOutput extends WfloError {
  constructor(message) {
    super(message, { kind: "redo" });
  }
}

/** The other side is away, busy or broken; another attempt may help. */
export class Unavailable extends WfloError {
  constructor(message) {
    super(message, { kind: "retryable" });
  }
}

/** The request itself is wrong. */
export class Invalid extends WfloError {}

/** A constraint of the database refused a statement. */
export class Constraint extends WfloError {}

/** It went over a limit. */
export class Limit extends WfloError {}

/** A server answered, and not with success. */
export class HttpStatus extends WfloError {
  constructor(status, body) {
    const again = status >= 500 || [408, 425, 429].includes(status);
    super(body ? `the server answered ${status}: ${body}` : `the server answered ${status}`, {
      kind: again ? "retryable" : "permanent",
    });
    this.status = status;
    this.body = body;
  }
}

/** Makes an error that no other attempt can mend. */
export const permanent = (message) => new WfloError(message, { kind: "permanent" });

/** Makes an error after which another attempt may help. What models answered is kept. */
export const retryable = (message) => new WfloError(message, { kind: "retryable" });

/** Makes an error after which another attempt may help that asks models afresh. */
export const redo = (message) => new WfloError(message, { kind: "redo" });

/** What another attempt could do about it. */
export const kindOf = (error) => (error instanceof WfloError ? error.kind : "permanent");

/** The failure of a step that an error ends with, as wflo takes it. */
export function failure(error) {
  return { tag: kindOf(error), val: told(error).toWellFormed() || "the step threw an error without a message" };
}

/** Most errors that are told of one: of its causes, and of those that it gathers; and of each of these. An error may be its own. */
const TOLD = 10;
const GATHERED = 3;

/** What an error says, and what its causes do. */
export function told(error, most = TOLD) {
  const messages = [];
  for (let cause = error; cause !== undefined && cause !== null && messages.length < most; cause = cause.cause) {
    const plain = cause instanceof Error && !(cause instanceof WfloError) && cause.name !== "Error";
    messages.push(plain ? `${cause.name}: ${cause.message}` : cause instanceof Error ? cause.message : thrown(cause));
    if (cause instanceof AggregateError && Array.isArray(cause.errors)) {
      messages.push(cause.errors.slice(0, TOLD).map((one) => told(one, Math.min(GATHERED, most - messages.length))).join("; "));
    }
  }
  return messages.filter((message) => message !== "").join(": ");
}

/** What was thrown, where it is no error: its message, or what it is. */
function thrown(value) {
  if (typeof value !== "object") return String(value);
  if (typeof value.message === "string" && value.message !== "") return value.message;
  try {
    return stringify(value, "what was thrown");
  } catch {
    return String(value);
  }
}

/** Calls the host, and turns the error that it gives into one of those above. */
export function hosted(call, translate) {
  try {
    return call();
  } catch (error) {
    const payload = error?.payload;
    if (typeof payload === "string") throw translate(undefined, payload);
    if (typeof payload?.tag !== "string") throw error;
    throw translate(payload.tag, payload.val);
  }
}
