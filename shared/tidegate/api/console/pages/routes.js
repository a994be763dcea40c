// Routes of a workspace: model names of its own, each over several deployments.

import { h } from "./dom.js";
import { showDefinitions } from "./definitions.js";
import { t } from "./text.js";

const ECHO = { model: "demo/echo" };

export const showRoutes = (main, context) => showDefinitions(main, context, {
  field: "routes",
  title: t("Routes"),
  explanation: t("A route is a name that callers use as a model. Those of TIDEGATE_ROUTES hold for all workspaces, and are not listed here."),
  empty: t("This workspace has no routes."),
  help: "docs/ROUTES.md",
  removal: t("Calls of this name are refused within a minute, unless a model has the name."),
  examples: {
    [t("in order")]: { name: "safe", targets: [ECHO, { model: "openai/gpt-4.1-mini" }], fallbacks: [] },
    [t("by weight")]: { name: "split", by: "weight", targets: [{ ...ECHO, weight: 3 }, { model: "openai/gpt-4.1-mini", weight: 1 }] },
    [t("the fastest")]: { name: "fast", by: "latency", targets: [ECHO, { model: "groq/llama-3.3-70b-versatile" }], hedge_after_seconds: 4 },
  },
  facts: ({ by, targets, fallbacks }) => [
    [t("Order"), orders()[by ?? "order"] ?? by],
    [t("Targets"), h("ol", {}, targets.map(({ model, ...rest }) => h("li", {}, [model, ...Object.entries(rest).map(([name, value]) => `${name} ${value}`)].join(" · "))))],
    [t("Fallbacks"), (fallbacks ?? []).join(", ")],
  ],
  shown: ["name", "by", "targets", "fallbacks"],
});

const orders = () => ({ order: t("in order"), weight: t("by weight"), latency: t("the fastest"), price: t("the cheapest") });
