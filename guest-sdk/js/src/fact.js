// Claims that policies hear.

import { fact as claim } from "wflo:approval/policy@0.1.0";
import { AccessDenied, Invalid, RefusedByPolicy, WfloError, hosted } from "./errors.js";
import { stringify, text } from "./json.js";

/**
 * Claims a fact that the step declares in `workflow.toml`, and gives what the policies say to it: `unopposed`,
 * `auto-approved`, `approved` or `rejected`.
 */
export async function fact(name, value) {
  return hosted(() => claim(text(name, "the name of a fact"), stringify(value, "value of a fact")), translate);
}

function translate(tag, val) {
  switch (tag) {
    case "access-denied":
      return new AccessDenied(`access denied: ${val}`);
    case "invalid":
      return new Invalid(val);
    case "refused-by-policy":
      return new RefusedByPolicy(val, "the fact");
    default:
      return new WfloError(val);
  }
}
