// What steps find as globals. `wflo build` puts this first in a bundle, before any of the step's own code is evaluated.

import { console } from "./log.js";
import { Promise, clearTimeout, queueMicrotask, setTimeout } from "./loop.js";
import { crypto, random } from "./random.js";
import { TextDecoder, TextEncoder } from "./text.js";

const put = (object, name, value) =>
  Object.defineProperty(object, name, { value, writable: true, enumerable: false, configurable: true });

for (const [name, value] of Object.entries({
  Promise,
  TextDecoder,
  TextEncoder,
  clearTimeout,
  console,
  crypto,
  queueMicrotask,
  setTimeout,
})) {
  put(globalThis, name, value);
}
put(Math, "random", random);
