// The content of a traced call: the request and the answer in a readable form, and what went over the wire on both sides.

import { h, svg } from "./dom.js";
import { address, button } from "./parts.js";
import { managesGateway } from "./admin.js";
import { answersOf, conversationOf } from "./dialects.js";
import { fold, json, longText, message, messageList, pretty, size } from "./messages.js";
import { dateTime, seconds, t, whole } from "./text.js";

const POINTS = 300;
const LISTED = 200;

// What became of the content of a call, and how to get it the next time.
export function traceNote({ record, trace, trace_status: status }) {
  const until = trace?.until ?? record?.trace_until;
  const time = until ? dateTime(until) : "–";
  const texts = {
    kept: [t("Traced: this content is deleted after {time}.", { time }),
      trace?.masked?.length > 0 && t("These detectors have masked it before it was stored: {names}.", { names: trace.masked.join(", ") })],
    expired: [t("The trace is past its retention: it was kept until {time}, and nobody can read it any more.", { time }),
      t("An operator can keep traces of this workspace for longer, at most 90 days: `trace_days`.")],
    not_asked: [t("Not traced: no content of this call was kept."),
      t("To see the next one, send \"observability\": true with it. An operator can also trace a share of a workspace's calls (`trace_sample`), or each that fails (`trace_failures`)."),
      managesGateway() && h("a", { href: address("workspaces", { settings: record?.workspace_id }) }, t("Trace every call of this workspace that fails…"))],
    lost: [t("A trace was asked for, but it was lost: the store was down or too slow. The line `trace.lost` of the gateway's log has the reason."),
      t("Make the call again to get one.")],
    not_yours: [t("Another key has made this call, and its content is shown to that key alone."),
      t("Sign in with that key, or with an admin key that has the scope `content`.")],
    needs_scope: [t("This admin key may not read content: it does not have the scope `content`."),
      t("Sign in with an admin key that has it, or with the key that made the call.")],
  };
  const [first, ...others] = texts[status] ?? [String(status)];
  return h("div", { class: "panel" }, h("p", {}, first), others.filter(Boolean).map((text) => h("p", { class: "quiet" }, text)));
}

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

export function requestContent({ request }) {
  if (!isObject(request) || request.base64 !== undefined) return json(request);
  const { messages, others: { tools, functions, ...others } } = conversationOf(request);
  const listed = Object.entries(others).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]);
  const short = listed.filter(([, text]) => text.length <= 200), long = listed.filter(([, text]) => text.length > 200);
  const offered = [tools ?? [], functions ?? []].flat();
  return [
    h("dl", { class: "facts panel" }, short.map(([name, text]) => h("div", {}, h("dt", {}, name), h("dd", {}, text)))),
    long.map(([name]) => fold(name, () => json(others[name]))),
    offered.length > 0 && fold(t("Tools: {count}", { count: whole(offered.length) }), () => json(offered)),
    Array.isArray(messages) ? messageList(messages) : messages !== undefined && json(messages),
  ];
}

export function answerContent({ answer, error }) {
  const messages = answersOf(answer);
  return [
    error && h("div", { class: "panel error" }, h("p", {}, h("strong", {}, String(error.code)), " ", String(error.message))),
    messages ? messages.map((each, index) => message(each, answer.choices?.length > 1 ? t("Answer {number}", { number: index + 1 }) : undefined)) : isObject(answer) && json(answer),
    !error && !answer && h("p", { class: "quiet" }, t("The caller got no answer.")),
  ];
}

// What went over the wire: between the caller and the gateway, and between the gateway and the providers.
export function rawContent({ request, answer, attempts }) {
  return [
    fold(t("Request as received"), () => json(request)),
    (attempts ?? []).map((attempt, index) => fold(
      [t("Attempt {number}", { number: index + 1 }), attempt.deployment, attempt.status, attempt.error,
        `${seconds(attempt.started)} – ${seconds(attempt.ended)}`].filter((part) => part !== null && part !== undefined).join(" · "),
      () => attemptContent(attempt))),
    answer && fold(t("Answer as sent to the caller"), () => json(answer)),
  ];
}

function attemptContent(attempt) {
  const { url, headers, body, reply, reply_headers: replyHeaders, pieces, omitted_bytes: omitted, status } = attempt;
  const lines = (named) => Object.entries(named ?? {}).map(([name, value]) => `${name}: ${value}`).join("\n");
  return h("div", { class: "attempt" },
    h("h3", {}, t("Request sent")), h("p", {}, h("code", {}, String(url ?? ""))), lines(headers) && longText(lines(headers)), json(body ?? ""),
    h("h3", {}, t("Reply"), " ", status), lines(replyHeaders) && longText(lines(replyHeaders)),
    piecesContent(pieces ?? [], reply),
    typeof reply === "string" ? json(pretty(reply)) : isObject(reply) ? json(reply) : h("p", { class: "quiet" }, t("The text of the reply was not kept.")),
    omitted > 0 && h("p", { class: "quiet" }, t("{size} more were not kept: a trace has limits.", { size: size(omitted) })));
}

function piecesContent(pieces, reply) {
  if (pieces.length < 2) return null;
  const total = pieces.reduce((sum, [, bytes]) => sum + bytes, 0);
  let pause = 0, after = pieces[0][0];
  for (let index = 1; index < pieces.length; index++) {
    const gap = pieces[index][0] - pieces[index - 1][0];
    if (gap > pause) [pause, after] = [gap, pieces[index - 1][0]];
  }
  const text = t("{count} pieces, {size}, from {begin} to {end}.", { count: whole(pieces.length), size: size(total), begin: seconds(pieces[0][0]), end: seconds(pieces.at(-1)[0]) });
  const longest = t("The longest pause was {pause}, at {time}.", { pause: seconds(pause), time: seconds(after) });
  return h("figure", { class: "pieces" }, h("figcaption", {}, text, " ", longest), chart(pieces, total, text), fold(t("Pieces with their times"), () => list(pieces, total, reply)));
}

// Bytes that have arrived over time, as a line of steps.
function chart(pieces, total, label) {
  const begin = pieces[0][0], width = Math.max(pieces.at(-1)[0] - begin, 1e-6), every = Math.ceil(pieces.length / POINTS);
  let sum = 0, path = "M0 60";
  pieces.forEach(([at, bytes], index) => {
    sum += bytes;
    if (index % every === 0 || index === pieces.length - 1) path += `H${(600 * (at - begin) / width).toFixed(1)}V${(60 - 58 * sum / Math.max(total, 1)).toFixed(1)}`;
  });
  return svg("svg", { viewBox: "0 0 600 62", preserveAspectRatio: "none", role: "img", "aria-label": label }, svg("path", { class: "line s0", d: path }));
}

function list(pieces, total, reply) {
  const bytes = typeof reply === "string" ? new TextEncoder().encode(reply) : null;
  const isWhole = bytes !== null && bytes.length === total;
  const decoder = new TextDecoder();
  const rows = h("ol", { tabindex: "0" });
  let shown = 0, offset = 0;
  const more = button(t("Show more"), () => add());
  function add() {
    for (const [at, length] of pieces.slice(shown, shown + LISTED)) {
      const text = isWhole ? decoder.decode(bytes.slice(offset, Math.min(offset + length, offset + 1_000))) : "";
      rows.append(h("li", {}, h("span", { class: "at" }, seconds(at)), h("span", { class: "at" }, size(length)), h("code", {}, text.trim())));
      offset += length;
    }
    shown += LISTED;
    more.hidden = shown >= pieces.length;
  }
  add();
  return h("div", {}, rows, more);
}
