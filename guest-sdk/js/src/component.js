// What a component of steps exports, made from what `step` was given.

import { Context, Undo } from "./context.js";
import { WfloError, failure } from "./errors.js";
import { stringify } from "./json.js";
import { begin, log } from "./log.js";
import { settle } from "./loop.js";
import { steps } from "./step.js";

export const handler = {
  describe() {
    return Array.from(steps.values(), ({ name, summary, compensate, output, facts }) => ({
      name,
      summary,
      compensates: compensate !== undefined,
      outputSchema: output === undefined ? null : stringify(output, "schema"),
      facts: Object.entries(facts ?? {}).map(([fact, schema]) => [fact, stringify(schema, "schema")]),
    }));
  },

  run(name) {
    return guarded(() => stringify(settle(find(name).run(new Context())), "output"));
  },

  compensate(what) {
    return guarded(() => {
      const { compensate } = find(what.step);
      if (compensate === undefined) throw new WfloError(`step \`${what.step}\` has no compensation`);
      settle(compensate(new Context(), new Undo(what)));
    });
  },
};

function find(name) {
  const step = steps.get(name);
  if (step !== undefined) return step;
  const names = Array.from(steps.keys(), (name) => `\`${name}\``).join(", ");
  throw new WfloError(names ? `the component has no step \`${name}\`, only ${names}` : "the component has no steps: nothing called `step`");
}

/** Whatever is thrown is a failure that wflo understands. What nobody meant to throw says where it came from. */
function guarded(call) {
  begin();
  try {
    return call();
  } catch (error) {
    if (!(error instanceof WfloError) && error instanceof Error && error.stack) {
      log.error(`${error.name}: ${error.message}`, { stack: error.stack });
    }
    throw failure(error);
  }
}
