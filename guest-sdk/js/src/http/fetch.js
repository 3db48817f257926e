// `fetch`, over `wasi:http`.

import { handle } from "wasi:http/outgoing-handler@0.2.12";
import { Fields, IncomingBody, OutgoingBody, OutgoingRequest, RequestOptions } from "wasi:http/types@0.2.12";
import { AccessDenied, HttpStatus, Invalid, Limit, Unavailable, WfloError } from "../errors.js";
import { stringify } from "../json.js";
import { ready } from "../loop.js";
import { decode, encode } from "../text.js";
import { follow, parts, sameOrigin, withoutQuery } from "./url.js";

/** How much is read and written at a time. */
const CHUNK = 64 * 1024;
/** How many redirects are followed: of `GET` and `HEAD` alone. */
const REDIRECTS = 5;
const CREDENTIALS = ["authorization", "cookie", "x-api-key"];
/** Most of a body that an error shows. */
const SHOWN = 500;

/**
 * Sends a request, and gives the answer, whatever its status. Several at once are under way at once. Every redirect is a
 * request of its own that needs a grant; credentials are not sent on to another host.
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
  const outgoing = outgoingOf(url, method, headers);
  const fail = (error) => {
    throw failed(error, url);
  };
  if (body.length > 0) {
    // Finished before it is handed over, so that whatever is wrong with it comes at one place.
    const into = outgoing.body();
    write(into, body);
    try {
      OutgoingBody.finish(into, null);
    } catch (error) {
      fail(error);
    }
  }
  let options = null;
  if (timeout !== undefined) {
    options = new RequestOptions();
    try {
      options.setFirstByteTimeout(Math.round(timeout * 1e9));
    } catch {
      // A host that does not take it has a limit of its own.
    }
  }
  let future;
  try {
    future = handle(outgoing, options);
  } catch (error) {
    fail(error);
  }
  await ready(future.subscribe());
  const answer = future.get();
  if (answer?.tag !== "ok") throw new WfloError("the request failed: the answer is not there");
  if (answer.val.tag !== "ok") throw failed({ payload: answer.val.val }, url);
  const response = answer.val.val;
  const entries = response.headers().entries();
  return new Response(
    url,
    response.status(),
    new Headers(entries.map(([name, value]) => [name.toLowerCase(), decode(value)])),
    read(response),
  );
}

function outgoingOf(url, method, headers) {
  const address = parts(url);
  if (address === undefined) throw new Invalid(`\`${url}\` is not an address of HTTP`);
  let fields;
  try {
    fields = Fields.fromList(headers);
  } catch (error) {
    throw new Invalid(`a header cannot be sent: ${error.payload?.tag ?? error.message}`);
  }
  const outgoing = new OutgoingRequest(fields);
  try {
    outgoing.setMethod({ tag: "other", val: method });
    outgoing.setScheme({ tag: address.scheme === "http" ? "HTTP" : "HTTPS" });
    outgoing.setAuthority(address.authority);
    outgoing.setPathWithQuery(address.path);
  } catch {
    throw new Invalid(`\`${method} ${url}\` is not a request that can be sent`);
  }
  return outgoing;
}

function write(into, bytes) {
  const stream = into.write();
  try {
    for (let at = 0; at < bytes.length; ) {
      const room = Math.min(Number(stream.checkWrite()), CHUNK);
      if (room === 0) {
        stream.subscribe().block();
        continue;
      }
      stream.write(bytes.slice(at, at + room));
      at += room;
    }
    stream.flush();
  } catch {
    throw new Limit("a body is larger than a step may have");
  } finally {
    drop(stream);
  }
}

function read(response) {
  const body = response.consume();
  const stream = body.stream();
  const chunks = [];
  let length = 0;
  try {
    for (;;) {
      const chunk = Uint8Array.from(stream.blockingRead(CHUNK));
      chunks.push(chunk);
      length += chunk.length;
    }
  } catch (error) {
    if (error?.payload?.tag !== "closed") throw new WfloError("the request failed: the answer broke off", { cause: error });
  }
  drop(stream);
  drop(IncomingBody.finish(body));
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

/** Gives a resource back at once: a stream must be gone before its body is finished. */
function drop(resource) {
  resource?.[Symbol.dispose]?.();
}

function listed(headers) {
  const entries = Symbol.iterator in headers ? Array.from(headers) : Object.entries(headers);
  return entries.map(([name, value]) => [String(name).toLowerCase(), bytesOf(typeof value === "number" ? String(value) : value)]);
}

function bytesOf(value) {
  if (value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (typeof value === "string") return encode(value);
  throw new Invalid("a body and the value of a header are text or bytes; `json` takes anything else for a body");
}

/** The host's word for what went wrong; its log has more. */
function failed(error, url) {
  const { tag, val } = error?.payload ?? {};
  // The query may hold a key, and errors end in journals.
  const plain = withoutQuery(url);
  switch (tag) {
    case "HTTP-request-denied":
    case "configuration-error":
      return new AccessDenied(`access denied: \`${plain}\``);
    case "HTTP-request-URI-invalid":
    case "HTTP-request-method-invalid":
      return new Invalid(`invalid request: \`${plain}\``);
    case "destination-unavailable":
    case "connection-limit-reached":
      return new Unavailable("the server cannot be reached");
    case "connection-terminated":
      return new Unavailable("the server did not answer");
    case "HTTP-request-body-size":
    case "HTTP-response-body-size":
      return new Limit("a body is larger than a step may have");
    case "internal-error":
      return new WfloError(`the request failed: ${val ?? "the host failed"}`);
    default:
      return new WfloError(`the request failed: ${tag ?? error?.message}`);
  }
}
