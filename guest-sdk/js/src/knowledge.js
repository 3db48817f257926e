// Knowledge bases: folders of documents that the host has made searchable.

import { search as host } from "wflo:knowledge/search@0.1.0";
import { AccessDenied, Invalid, RefusedByPolicy, Rejected, Unavailable, Unknown, WfloError, hosted } from "./errors.js";
import { count, text } from "./json.js";

/** Names a knowledge base. */
export function knowledge(label) {
  const of = text(label, "the label of a knowledge base");
  return Object.freeze({
    /** Finds the passages that fit a question best, the best first. */
    async search(question, { top = 5 } = {}) {
      const found = hosted(() => host(of, text(question, "a question"), count(top, "`top`")), translate);
      return found.map(({ source, title, text, score }) => ({ source, title, text, score }));
    },
  });
}

function translate(tag, val) {
  switch (tag) {
    case "access-denied":
      return new AccessDenied(`access denied: ${val}`);
    case "unknown":
      return new Unknown(val);
    case "refused-by-policy":
      return new RefusedByPolicy(val, "the search");
    case "rejected":
      return new Rejected(`the search was not approved: ${val}`);
    case "invalid":
      return new Invalid(val);
    case "unavailable":
      return new Unavailable(val);
    default:
      return new WfloError(val);
  }
}
