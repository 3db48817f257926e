// What mail and channels have in common: why a message is not sent.

import { AccessDenied, Invalid, RefusedByPolicy, Rejected, Unknown, WfloError } from "./errors.js";

export function translate(tag, val) {
  switch (tag) {
    case "access-denied":
      return new AccessDenied(`access denied: ${val}`);
    case "unknown":
      return new Unknown(val);
    case "refused-by-policy":
      return new RefusedByPolicy(val, "the message");
    case "rejected":
      return new Rejected(`the message was not approved: ${val}`);
    case "invalid":
      return new Invalid(val);
    default:
      return new WfloError(val);
  }
}
