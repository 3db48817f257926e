// Answers over HTTP that become artifacts.

import { save as host } from "wflo:artifact/http@0.1.0";
import { HttpStatus, hosted } from "../errors.js";
import { following, prepared, shown } from "../http/request.js";
import { translate } from "./error.js";

/**
 * Sends a request as `fetch` does, and keeps the body of a successful answer as an artifact of that name. The bytes go from the
 * server to the artifact and not through the step. Any answer but success is thrown, as `HttpStatus`.
 */
export async function save(url, name, options = {}) {
  const request = prepared(url, options);
  for (;;) {
    const { method, url, headers, body } = request;
    const saved = hosted(() => host({ method, url: url.split("#")[0], headers, body }, name), translate);
    if (saved.artifact !== null && saved.artifact !== undefined) return JSON.parse(saved.artifact);
    const location = saved.headers.find(([name]) => name === "location")?.[1];
    if (!following(request, saved.status, location)) throw new HttpStatus(saved.status, shown(saved.body));
  }
}
