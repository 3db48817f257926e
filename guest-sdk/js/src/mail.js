// Mail, to the addresses that `workflow.toml` grants.

import { send as host } from "wflo:notify/mail@0.1.0";
import { hosted } from "./errors.js";
import { text, texts } from "./json.js";
import { translate } from "./message.js";

/** Queues a mail, which leaves when the step has succeeded; gives the `Message-ID` that it will have. */
export async function mail({ to, subject, text: said, answers }) {
  const message = {
    to: typeof to === "string" ? [to] : texts(to, "`to`"),
    subject: text(subject, "`subject`"),
    text: text(said, "`text`"),
    answers: answers === undefined ? null : text(answers, "`answers`"),
  };
  return hosted(() => host(message), translate);
}
