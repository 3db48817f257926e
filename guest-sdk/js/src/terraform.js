// Infrastructure, by terraform or OpenTofu.

import * as host from "wflo:infra/terraform@0.1.0";
import {
  AccessDenied,
  Invalid,
  Limit,
  NotApplied,
  RefusedByPolicy,
  Rejected,
  Stale,
  Unavailable,
  WfloError,
  hosted,
} from "./errors.js";
import { parse, text } from "./json.js";

/** Names a working copy of a configuration. */
export function terraform(label) {
  return new Terraform(text(label, "the label of a terraform folder"));
}

class Terraform {
  #label;

  constructor(label) {
    this.#label = label;
  }

  /** What there is. Values that are sensitive, or named like a secret, are null. */
  async state() {
    const { serial, outputs, resources } = hosted(() => host.state(this.#label), translate);
    return {
      serial: Number(serial),
      outputs: parse(outputs),
      resources: resources.map(({ address, kind, values }) => ({ address, kind, values: parse(values) })),
    };
  }

  /** Works out what these files, by their paths, would change. Nothing is changed; the plan is kept for whoever may apply it. */
  async plan(files) {
    const sent = Object.entries(files).map(([path, content]) => ({ path, content: text(content, `\`${path}\``) }));
    const plan = hosted(() => host.plan(this.#label, sent), translate);
    const changes = (all) => all.map(({ address, action }) => ({ address, action }));
    const { digest, adds, changes: changed, destroys, text: said, detail } = plan;
    return {
      digest,
      adds,
      changes: changed,
      destroys,
      resources: changes(plan.resources),
      outputs: changes(plan.outputs),
      text: said,
      detail: parse(detail),
    };
  }

  /** Applies a plan, by its digest. Where that fails, the previous configuration is applied again before this is known. */
  async apply(digest) {
    const { serial, outputs, resources } = hosted(() => host.apply(this.#label, text(digest, "the digest of a plan")), translate);
    return { serial: Number(serial), outputs: parse(outputs), resources: Array.from(resources) };
  }
}

function translate(tag, val) {
  switch (tag) {
    case "access-denied":
      return new AccessDenied(`access denied: ${val}`);
    case "invalid":
      return new Invalid(val);
    case "stale":
      return new Stale(val);
    case "failed":
      return new NotApplied(val);
    case "limit":
      return new Limit(val);
    case "refused-by-policy":
      return new RefusedByPolicy(val, "it");
    case "rejected":
      return new Rejected(`it was not approved: ${val}`);
    case "unavailable":
      return new Unavailable(val);
    default:
      return new WfloError(val);
  }
}
