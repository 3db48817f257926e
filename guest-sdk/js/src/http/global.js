// `fetch` where libraries look for it. `wflo build` puts this before the code of a step that asks over HTTP; to one that does not
// it would give an import that needs a grant.

import { fetch } from "./fetch.js";

Object.defineProperty(globalThis, "fetch", { value: fetch, writable: true, enumerable: false, configurable: true });
