// References to artifacts: `{ artifact, step, item, bytes, digest }`.

import { Invalid } from "../errors.js";

/** What a reference says of where its artifact is. */
export function source(reference) {
  const name = reference?.artifact;
  if (typeof name !== "string") throw new Invalid("a reference to an artifact is what `finish` gave: `{ artifact, step, ... }`");
  return { name, step: reference.step ?? null, item: reference.item ?? null };
}
