// A replay: the request of a traced call again, to its model or another one, beside the recorded answer.

import { append, h, replace } from "./dom.js";
import { read } from "./api.js";
import { button, dialog, field, hint, table } from "./parts.js";
import { liveAnswer, rate } from "./answers.js";
import { endpointOf } from "./curl.js";
import { answersOf } from "./dialects.js";
import { differenceOf } from "./difference.js";
import { message } from "./messages.js";
import { isAdmin } from "./session.js";
import { modelOf } from "./calls.js";
import { money, seconds, t, whole } from "./text.js";

const LOOKS = 6, PAUSE = 400; // milliseconds; a record is written after the last token

export function replaySection({ record, trace }, signal) {
  if (isAdmin()) return hint(t("A replay makes a call, and admin keys make none."), h("p", {}, t("Sign in with the virtual key that made this call: its limits and its budget apply.")));
  if (!trace || trace.request === null || typeof trace.request !== "object" || trace.request.base64 !== undefined)
    return h("p", {}, t("A replay needs the request, and this call has no trace of it."));
  const names = h("datalist", { id: "replay-models" });
  const same = trace.request.model ?? record.model ?? "";
  const chosen = () => model.value.trim() || same;
  const model = h("input", { name: "model", list: "replay-models", autocomplete: "off", placeholder: same });
  const cheapest = h("span", {});
  const result = h("div", {});
  let running = null;
  signal.addEventListener("abort", () => running?.abort());
  const stop = button(t("Stop"), () => running?.abort(), { disabled: true });
  const start = async () => {
    running?.abort();
    running = new AbortController();
    stop.disabled = false;
    const mine = running;
    await run(result, record, trace, chosen(), mine.signal);
    if (running === mine) stop.disabled = true;
  };
  const form = h("form", { class: "row", submit: (event) => {
    event.preventDefault();
    dialog(t("Replay this call?"), [
      h("p", {}, t("It makes a new call of {model} with your key, which costs money. The recorded call has cost {cost}.", { model: chosen(), cost: money(record.cost_usd) })),
      trace.masked?.length > 0 && h("p", {}, t("The trace is masked: the masked texts are sent.")),
    ], t("Replay"), () => void start());
  } }, field(t("Model"), model), names, h("button", { type: "submit", class: "primary" }, t("Replay…")), stop, cheapest);
  loadModels(names, record, signal).then((least) => least && replace(cheapest, button(t("Choose the cheapest: {model}", { model: least }), () => { model.value = least; })));
  return [form, result];
}

// The models, the cheapest for the tokens of this call first. Returns the first one with a price.
async function loadModels(names, record, signal) {
  try {
    const { data } = await read("calls", "/models", { headers: { "x-workspace-id": record.workspace_id }, signal });
    const costOf = ({ pricing: price }) => Number(price?.prompt ?? NaN) * (record.input_tokens ?? 0) + Number(price?.completion ?? NaN) * (record.output_tokens ?? 0);
    const priced = data.map((model) => [model.id, costOf(model)]).sort(([, one], [, other]) => (one || Infinity) - (other || Infinity));
    replace(names, priced.map(([value, cost]) => h("option", { value }, cost > 0 ? t("about {cost}", { cost: money(cost) }) : "")));
    return priced.find(([, cost]) => cost > 0)?.[0];
  } catch {
    replace(names);  // the field takes any name
    return null;
  }
}

async function run(result, record, trace, model, signal) {
  const live = liveAnswer(t("Replay: {model}", { model }), t("Answer of the replay"), record.workspace_id);
  const comparison = h("div", {});
  const recorded = answerOf(trace);
  replace(result,
    h("div", { class: "columns" },
      h("article", { class: "panel" }, h("h2", {}, t("Recorded: {model}", { model: modelOf(record) })),
        h("div", { role: "group", "aria-label": t("Recorded answer") }, recorded ? message(recorded, t("Answer")) : h("p", {}, trace.error ? `${trace.error.code}: ${trace.error.message}` : "–"))),
      live.element),
    comparison);
  const { stream_options: options, ...request } = trace.request;
  const body = { ...request, model, ...(request.stream && /completions$/.test(endpointOf(record)) ? { stream_options: { ...options, include_usage: true } } : {}) };
  const headers = { "x-workspace-id": record.workspace_id, "cache-control": "no-cache" };  // a stored answer would not be a replay
  const reply = await live.run(endpointOf(record), body, headers, signal);
  if (reply.error) return;
  const fresh = await findRecord(reply.callId, record.workspace_id, signal);
  append(comparison, [h("h3", {}, t("Beside each other")), figures(record, fresh ?? {
    first_event_seconds: reply.first, seconds: reply.seconds, tokens_per_second: rate(reply),
    input_tokens: reply.usage?.prompt_tokens ?? null, output_tokens: reply.usage?.completion_tokens ?? null, cost_usd: reply.usage?.cost ?? null,
  })]);
  if (recorded) append(comparison, [h("h3", {}, t("Difference of the answers")), differenceOf(textOf(recorded), textOf(reply.message))]);
}

// Times of a record are the gateway's own: the only ones that can stand beside those of the recorded call.
async function findRecord(id, workspace, signal) {
  for (let look = 0; id && look < LOOKS && !signal.aborted; look++) {
    try {
      return (await read("console", `/calls/${encodeURIComponent(id)}`, { query: { workspace }, signal })).record;
    } catch (error) {
      if (error.status !== 404) return null;
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  }
  return null;
}

const answerOf = (trace) => (trace.answer?.output ? answersOf(trace.answer)?.findLast((each) => each.content) : answersOf(trace.answer)?.[0]) ?? null;

function textOf(message) {
  const calls = (message.tool_calls ?? []).map((call) => `${call.function?.name ?? ""}(${call.function?.arguments ?? ""})`);
  const content = message.content ?? message.refusal ?? "";
  return [typeof content === "string" ? content : content.map((part) => part?.text ?? JSON.stringify(part)).join("\n"), ...calls].filter(Boolean).join("\n");
}

function figures(recorded, fresh) {
  const rows = [
    [t("Time to the first token"), "first_event_seconds", seconds], [t("Duration"), "seconds", seconds],
    [t("Tokens a second"), "tokens_per_second", whole], [t("Input"), "input_tokens", whole], [t("Output"), "output_tokens", whole], [t("Cost"), "cost_usd", money],
  ];
  return table([t("Figure"), t("Recorded"), t("Replay"), t("Change")], rows.map(([name, key, format]) =>
    [name, format(recorded[key]), format(fresh[key]), change(recorded[key], fresh[key], format)]));
}

function change(before, after, format) {
  if (before === null || before === undefined || after === null || after === undefined) return "–";
  const amount = Number(after) - Number(before);
  return amount === 0 ? "=" : `${amount > 0 ? "+" : "−"}${format(Math.abs(amount))}`;
}
