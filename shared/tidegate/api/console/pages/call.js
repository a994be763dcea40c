// One call: what it answered and cost, its path over time, and its record.

import { h, replace, sized } from "./dom.js";
import { read } from "./api.js";
import { address, code, copyButton, table } from "./parts.js";
import { baseUrl } from "./signin.js";
import { workspaceOf } from "./session.js";
import { modelOf, status } from "./calls.js";
import { dateTime, money, seconds, t, whole } from "./text.js";

const kinds = () => ({
  authenticated: t("Key checked"), received: t("Request read"), queued: t("Waits"), cache: t("Cache"), guardrails: t("Guardrails"),
  reserved: t("Budget held"), shortened: t("Answer shortened"), attempt: t("Request sent"), failed: t("Attempt failed"),
  first_token: t("First token"), last_token: t("Last token"), skipped: t("Events left out"), settled: t("Settled"),
});
const reasons = () => ({ first: t("first attempt"), retry: t("retry"), fallback: t("fallback"), hedge: t("hedge"), trial: t("trial") });
const tokenKinds = () => ({
  input: t("Input"), cached: t("Read from the provider's cache"), written: t("Written to the provider's cache"), output: t("Output"),
  reasoning: t("Reasoning"), searches: t("Searches"), request: t("Request"),
});

export async function showCall(main, { id, query, signal }) {
  const workspace = workspaceOf(query);
  const found = await read("console", `/calls/${encodeURIComponent(id)}`, { query: { workspace }, signal });
  const { record } = found;
  const copied = h("span", { class: "quiet", role: "status" });
  replace(main,
    h("p", {}, h("a", { href: address("calls", { workspace }) }, `← ${t("Calls")}`)),
    h("h1", {}, modelOf(record), " ", status(record)),
    h("p", { class: "quiet" }, `${dateTime(record.time)} · ${record.id}`),
    facts(record),
    h("h2", {}, t("Timeline")), timeline(found.timeline, record.seconds),
    h("h2", {}, t("Cost")), cost(found, record),
    record.ignored && [h("h2", {}, t("Ignored parameters")), h("p", {}, t("The provider does not support these fields, so they had no effect:"), " ", h("code", {}, record.ignored))],
    h("h2", {}, t("Request and answer")),
    h("p", { class: "panel" }, t("Not traced: no content of this call was kept.")),
    h("h2", {}, t("As curl")), code(curl(record)),
    h("details", {}, h("summary", {}, t("Raw record")),
      h("pre", { tabindex: "0" }, JSON.stringify(record, null, 2)), copyButton(t("Copy"), () => JSON.stringify(record, null, 2), copied), copied));
}

function facts(record) {
  const filter = (name, value) => value && h("a", { href: address("calls", { workspace: record.workspace_id, [name]: value }) }, value);
  const listed = [
    [t("Requested model"), record.model], [t("Endpoint"), record.endpoint], [t("Duration"), seconds(record.seconds)],
    [t("First token"), seconds(record.first_event_seconds)], [t("Tokens a second"), record.tokens_per_second],
    [t("Tokens"), record.input_tokens === null ? null : `${whole(record.input_tokens)} → ${whole(record.output_tokens)}`],
    [t("Words"), record.words === null ? null : whole(record.words)], [t("Cost"), money(record.cost_usd)], [t("Held"), record.held_usd && money(record.held_usd)],
    [t("Attempts"), record.attempts], [t("Failed attempts"), record.timeline ? null : record.failed_attempts], [t("Error"), record.error_code],
    [t("Finish reason"), record.finish_reason], [t("Cache"), record.cache], [t("Guardrails"), record.guardrails],
    [t("Key"), filter("key", record.key_id)], [t("App"), filter("app", record.app_id)], [t("Session"), filter("session", record.session_id)],
    [t("Agent"), record.agent_id], [t("Batch"), record.batch_id], [t("Workspace"), record.workspace_id],
  ];
  return h("dl", { class: "facts panel" }, listed.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) =>
    h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function timeline(events, duration) {
  if (events.length === 0) return h("p", { class: "quiet" }, t("This record has no timeline."));
  const end = Math.max(duration ?? 0, ...events.map((event) => event.at), 0.001);
  return h("ol", { class: "timeline panel" }, events.map((event, index) => {
    const next = events[index + 1]?.at ?? event.at;  // what begins with an event lasts until the next one
    const detail = event.kind === "attempt" ? (reasons()[event.detail] ?? event.detail) : event.detail;
    return h("li", { class: event.kind === "failed" ? "failed" : null },
      h("span", { class: "at" }, seconds(event.at)),
      h("span", {}, h("strong", {}, kinds()[event.kind] ?? event.kind), " ", detail, " ", event.deployment && h("code", {}, event.deployment)),
      h("span", { class: "track", "aria-hidden": "true" }, sized(h("i", { class: "s0" }), {
        left: `${Math.min(99.5, 100 * event.at / end)}%`, width: `${Math.max(0.5, 100 * (next - event.at) / end)}%` })));
  }));
}

function cost({ cost: parts }, record) {
  if (!parts) return h("p", {}, record.cost_usd === null ? t("This model has no price: the call counts without a cost.") : money(record.cost_usd));
  const total = parts.reduce((sum, part) => sum + Number(part.cost_usd), 0);
  const charged = Number(record.cost_usd ?? 0);
  const isOther = Math.abs(total - charged) > 1e-9 + charged * 1e-6;
  return [
    parts.length > 0 && table([t("Kind"), t("Count"), t("List price"), t("Cost")], parts.map((part) => [
      tokenKinds()[part.kind] ?? part.kind, whole(part.count),
      `${money(part.rate_usd)} / ${["searches", "request"].includes(part.kind) ? "1K" : "1M"}`, money(part.cost_usd)])),
    h("p", {}, t("Charged: {cost}", { cost: money(record.cost_usd) })),
    isOther && h("p", { class: "quiet" }, t("The charge differs from the list price: it was cached, a batch, another service tier, or the provider named its own cost.")),
  ];
}

// The prompt is not on record, so the command has a place for it. The shell reads the key from a variable.
function curl(record) {
  const path = /^\/[\w./-]+$/.test(record.endpoint ?? "") ? record.endpoint : "/v1/chat/completions";
  const body = JSON.stringify({ model: record.model, ...(record.stream ? { stream: true } : {}), messages: [{ role: "user", content: "…" }] });
  return `curl ${record.stream ? "-N " : ""}${baseUrl().replace(/\/v1$/, "")}${path} -H "Authorization: Bearer $KEY" \\
  -H 'Content-Type: application/json' -d '${body.replaceAll("'", "'\\''")}'`;
}
