// Makes a component of `steps.js` with StarlingMonkey in it: `node build.js FILE`.

import { cp, mkdir, rm, writeFile } from "node:fs/promises";
import { componentize } from "@bytecodealliance/componentize-js";

const WORLD = `package test:clients;

world clients {
  import wflo:step/context@0.1.0;
  export wflo:step/handler@0.1.0;
}
`;

process.chdir(import.meta.dirname);
await rm("target/wit", { recursive: true, force: true });
await mkdir("target/wit/deps", { recursive: true });
await writeFile("target/wit/clients.wit", WORLD);
await cp("../../../wit/step", "target/wit/deps/step", { recursive: true });
await cp("../../../wit/deps/logging", "target/wit/deps/logging", { recursive: true });
const { component } = await componentize({
  sourcePath: "steps.js",
  witPath: "target/wit",
  worldName: "clients",
  // It asks servers, and is none.
  disableFeatures: ["fetch-event"],
});
await writeFile(process.argv[2], component);
