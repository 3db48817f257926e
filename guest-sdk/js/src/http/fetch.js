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
import { count, stringify } from "../json.js";
import { decode, encode } from "../text.js";
import { follow, sameOrigin } from "./url.js";

/** How many redirects are followed: of `GET` and `HEAD` alone. */
const REDIRECTS = 5;
const CREDENTIALS = ["authorization", "cookie", "x-api-key"];
/** Most of a body that an error shows. */
const SHOWN = 500;

/**
 * Sends a request, and gives the answer, whatever its status. Every redirect is a request of its own that needs a grant;
 * credentials are not sent on to another host.
 */
export async function fetch(url, { method = "GET", headers = {}, body, json, timeoutSeconds, redirect = "follow" } = {}) {
  const request = {
    url: String(url),
    method: String(method).toUpperCase(),
    headers: listed(headers),
    body: body === undefined || body === null ? new Uint8Array() : bytesOf(body),
    timeout: timeoutSeconds,
  };
  if (json !== undefined) {
    request.body = encode(stringify(json, "body"));
    if (!request.headers.some(([name]) => name === "content-type")) request.headers.push(["content-type", encode("application/json")]);
  }
  let left = redirect === "follow" && ["GET", "HEAD"].includes(request.method) ? REDIRECTS : 0;
  for (;;) {
    const response = await send(request);
    const next = [301, 302, 303, 307, 308].includes(response.status) ? response.headers.get("location") : null;
    if (next === null || left === 0) return response;
    const to = follow(request.url, next);
    if (!sameOrigin(request.url, to)) request.headers = request.headers.filter(([name]) => !CREDENTIALS.includes(name));
    request.url = to;
    left--;
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
    throw new HttpStatus(this.status, decode(this.#body.subarray(0, SHOWN)).trim());
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
      return JSON.parse(decode(this.#body));
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

function listed(headers) {
  const entries = Symbol.iterator in headers ? Array.from(headers) : Object.entries(headers);
  return entries.map(([name, value]) => [String(name).toLowerCase(), bytesOf(typeof value === "number" ? String(value) : value)]);
}

function bytesOf(value) {
  if (value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer || Array.isArray(value)) return new Uint8Array(value);
  if (typeof value === "string") return encode(value);
  throw new Invalid("a body and the value of a header are text or bytes; `json` takes anything else for a body");
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
