// The engine of a component has no event loop: a step's promises run on this one.
//
// Asynchronous functions are compiled to generators (`wflo build` tells the bundler so), and these go on with whatever
// `Promise` is there: this one, whose reactions lie in a queue that a synchronous export can empty. When it is empty and
// the step is not done, it waits for the timer that is due first, which is the host's to say.

import { subscribeDuration } from "wasi:clocks/monotonic-clock@0.2.12";
import { poll } from "wasi:io/poll@0.2.12";
import { WfloError, kindOf, told } from "./errors.js";
import { log } from "./log.js";

/** What is to be done, in order. */
const jobs = {
  queue: [],
  next: 0,
  push(job) {
    this.queue.push(job);
  },
  shift() {
    if (this.next === this.queue.length) {
      this.queue = [];
      this.next = 0;
      return undefined;
    }
    const job = this.queue[this.next];
    this.queue[this.next++] = undefined;
    return job;
  },
};
/** The timers: a pollable, and what to do when it is ready. */
const waiting = new Set();
/** The promises that are rejected and that nobody has asked about, with why. */
const unheard = new Map();

const PENDING = 0;
const FULFILLED = 1;
const REJECTED = 2;

/** A promise as ECMAScript has it, but for the queue that its reactions lie in. */
export class Promise {
  #state = PENDING;
  #value;
  #reactions = [];
  #isResolved = false;

