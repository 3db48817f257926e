// What a step may always ask about the run it is part of.

import * as host from "wflo:step/context@0.1.0";
import { last } from "./approval.js";
import { Invalid, hosted } from "./errors.js";
import { parse, text } from "./json.js";

const read = (json) => (json === null || json === undefined ? undefined : parse(json));

/** The run that a step is part of, as the step sees it. */
export class Context {
  #inputs;

  /** The inputs of the run, with their defaults. */
  get inputs() {
    return (this.#inputs ??= parse(host.inputs()));
  }

  /** The steps that this one depends on, directly or through others: `context.steps.NAME.output`. */
  get steps() {
    return STEPS;
  }

  /** The element this attempt works on, where the step fans out with `for_each`. */
  get item() {
    return read(host.item());
  }

  /** The id of the run. */
  get runId() {
    return host.runId();
  }

  /** The name of this step. */
  get step() {
    return host.step();
  }

  /** The number of this attempt, from 1. */
  get attempt() {
    return host.attempt();
  }

  /** The last decision about this step, else about those it depends on. */
  get decision() {
    return last();
  }

  /** Reports a cost that wflo does not see: in a cloud, at an API. `usd` is an exact decimal, as text. */
  async reportCost(kind, usd, note = "") {
    const said = [text(kind, "the kind of a cost"), String(usd), text(note, "the note of a cost")];
    hosted(
      () => host.reportCost(...said),
      (_, val) => new Invalid(val),
    );
  }
}

/** Steps are asked for by their names; there is no list of them. */
const STEPS = new Proxy(Object.freeze({}), {
  get(_, name) {
    if (typeof name !== "string") return undefined;
    const output = host.outputOf(name);
    return output === null || output === undefined ? undefined : { output: parse(output) };
  },
  has: (_, name) => typeof name === "string" && (host.outputOf(name) ?? null) !== null,
});

/** A step to undo. */
export class Undo {
  constructor({ step, item, output, certain }) {
    this.step = step;
    this.item = read(item);
    this.output = read(output);
    this.certain = certain;
  }
}
