// The steps of a component: each a function with a name.

/** All steps, by their names, in the order in which they were made. */
export const steps = new Map();

const NAME = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,127}$/;
const OPTIONS = ["summary", "output", "facts", "compensate"];

/**
 * Makes a step: `step(name, run)`, or `step(name, { summary, output, facts, compensate }, run)`. `run` gets the context
 * and returns the output, or a promise of it.
 */
export function step(name, options, run) {
  if (run === undefined) [options, run] = [{}, options];
  if (typeof name !== "string" || !NAME.test(name)) {
    throw new TypeError("a step's name is 1 to 128 letters, digits, `_` and `-`, and does not begin with `-`");
  }
  if (steps.has(name)) throw new TypeError(`two steps of this component are called \`${name}\``);
  if (typeof run !== "function") throw new TypeError(`step \`${name}\` has no function`);
  for (const option of Object.keys(options)) {
    if (!OPTIONS.includes(option)) {
      throw new TypeError(`step \`${name}\` has no option \`${option}\`: there are ${OPTIONS.join(", ")}. What it may reach and when it runs stands in \`workflow.toml\``);
    }
  }
  if (options.compensate !== undefined && typeof options.compensate !== "function") {
    throw new TypeError(`what compensates step \`${name}\` is a function`);
  }
  steps.set(name, { name, summary: "", ...options, run });
  return run;
}
