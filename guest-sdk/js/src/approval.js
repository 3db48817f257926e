// Asking people, and what they decided.

import * as gate from "wflo:approval/gate@0.1.0";
import { AccessDenied, Invalid, WfloError, hosted } from "./errors.js";
import { count, stringify, text, texts } from "./json.js";

/** Asks people, and waits for their decision for as long as it takes. A rejection is a decision, not an error. */
export async function ask({ summary, details, approvers, quorum, timeoutSeconds }) {
  const question = {
    summary: text(summary, "`summary`"),
    details: details === undefined ? null : stringify(details, "details"),
    approvers: texts(approvers, "`approvers`"),
    quorum: count(quorum, "`quorum`"),
    timeoutSeconds: count(timeoutSeconds, "`timeoutSeconds`"),
  };
  return decision(hosted(() => gate.request(question), translate));
}

/** The last decision about this step, else about those it depends on. */
export function last() {
  const outcome = gate.decision();
  return outcome ? decision(outcome) : undefined;
}

function decision({ status, votes }) {
  return {
    status,
    approved: status === "approved",
    votes: votes.map(({ by, approved, comment }) => ({ by, approved, comment: comment ?? undefined })),
  };
}

function translate(tag, val) {
  if (tag === "access-denied") return new AccessDenied(`access denied: ${val}`);
  return tag === "invalid" ? new Invalid(val) : new WfloError(val);
}
