// What steps find as globals. `wflo build` puts this first in a bundle, before any of the step's own code is evaluated.

import { console } from "./log.js";
import { Promise, clearTimeout, queueMicrotask, setTimeout } from "./loop.js";
import { TextDecoder, TextEncoder } from "./text.js";

for (const [name, value] of Object.entries({
  Promise,
  TextDecoder,
  TextEncoder,
  clearTimeout,
  console,
  queueMicrotask,
  setTimeout,
})) {
  Object.defineProperty(globalThis, name, { value, writable: true, enumerable: false, configurable: true });
}
