// A host for tests: a clock that jumps to whatever is waited for.
const MODULES = {
  "wasi:logging/logging@0.1.0-draft": "globalThis.logged = []; export const log = (...line) => globalThis.logged.push(line);",
  "wasi:clocks/monotonic-clock@0.2.12": "export const subscribeDuration = (ns) => ({ at: globalThis.now + ns });",
  // Bytes that count up, each source from its own beginning.
  "wasi:random/insecure@0.2.12": `
    let next = 0;
    export const getInsecureRandomBytes = (count) => Uint8Array.from({ length: count }, () => next++);`,
  "wasi:random/random@0.2.12": `
    let next = 128;
    export const getRandomBytes = (count) => Uint8Array.from({ length: count }, () => next++);`,
  "wasi:io/poll@0.2.12": `
    globalThis.now = 0;
    export const poll = (list) => {
      globalThis.now = Math.max(globalThis.now, Math.min(...list.map(({ at }) => at)));
      return Uint32Array.from(list.flatMap(({ at }, index) => (at <= globalThis.now ? [index] : [])));
    };`,
};

export function resolve(specifier, context, next) {
  if (specifier in MODULES) return { url: `host:${specifier}`, shortCircuit: true };
  return next(specifier, context);
}

export function load(url, context, next) {
  if (url.startsWith("host:")) return { format: "module", source: MODULES[url.slice(5)], shortCircuit: true };
  return next(url, context);
}
