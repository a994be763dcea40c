// The path of one call on a time axis, and sentences that say where its time went.

import { h, sized } from "./dom.js";
import { seconds, t, whole } from "./text.js";

const kinds = () => ({
  authenticated: t("Key checked"), received: t("Request read"), queued: t("Waits"), cache: t("Cache"), guardrails: t("Guardrails"),
  reserved: t("Budget held"), shortened: t("Answer shortened"), failed: t("Attempt failed"), skipped: t("Events left out"), settled: t("Settled"),
});
const reasons = () => ({ first: t("first attempt"), retry: t("retry"), fallback: t("fallback"), hedge: t("hedge"), trial: t("trial") });
const details = () => ({ equal_call: t("for an equal call"), retry_delay: t("before a retry"), input: t("Prompt"), output: t("Answer") });
const POINTS = new Set(["first_token", "last_token"]);

// Spans of a call, in order, each with `from` and `to` in seconds. An attempt lasts until it fails or the answer ends.
function spansOf(events, record) {
  const duration = record.seconds ?? 0;
  const end = Math.max(duration, ...events.map((event) => event.at), 0.001);
  const at = (kind) => events.findLast((event) => event.kind === kind)?.at;
  const first = at("first_token"), last = at("last_token");
  const done = last ?? (record.stream ? at("settled") : first);  // a whole reply has come with its first token
  const spans = [];
  let before = 0;
  events.forEach((event, index) => {
    if (POINTS.has(event.kind)) return;
    const span = { ...event, from: event.at, to: event.at };
    if (event.kind === "attempt") span.to = null;
    else if (event.kind === "queued") span.to = events[index + 1]?.at ?? end;
    else if (event.kind === "failed") {
      const failed = spans.find((each) => each.kind === "attempt" && each.to === null && each.deployment === event.deployment);
      if (failed) return void Object.assign(failed, { to: event.at, fault: event.detail || t("Failed") });
      span.fault = event.detail;
    } else span.from = event.kind === "settled" ? Math.max(before, done ?? 0) : before;
    spans.push(span);
    before = event.at;
  });
  const attempts = spans.filter((span) => span.kind === "attempt");
  const name = `${record.provider}/${record.answered_model}`;
  const open = attempts.filter((span) => span.to === null);
  for (const span of open) span.to = done ?? at("settled") ?? end;
  const candidates = first === undefined ? open : attempts.filter((span) => span.from <= first && span.to >= first);
  const answering = candidates.findLast((span) => span.deployment === name) ?? candidates.at(-1);
  if (answering && first !== undefined) answering.first = first;
  return { spans, end, first, last, answering };
}

// Where the time of a call went, in seconds, and the attempts that gave no answer.
function partsOf({ spans, end, first, last, answering }) {
  const until = answering?.from ?? end;
  const lost = spans.filter((span) => span.kind === "attempt" && span !== answering && span.from < until);
  let failed = 0, covered = 0;
  for (const span of lost) {  // attempts may overlap: a second one is sent while the first is running
    const to = Math.min(span.to, until);
    failed += Math.max(0, to - Math.max(span.from, covered));
    covered = Math.max(covered, to);
  }
  const total = (wanted) => spans.filter(wanted).reduce((sum, span) => sum + span.to - span.from, 0);
  const parts = {
    failed,
    pauses: total((span) => span.detail === "retry_delay"),
    shared: total((span) => span.detail === "equal_call"),
    guardrails: total((span) => span.kind === "guardrails"),
    waiting: answering ? (first ?? answering.to) - answering.from : 0,
    writing: answering && first !== undefined ? Math.max(0, (last ?? first) - first) : 0,
  };
  parts.gateway = Math.max(0, end - Object.values(parts).reduce((sum, part) => sum + part, 0));
  return { parts, lost };
}

// The part that took longest, as a sentence.
export function explanation(events, record) {
  if (events.length === 0) return null;
  const path = spansOf(events, record);
  const { parts, lost } = partsOf(path);
  const [largest, time] = Object.entries(parts).reduce((one, other) => (other[1] > one[1] ? other : one));
  return h("p", { class: "panel hint why" }, sentence(record, path, lost, seconds(path.end), largest, seconds(time)));
}

