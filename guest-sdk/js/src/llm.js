// Language models, by the names that `workflow.toml` grants.

import * as chat from "wflo:llm/chat@0.1.0";
import * as tasks from "wflo:llm/tasks@0.1.0";
import {
  AccessDenied,
  BadOutput,
  BudgetExceeded,
  ContextTooLong,
  Invalid,
  RateLimited,
  RefusedByPolicy,
  Rejected,
  Unavailable,
  UnknownModel,
  WfloError,
  hosted,
} from "./errors.js";
import { count, parse, stringify, text, texts } from "./json.js";

/** Asks a model once. */
export async function complete({ model, prompt, system, messages = [], schema, maxTokens, temperature, seed }) {
  const said = [
    ...(system === undefined ? [] : [{ role: "system", content: text(system, "`system`") }]),
    ...messages.map(message),
    ...(prompt === undefined ? [] : [{ role: "user", content: text(prompt, "`prompt`") }]),
  ];
  if (said.length === 0) throw new Invalid("a model is asked something: `prompt`, or `messages`");
  if (temperature !== undefined && typeof temperature !== "number") throw new Invalid("`temperature` is a number");
  const request = {
    model: text(model, "`model`"),
    messages: said,
    schema: schema === undefined ? null : stringify(schema, "schema"),
    maxTokens: count(maxTokens, "`maxTokens`"),
    temperature: temperature ?? null,
    seed: count(seed, "`seed`", Number.MAX_SAFE_INTEGER),
  };
  return new Completion(hosted(() => chat.complete(request), translate));
}

const ROLES = ["system", "user", "assistant"];

function message({ role, content }) {
  if (!ROLES.includes(role)) throw new Invalid(`the role of a message is one of ${ROLES.join(", ")}`);
  return { role, content: text(content, "the content of a message") };
}

class Completion {
  constructor({ text, model, finishReason, usage }) {
    this.text = text;
    this.model = model;
    this.finishReason = finishReason;
    this.usage = usage;
  }

  /** The answer as JSON: it is, where the request had a schema. */
  json() {
    return read(this.text);
  }
}

/** Has a model analyse data. */
export const analyze = task(({ model, data, prompt, schema }) =>
  tasks.analyze(
    text(model, "`model`"),
    stringify(data, "data"),
    text(prompt, "`prompt`"),
    stringify(schema ?? { type: "object" }, "schema"),
  ),
);

/** Has a model answer a question from a knowledge base and nothing else, and say where the answer stands. */
export const answer = task(({ model, question, knowledge, top = 5 }) =>
  tasks.answer(
    text(model, "`model`"),
    text(question, "`question`"),
    text(knowledge, "`knowledge`, the label of a knowledge base,"),
    count(top, "`top`"),
  ),
);

/** Has a model sort a text into exactly one of several categories. */
export const classify = task(({ model, text: sorted, categories }) =>
  tasks.classify(text(model, "`model`"), text(sorted, "`text`"), texts(categories, "`categories`")),
);

/** Has a model transform rows, one by one. */
export const transform = task(({ model, rows, data = rows, instructions, schema }) =>
  tasks.transform(
    text(model, "`model`"),
    stringify(data, "rows"),
    text(instructions, "`instructions`"),
    stringify(schema ?? { type: "object" }, "schema"),
  ),
);

/** Has a model hold data against rules. */
export const validate = task(({ model, data, rules }) =>
  tasks.validate(text(model, "`model`"), stringify(data, "data"), texts(rules, "`rules`")),
);

/** Has a model write code. */
export const generateCode = task(({ model, language, requirements }) =>
  tasks.generateCode(text(model, "`model`"), text(language, "`language`"), stringify(requirements, "requirements")),
);

/** Has a model judge content by policies. */
export const moderate = task(({ model, content, policies }) =>
  tasks.moderate(text(model, "`model`"), text(content, "`content`"), texts(policies, "`policies`")),
);

/** Has a model draw many inputs together into one result. */
export const synthesize = task(({ model, data, prompt, schema }) =>
  tasks.synthesize(
    text(model, "`model`"),
    stringify(data, "data"),
    text(prompt, "`prompt`"),
    stringify(schema ?? { type: "object" }, "schema"),
  ),
);

/** A task: a function that gives the answer, and beside it one that also says what it used and cost. */
function task(call) {
  const withUsage = async (options) => {
    const { value, usage } = hosted(() => call(options ?? {}), translate);
    return { value: read(value), usage };
  };
  return Object.assign(async (options) => (await withUsage(options)).value, { withUsage });
}

function read(json) {
  try {
    return parse(json);
  } catch (error) {
    throw new BadOutput(`the model's answer is no use: ${error.message}`);
  }
}

function translate(tag, val) {
  switch (tag) {
    case "access-denied":
      return new AccessDenied(`access to a model denied: ${val}`);
    case "budget-exceeded":
      return new BudgetExceeded(val);
    case "unknown-model":
      return new UnknownModel(`no model is called \`${val}\``);
    case "refused-by-policy":
      return new RefusedByPolicy(val, "the call");
    case "rejected":
      return new Rejected(`the call was not approved: ${val}`);
    case "rate-limited":
      return new RateLimited(val ?? undefined);
    case "context-too-long":
      return new ContextTooLong(`the request is too long for the model: ${val}`);
    case "bad-output":
      return new BadOutput(`the model's answer is no use: ${val}`);
    case "upstream":
      return new Unavailable(`the provider failed: ${val}`);
    case "invalid":
      return new Invalid(`invalid request to a model: ${val}`);
    default:
      return new WfloError(`the model call failed: ${val}`);
  }
}
