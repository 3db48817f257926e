// What steps are written with. Each part lies in a module of its own, so that a bundler leaves out what a step does not
// use, and the component imports what it uses and nothing else.

export { step } from "./step.js";
export { ask } from "./approval.js";
export { fact } from "./fact.js";
export { db } from "./db.js";
export { Decimal, Timestamp, Uuid, decimal, timestamp, uuid } from "./value.js";
export * as llm from "./llm.js";
export { fetch } from "./http/fetch.js";
export { publish } from "./publish.js";
export { secret } from "./secret.js";
export { mail } from "./mail.js";
export { notify } from "./notify.js";
export { knowledge } from "./knowledge.js";
export * as artifact from "./artifact/index.js";
export { terraform } from "./terraform.js";
export { log } from "./log.js";
export {
  AccessDenied,
  BadOutput,
  BudgetExceeded,
  Constraint,
  ContextTooLong,
  HttpStatus,
  Invalid,
  Limit,
  NotApplied,
  RateLimited,
  RefusedByPolicy,
  Rejected,
  Stale,
  Unavailable,
  Unknown,
  UnknownModel,
  UnknownSecret,
  WfloError,
  permanent,
  redo,
  retryable,
} from "./errors.js";
