// Requests over `wasi:http`, by the `fetch` of StarlingMonkey.

import { input } from "wflo:step/context@0.1.0";

const address = (path) => `http://127.0.0.1:${input("port")}${path}`;

/** A body that is made while it is sent. */
const streamed = (pieces) =>
  new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(new TextEncoder().encode(piece));
      controller.close();
    },
  });

const post = (body, path = "/api/echo") => fetch(address(path), { method: "POST", body, duplex: "half" });

const STEPS = {
  async granted() {
    const response = await fetch(address("/api/json"));
    return [response.status, (await response.json()).text];
  },

  async denied() {
    try {
      await fetch(address("/private"));
      return "nothing";
    } catch (error) {
      return error.name;
    }
  },

  async before() {
    const response = await post("before ü");
    return [response.status, await response.text()];
  },

  async after() {
    const response = await post(streamed(Array.from({ length: 2000 }, () => "after ü ")));
    return [response.status, (await response.text()) === "after ü ".repeat(2000)];
  },

  async both() {
    // Neither is answered before the other is there.
    const [page, echoed] = await Promise.all([fetch(address("/api/meet?one")), post("two", "/api/meet")]);
    return [page.status, await page.text(), echoed.status, await echoed.text()];
  },
};

export const handler = {
  describe() {
    const named = (name) => ({ name, summary: "", compensates: false, outputSchema: undefined, facts: [] });
    return Object.keys(STEPS).map(named);
  },

  async run(step) {
    return JSON.stringify(await STEPS[step]());
  },

  compensate() {},
};
