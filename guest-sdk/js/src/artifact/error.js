// Why there is no artifact, or none of it.

import { AccessDenied, Invalid, Limit, RefusedByPolicy, Rejected, Unavailable, Unknown, WfloError } from "../errors.js";

export function translate(tag, val) {
  switch (tag) {
    case "access-denied":
      return new AccessDenied(`access denied: ${val}`);
    case "unknown":
      return new Unknown(val);
    case "limit":
      return new Limit(val);
    case "invalid":
      return new Invalid(val);
    case "refused-by-policy":
      return new RefusedByPolicy(val, "the request");
    case "rejected":
      return new Rejected(`the request was not approved: ${val}`);
    case "upstream":
    case "unavailable":
      return new Unavailable(val);
    default:
      return new WfloError(val);
  }
}
