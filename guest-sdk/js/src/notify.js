// Messages on channels, such as `slack://cs-managers`.

import { send as host } from "wflo:notify/channel@0.1.0";
import { hosted } from "./errors.js";
import { text } from "./json.js";
import { translate } from "./message.js";

/** Queues a message for a channel, which leaves when the step has succeeded: a line, and what it says as plain text. */
export async function notify(address, title, said) {
  const message = { title: text(title, "the title of a message"), text: text(said, "the text of a message") };
  hosted(() => host(text(address, "the address of a channel"), message), translate);
}
