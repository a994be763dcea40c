// Guardrails of a workspace: what prompts and answers must not contain.

import { showDefinitions } from "./definitions.js";
import { t } from "./text.js";

export const showGuardrails = (main, context) => showDefinitions(main, context, {
  field: "guardrails",
  title: t("Guardrails"),
  explanation: t("A guardrail lets a text pass, masks parts of it, or ends the call. Built in: {names}.", { names: "secrets, personal-data, prompt-injection, json-schema" }),
  empty: t("This workspace has no guardrails of its own."),
  help: "docs/GUARDRAILS.md",
  removal: t("Calls that name it are refused within a minute. If it ran always, it runs no more."),
  examples: {
    [t("mask a pattern")]: { name: "projects", kind: "regex", patterns: ["\\bPRJ-\\d{4}\\b"], action: "mask", always: true },
    [t("mask personal data")]: { name: "people", kind: "personal", entities: ["EMAIL", "PHONE"], action: "mask", always: true },
    [t("limit the prompt")]: { name: "short", kind: "max_input", max_tokens: 8000 },
  },
  facts: (guardrail) => [
    [t("Kind"), guardrail.kind],
    [t("Reads"), { input: t("the prompt"), output: t("the answer"), both: t("prompt and answer") }[guardrail.on ?? "both"] ?? guardrail.on],
    [t("Action"), { block: t("ends the call"), mask: t("masks what it finds") }[guardrail.action ?? "block"] ?? guardrail.action],
    [t("Runs"), guardrail.always ? t("on every call") : t("if a call names it")],
  ],
  shown: ["name", "kind", "on", "action", "always"],
});
