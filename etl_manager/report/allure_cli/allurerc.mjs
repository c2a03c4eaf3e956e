// How Allure 3 renders a run. `python -m etl_manager report render` calls it, and says where things are.
import { readFileSync } from "node:fs";

const { REPORT_RESULTS: results, REPORT_OUTPUT: output, REPORT_HISTORY: historyPath, REPORT_NAME: name } = process.env;

export default {
  name,
  output,
  historyPath,
  // The suite keeps the history itself, a line a run; rendering twice must not make two runs of one.
  appendHistory: false,
  // What pytest tells of itself says nothing to a reviewer.
  hideLabels: ["host", "thread", "framework", "language", "package", "parentSuite", "suite", "subSuite"],
  // Allure 3 takes the kinds of failure from here, and not from the results.
  categories: JSON.parse(readFileSync(`${results}/categories.json`, "utf8")).map((category) => ({
    ...category,
    groupByMessage: true,
  })),
  plugins: {
    awesome: {
      options: {
        singleFile: true,
        reportLanguage: "en",
        theme: "light",
        groupBy: ["feature", "story", "tenants"],
        // Those that say something about ten runs of one suite; the others stay empty.
        charts: [
          { type: "currentStatus", title: "This run" },
          { type: "statusDynamics", title: "The last runs", limit: 10 },
          { type: "statusTransitions", title: "What broke and what was mended", limit: 10 },
          {
            type: "testResultSeverities",
            title: "By severity",
            levels: ["blocker", "critical", "normal"],
            statuses: ["passed", "failed", "broken", "skipped"],
          },
        ],
      },
    },
    agent: { enabled: false },
  },
};
