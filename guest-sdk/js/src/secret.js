// Secrets that a step uses and never has.

import { placeholder } from "wflo:secret/secrets@0.1.0";
import { AccessDenied, UnknownSecret, WfloError, hosted } from "./errors.js";
import { text } from "./json.js";

/**
 * What stands for a secret. Written in a header or the body of a request, the host puts the secret in its place on the
 * way out, for the hosts that the deployment has bound it to.
 */
export async function secret(label) {
  return hosted(() => placeholder(text(label, "the label of a secret")), translate);
}

function translate(tag, val) {
  if (tag === "access-denied") return new AccessDenied(`access denied: ${val}`);
  return tag === "unknown" ? new UnknownSecret(val) : new WfloError(val);
}
