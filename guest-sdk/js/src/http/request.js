// Requests: what they are made of, and where redirects lead them.

import { Invalid } from "../errors.js";
import { stringify, bytesOf as viewed } from "../json.js";
import { decode, encode } from "../text.js";
import { follow, sameOrigin } from "./url.js";

/** How many redirects are followed: of `GET` and `HEAD` alone. */
const REDIRECTS = 5;
const CREDENTIALS = ["authorization", "cookie", "x-api-key"];
/** Most of a body that an error shows. */
const SHOWN = 500;

/** A request, ready to be sent. */
export function prepared(url, { method = "GET", headers = {}, body, json, timeoutSeconds, redirect = "follow" }) {
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
  request.redirects = redirect === "follow" && ["GET", "HEAD"].includes(request.method) ? REDIRECTS : 0;
  return request;
}

/** Whether an answer sends a request elsewhere, where it is ready to go then. `location` is text or bytes. */
export function following(request, status, location) {
  const moved = [301, 302, 303, 307, 308].includes(status);
  if (!moved || location === null || location === undefined || request.redirects === 0) return false;
  const to = follow(request.url, typeof location === "string" ? location : decode(bytesOf(location)));
  if (!sameOrigin(request.url, to)) request.headers = request.headers.filter(([name]) => !CREDENTIALS.includes(name));
  request.url = to;
  request.redirects--;
  return true;
}

/** The beginning of a body, as an error shows it. */
export const shown = (body) => decode(bytesOf(body).subarray(0, SHOWN)).trim();

export function bytesOf(value) {
  if (typeof value === "string") return encode(value);
  const bytes = Array.isArray(value) ? new Uint8Array(value) : viewed(value);
  if (bytes !== undefined) return bytes;
  throw new Invalid("a body and the value of a header are text or bytes; `json` takes anything else for a body");
}

function listed(headers) {
  const entries = Symbol.iterator in headers ? Array.from(headers) : Object.entries(headers);
  return entries.map(([name, value]) => [String(name).toLowerCase(), bytesOf(typeof value === "number" ? String(value) : value)]);
}