  constructor(executor) {
    if (typeof executor !== "function") throw new TypeError("a promise is made with a function");
    try {
      executor(
        (value) => this.#resolve(value),
        (reason) => {
          if (this.#isResolved) return;
          this.#isResolved = true;
          this.#settle(REJECTED, reason);
        },
      );
    } catch (error) {
      if (!this.#isResolved) {
        this.#isResolved = true;
        this.#settle(REJECTED, error);
      }
    }
  }

  #resolve(value) {
    if (this.#isResolved) return;
    this.#isResolved = true;
    this.#adopt(value);
  }

  #adopt(value) {
    if (value === this) return this.#settle(REJECTED, new TypeError("a promise cannot be resolved with itself"));
    if ((typeof value !== "object" || value === null) && typeof value !== "function") {
      return this.#settle(FULFILLED, value);
    }
    let then;
    try {
      then = value.then;
    } catch (error) {
      return this.#settle(REJECTED, error);
    }
    if (typeof then !== "function") return this.#settle(FULFILLED, value);
    jobs.push(() => {
      let isDone = false;
      const once = (go) => (value) => {
        if (isDone) return;
        isDone = true;
        go(value);
      };
      try {
        then.call(
          value,
          once((value) => this.#adopt(value)),
          once((reason) => this.#settle(REJECTED, reason)),
        );
      } catch (error) {
        once((reason) => this.#settle(REJECTED, reason))(error);
      }
    });
  }

  #settle(state, value) {
    this.#state = state;
    this.#value = value;
    if (state === REJECTED && this.#reactions.length === 0) unheard.set(this, value);
    for (const reaction of this.#reactions) this.#react(reaction);
    this.#reactions = [];
  }

  #react({ fulfilled, rejected, resolve, reject }) {
    const handler = this.#state === FULFILLED ? fulfilled : rejected;
    jobs.push(() => {
      if (typeof handler !== "function") return (this.#state === FULFILLED ? resolve : reject)(this.#value);
      let value;
      try {
        value = handler(this.#value);
      } catch (error) {
        return reject(error);
      }
      resolve(value);
    });
  }

  then(fulfilled, rejected) {
    unheard.delete(this);
    return new Promise((resolve, reject) => {
      const reaction = { fulfilled, rejected, resolve, reject };
      if (this.#state === PENDING) this.#reactions.push(reaction);
      else this.#react(reaction);
    });
  }

  catch(rejected) {
    return this.then(undefined, rejected);
  }

  finally(done) {
    if (typeof done !== "function") return this.then(done, done);
    return this.then(
      (value) => Promise.resolve(done()).then(() => value),
      (reason) =>
        Promise.resolve(done()).then(() => {
          throw reason;
        }),
    );
  }

  get [Symbol.toStringTag]() {
    return "Promise";
  }

  static resolve(value) {
    return value instanceof Promise ? value : new Promise((resolve) => resolve(value));
  }

  static reject(reason) {
    return new Promise((_, reject) => reject(reason));
  }

  static withResolvers() {
    let resolve, reject;
    const promise = new Promise((a, b) => ([resolve, reject] = [a, b]));
    return { promise, resolve, reject };
  }

  static try(call, ...args) {
    return new Promise((resolve) => resolve(call(...args)));
  }

  static all(iterable) {
    return gathered(iterable, (promise, at, values, done, reject) =>
      promise.then((value) => done((values[at] = value)), reject),
    );
  }

  static allSettled(iterable) {
    return gathered(iterable, (promise, at, values, done) =>
      promise.then(
        (value) => done((values[at] = { status: "fulfilled", value })),
        (reason) => done((values[at] = { status: "rejected", reason })),
      ),
    );
  }

  static any(iterable) {
    const none = (errors) => {
      throw new AggregateError(errors, "all promises were rejected");
    };
    return new Promise((resolve, reject) =>
      gathered(iterable, (promise, at, errors, done) => promise.then(resolve, (error) => done((errors[at] = error))))
        .then(none)
        .catch(reject),
    );
  }

  static race(iterable) {
    return new Promise((resolve, reject) => {
      for (const value of iterable) Promise.resolve(value).then(resolve, reject);
    });
  }
}

function gathered(iterable, watch) {
  return new Promise((resolve, reject) => {
    const values = [];
    let left = 1;
    const done = () => {
      if (--left === 0) resolve(values);
    };
    let at = 0;
    for (const value of iterable) {
      values.push(undefined);
      left++;
      watch(Promise.resolve(value), at++, values, done, reject);
    }
    done();
  });
}

const timers = new Map();
let newest = 0;

/** As in browsers. It really waits; a step that waits longer than a second is parked meanwhile, at no cost. */
export function setTimeout(call, milliseconds = 0, ...args) {
  const id = ++newest;
  const nanoseconds = Math.max(0, Math.round((Number(milliseconds) || 0) * 1e6));
  const entry = {
    pollable: subscribeDuration(nanoseconds),
    resolve: () => {
      timers.delete(id);
      call(...args);
    },
  };
  timers.set(id, entry);
  waiting.add(entry);
  return id;
}

export function clearTimeout(id) {
  waiting.delete(timers.get(id));
  timers.delete(id);
}

export const queueMicrotask = (call) => void jobs.push(call);

/**
 * Runs a promise to its end, and gives what it is fulfilled with or throws what it is rejected with. What was begun meanwhile
 * and not awaited goes on as far as it gets without a timer; where it is rejected, this throws that.
 */
export function settle(promise) {
  let end;
  Promise.resolve(promise).then(
    (value) => (end = { value }),
    (reason) => (end = { reason }),
  );
  while (end === undefined) {
    const job = jobs.shift();
    if (job !== undefined) job();
    else if (waiting.size > 0) wait();
    else end = { reason: new Error("the step waits for a promise that nothing will settle") };
  }
  if (!("reason" in end)) for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) job();
  const reasons = Array.from(unheard.values());
  unheard.clear();
  for (const reason of reasons) log.error(UNHEARD, { error: told(reason), stack: reason?.stack });
  if ("reason" in end) throw end.reason;
  if (reasons.length > 0) throw new WfloError(UNHEARD, { kind: kindOf(reasons[0]), cause: reasons[0] });
  return end.value;
}

const UNHEARD = "a promise was rejected and nobody awaited it";

/** Waits until one of those that are waited for is ready. */
function wait() {
  const entries = Array.from(waiting);
  const found = poll(entries.map((entry) => entry.pollable));
  for (const at of found) {
    waiting.delete(entries[at]);
    entries[at].resolve();
  }
}
