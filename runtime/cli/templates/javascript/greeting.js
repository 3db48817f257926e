// What the step computes. It needs no host, so its tests need none.

export const greeting = (name) => `Hello, ${name.trim()}!`;
