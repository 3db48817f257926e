// `fetch`, over `wflo:http`.

import { send as host } from "wflo:http/client@0.1.0";
import {
  AccessDenied,
  HttpStatus,
  Invalid,
  Limit,
  RefusedByPolicy,
  Rejected,
  Unavailable,
  WfloError,
  hosted,
} from "../errors.js";
import { count, parse } from "../json.js";
import { decode } from "../text.js";
import { bytesOf, following, prepared, shown } from "./request.js";

/**
 * Sends a request, and gives the answer, whatever its status. Every redirect is a request of its own that needs a grant;
 * credentials are not sent on to another host.
 */
export async function fetch(url, options = {}) {
  const request = prepared(url, options);
  for (;;) {
    const response = await send(request);
    if (!following(request, response.status, response.headers.get("location"))) return response;
  }
}

/** The answer to a request, in whole. */
class Response {
  #body;

  constructor(url, status, headers, body) {
    this.url = url;
    this.status = status;
    this.ok = status >= 200 && status < 300;
    this.headers = headers;
    this.#body = body;
  }

  /** The answer, if it is one of success; else throws `HttpStatus` with the beginning of the body. */
  success() {
    if (this.ok) return this;
    throw new HttpStatus(this.status, shown(this.#body));
  }

  async bytes() {
    return this.#body;
  }

  async arrayBuffer() {
    return this.#body.slice().buffer;
  }

  async text() {
    return decode(this.#body);
  }

  async json() {
    try {
      return parse(decode(this.#body));
    } catch (error) {
      throw new Invalid(`the answer is no JSON: ${error.message}`);
    }
  }
}

class Headers {
  #entries;

  constructor(entries) {
    this.#entries = entries;
  }

  /** The values of a header, with commas between them; null if it is not there. */
  get(name) {
    const values = this.#entries.filter(([other]) => other === String(name).toLowerCase()).map(([, value]) => value);
    return values.length === 0 ? null : values.join(", ");
  }

  has(name) {
    return this.get(name) !== null;
  }

  [Symbol.iterator]() {
    return this.#entries[Symbol.iterator]();
  }

  entries() {
    return this[Symbol.iterator]();
  }
}

async function send({ url, method, headers, body, timeout }) {
  const firstByteMs = timeout === undefined ? null : count(Math.ceil(timeout * 1000), "`timeoutSeconds` in milliseconds");
  // A fragment is for whoever reads the answer.
  const request = { method, url: url.split("#")[0], headers, body, firstByteMs };
  const answer = hosted(() => host(request), translate);
  const entries = answer.headers.map(([name, value]) => [name, decode(bytesOf(value))]);
  return new Response(url, answer.status, new Headers(entries), bytesOf(answer.body));
}

function translate(tag, val) {
  switch (tag) {
    case "access-denied":
      return new AccessDenied(`access denied: ${val}`);
    case "invalid":
      return new Invalid(`invalid request: ${val}`);
    case "refused-by-policy":
      return new RefusedByPolicy(val, "the request");
    case "rejected":
      return new Rejected(`the request was not approved: ${val}`);
    case "too-large":
      return new Limit(`a body is larger than a step may have: ${val}`);
    case "unavailable":
      return new Unavailable(`the server cannot be reached: ${val}`);
    case "lost":
      return new Unavailable(`the server did not answer: ${val}`);
    default:
      return new WfloError(`the request failed: ${val}`);
  }
}
