// Prints the files that an import loads, including those that it requires.
import { registerHooks } from "node:module";

const files = new Set();
registerHooks({
  load(url, context, next) {
    files.add(url);
    return next(url, context);
  },
});
await import(process.argv[2]);
console.log(JSON.stringify([...files]));
