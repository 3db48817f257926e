// Results, published to a server.

import { fetch } from "./http/fetch.js";

/**
 * Posts a value as JSON, and gives the answer of success. With a grant that names the header in which the server takes an
 * idempotency key, what is published again after a crash or in another attempt is published once.
 */
export async function publish(url, value) {
  return (await fetch(url, { method: "POST", json: value })).success();
}
