/**
 * The CommonJS form of `register.ts`, for `node --require`. A CommonJS module cannot be awaited, so
 * calls that the program makes in its first moments are not recorded: prefer `node --import`.
 *
 * @module
 */
import { startZeroCode } from "./zero-code.ts";

void startZeroCode();
