import { step } from "@wflo/sdk";
import { greeting } from "./greeting.js";

step("hello", { summary: "Greet whoever is named" }, async (context) => {
  const { name } = context.inputs;
  console.info("greeting", { name });
  return { text: greeting(name) };
});
