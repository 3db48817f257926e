import { step } from "@wflo/sdk";
import { greeting } from "./greeting.ts";

type Inputs = { name: string };

step<Inputs>("hello", { summary: "Greet whoever is named" }, async (context) => {
  const { name } = context.inputs;
  console.info("greeting", { name });
  return { text: greeting(name) };
});
