// One call: what it answered and cost, why it took so long, its content if it was traced, and its record.

import { h, replace } from "./dom.js";
import { read } from "./api.js";
import { address, button, copyButton, table } from "./parts.js";
import { curl } from "./curl.js";
import { chatOf } from "./dialects.js";
import { json, longText, fold } from "./messages.js";
import { openInPlayground } from "./playground.js";
import { replaySection } from "./replay.js";
import { isAdmin, workspaceOf } from "./session.js";
import { explanation, timeline } from "./timeline.js";
import { answerContent, rawContent, requestContent, traceNote } from "./trace.js";
import { modelOf, status } from "./calls.js";
import { dateTime, money, seconds, t, whole } from "./text.js";

const tokenKinds = () => ({
  input: t("Input"), cached: t("Read from the provider's cache"), written: t("Written to the provider's cache"), output: t("Output"),
  reasoning: t("Reasoning"), searches: t("Searches"), request: t("Request"),
});

export async function showCall(main, { id, query, signal, go }) {
  const workspace = workspaceOf(query);
  const found = await read("console", `/calls/${encodeURIComponent(id)}`, { query: { workspace }, signal });
  const { record, trace } = found;
  const request = usable(trace?.request);
  const back = h("p", {}, h("a", { href: address("calls", { workspace }) }, `← ${t("Calls")}`));
  // A line of a batch has no record of its own.
  if (!record) return replace(main, back, h("h1", {}, t("Batch")), h("p", { class: "quiet" }, id), content(found));
  replace(main,
    back,
    h("h1", {}, modelOf(record), " ", status(record)),
    h("p", { class: "quiet" }, `${dateTime(record.time)} · ${record.id}`),
    explanation(found.timeline, record),
    facts(record),
    h("h2", {}, t("Timeline")), timeline(found.timeline, record),
    h("h2", {}, t("Cost")), cost(found, record),
    record.ignored && [h("h2", {}, t("Ignored parameters")), h("p", {}, t("The provider does not support these fields, so they had no effect:"), " ", h("code", {}, record.ignored))],
    content(found),
    h("h2", {}, t("Replay")), replaySection(found, signal),
    request && !isAdmin() && h("p", {}, button(t("Open in the playground"), () => { openInPlayground({ ...chatOf(request), model: request.model ?? record.model }); go("playground", { workspace }); })),
    h("h2", {}, t("As curl")), command(curl(record, request), request),
    fold(t("Raw record"), () => json(record)));
}

function content(found) {
  const { trace } = found;
  if (!trace) return [h("h2", {}, t("Request and answer")), traceNote(found)];
  return [
    h("h2", {}, t("Request")), traceNote(found), requestContent(trace),
    h("h2", {}, t("Answer")), answerContent(trace),
    h("h2", {}, t("Raw")), rawContent(trace),
  ];
}

// The request as an object, if the trace has it in a form that can be sent again.
const usable = (request) => (request !== null && typeof request === "object" && request.base64 === undefined ? request : null);

function command(text, isComplete) {
  const done = h("span", { class: "quiet", role: "status" });
  return [
    h("p", { class: "quiet" }, isComplete ? t("It needs the key in the variable KEY.") : t("The prompt is not known: put yours in the place of the dots. This call will be traced. It needs the key in the variable KEY.")),
    longText(text, { class: "command" }, "pre", 3_000), h("div", { class: "row" }, copyButton(t("Copy"), () => text, done), done),
  ];
}

function facts(record) {
  const filter = (name, value) => value && h("a", { href: address("calls", { workspace: record.workspace_id, [name]: value }) }, value);
  const session = record.session_id && h("a", { href: address(`sessions/${encodeURIComponent(record.session_id)}`, { workspace: record.workspace_id }) }, record.session_id);
  const listed = [
    [t("Requested model"), record.model], [t("Endpoint"), record.endpoint], [t("Duration"), seconds(record.seconds)],
    [t("First token"), seconds(record.first_event_seconds)], [t("Tokens a second"), record.tokens_per_second],
    [t("Tokens"), record.input_tokens === null ? null : `${whole(record.input_tokens)} → ${whole(record.output_tokens)}`],
    [t("Words"), record.words === null ? null : whole(record.words)], [t("Cost"), money(record.cost_usd)], [t("Held"), record.held_usd && money(record.held_usd)],
    [t("Attempts"), record.attempts], [t("Failed attempts"), record.timeline ? null : record.failed_attempts], [t("Error"), record.error_code],
    [t("Finish reason"), record.finish_reason], [t("Cache"), record.cache], [t("Guardrails"), record.guardrails],
    [t("Key"), filter("key", record.key_id)], [t("App"), filter("app", record.app_id)], [t("Session"), session],
    [t("Agent"), record.agent_id], [t("Started by"), record.parent_agent_id], [t("Trace id"), record.trace_id], [t("Batch"), record.batch_id], [t("Workspace"), record.workspace_id],
  ];
  return h("dl", { class: "facts panel" }, listed.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) =>
    h("div", {}, h("dt", {}, name), h("dd", {}, value))));
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
