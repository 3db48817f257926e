export { create, open } from "./store.js";
export { save } from "./save.js";
