import { join } from "node:path";
import { runStep } from "../../stack/build-step.ts";
import { cachedGoProgram } from "../../stack/go-program.ts";

const MODULE = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12";

/**
 * Builds the checker of GitHub's workflows if needed. Prints the reason and returns undefined if it
 * cannot.
 */
export async function actionlint(): Promise<string | undefined> {
  const program = cachedGoProgram({
    title: "actionlint",
    folder: "actionlint",
    file: "actionlint",
    sources: [MODULE],
    advice: "Install Go 1.25 or later (https://go.dev/doc/install).",
    announcement: "There is no actionlint yet; building one, once",
    async build(go, context) {
      await runStep("Building actionlint", [go, "install", MODULE], context);
      return join(context.folder, "actionlint");
    },
  }, { log: console.log });
  return await program.catch((error: Error) => {
    console.log(error.message);
    return undefined;
  });
}