function sentence(record, path, lost, total, largest, part) {
  const attempts = path.spans.some((span) => span.kind === "attempt");
  const model = path.answering?.deployment ?? "";
  const failures = failuresOf(lost);
  if (record.status === "cached" || (!attempts && ["hit", "replay"].includes(record.cache))) return t("{total}: the answer came from the cache.", { total });
  if (record.status === "failed" && !attempts) return t("It was refused after {total}, before a provider was asked ({code}).", { total, code: record.error_code ?? "–" });
  if (record.status === "failed") return t("It failed after {total}: {failures}.", { total, failures: failuresOf(path.spans.filter((span) => span.fault)) || record.error_code });
  const left = record.status === "cancelled" ? ` ${t("The caller left before the end.")}` : "";
  return reason(largest, { part, total, model, failures }, record) + left;
}

function reason(largest, values, record) {
  switch (largest) {
    case "failed": return t("{part} of {total}: {failures}; then {model} answered.", values);
    case "pauses": return t("{part} of {total}: pauses before retries, because {failures}.", values);
    case "shared": return t("{part} of {total}: it waited for an equal call, to share its answer.", values);
    case "guardrails": return t("{part} of {total}: the guardrails checked its texts.", values);
    case "waiting": return record.stream === false ? t("{part} of {total}: {model} took this long to answer.", values) : t("{part} of {total}: {model} took this long to the first token.", values);
    case "writing": return t("{part} of {total}: {model} wrote {tokens} tokens ({rate} a second).", { ...values, tokens: whole(record.output_tokens), rate: whole(record.tokens_per_second) });
    default: return t("{part} of {total}: the gateway itself, with the network to the caller.", values);
  }
}

function failuresOf(attempts) {
  const counted = new Map();
  for (const { deployment, fault } of attempts) {
    const key = JSON.stringify([deployment, fault ?? ""]);
    counted.set(key, { model: deployment, code: fault ?? "–", count: (counted.get(key)?.count ?? 0) + 1 });
  }
  return [...counted.values()].map(({ model, code, count }) => {
    if (code === "hedged") return t("{model} was slower than a second attempt", { model });
    return count === 1 ? t("an attempt at {model} failed ({code})", { model, code }) : t("{count} attempts at {model} failed ({code})", { model, code, count });
  }).join(", ");
}

export function timeline(events, record) {
  if (events.length === 0) return h("p", { class: "quiet" }, t("This record has no timeline."));
  const { spans, end } = spansOf(events, record);
  const step = tick(end);
  const ticks = Array.from({ length: Math.floor(0.94 * end / step) + 1 }, (_, index) => index * step);
  return h("div", { class: "timeline panel" },
    h("div", { class: "axis", "aria-hidden": "true" }, h("div", {}, ticks.map((at) => sized(h("span", {}, seconds(at)), { left: `${100 * at / end}%` })))),
    h("ol", {}, spans.map((span) => row(span, end, step))));
}

function row(span, end, step) {
  const { kind, deployment, from, to, first, fault } = span;
  const isAttempt = kind === "attempt";
  const note = isAttempt ? (reasons()[span.detail] ?? span.detail) : kind === "failed" ? "" : (details()[span.detail] ?? span.detail);
  const bar = (begin, finish, name) => sized(h("i", { class: name }), {
    left: `${Math.min(99.5, 100 * begin / end)}%`, width: `${Math.max(0.3, 100 * Math.max(0, finish - begin) / end)}%` });
  const track = h("span", { class: "track", "aria-hidden": "true" },
    fault ? bar(from, to, "bad") : first === undefined ? bar(from, to, isAttempt ? "waits" : "own") : [bar(from, first, "waits"), bar(first, to, "s0")]);
  sized(track, { "background-size": `${100 * step / end}% 100%` });
  return h("li", { class: fault ? "failed" : null },
    h("span", {}, h("strong", {}, isAttempt ? deployment || t("Request sent") : (kinds()[kind] ?? kind)), " ", h("span", { class: "quiet" }, note),
      !isAttempt && deployment && [" ", h("code", {}, deployment)],
      fault && [" ", h("strong", { class: "fault" }, fault === "hedged" ? t("another one was faster") : fault)],
      first !== undefined && to > first && h("small", {}, `${t("First token")} ${seconds(first)} · ${t("Last token")} ${seconds(to)}`)),
    track,
    h("span", { class: "at" }, seconds(to - from), h("small", {}, t("at {time}", { time: seconds(from) }))));
}

// 1, 2 or 5 of a power of ten: four to ten marks on the axis.
function tick(end) {
  const power = 10 ** Math.floor(Math.log10(end / 4));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => end / step <= 8);
}
