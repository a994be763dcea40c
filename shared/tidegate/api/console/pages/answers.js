// An answer while it arrives, with its figures. The playground and replays show it, for streams and for whole replies.

import { h, replace } from "./dom.js";
import { events, request } from "./api.js";
import { chatEvent } from "./dialects.js";
import { address, button, errorPanel } from "./parts.js";
import { message } from "./messages.js";
import { money, seconds, t, whole } from "./text.js";

const LEAST_SECONDS = 0.05; // an answer that comes within this time has come in one piece: it tells nothing about speed

export function liveAnswer(title, label, workspace) {
  const thoughts = h("pre", { class: "answer quiet", tabindex: "0" });
  const thought = h("details", { hidden: true }, h("summary", {}, t("Reasoning")), thoughts);
  const shown = h("pre", { class: "answer", tabindex: "0" });
  const answer = h("div", { role: "group", "aria-label": label }, shown);
  const fault = h("div", {});
  const figures = h("p", { class: "quiet", role: "status" }, t("Waits for the first token…"));
  const link = h("p", {});
  const element = h("article", { class: "panel" }, h("h2", {}, title), thought, answer, fault, figures, link);

  async function run(path, body, headers, signal) {
    const begin = performance.now();
    const since = () => (performance.now() - begin) / 1000;
    const reply = { message: { role: "assistant", content: "" }, first: null, last: null, usage: null, callId: null, error: null };
    try {
      const response = await request("gateway", path, { method: "POST", headers, signal, body });
      reply.callId = response.headers.get("x-request-id");
      if (!response.headers.get("content-type")?.includes("event-stream")) take(chatEvent(await response.json()), "message");
      else for await (const event of events(response)) take(event, "delta");
      if (reply.message.tool_calls || /^ {0,3}```/m.test(reply.message.content)) {
        const { reasoning_content, ...finished } = reply.message;
        replace(answer, message(finished, t("Answer")));
      }
    } catch (error) {
      reply.error = error;
      replace(fault, signal.aborted ? h("p", { class: "quiet" }, t("Stopped.")) : failure(error));
    }
    reply.seconds = since();
    figures.textContent = summary(reply);
    const id = reply.callId ?? reply.error?.callId;
    if (id) replace(link, h("a", { href: address(`calls/${encodeURIComponent(id)}`, { workspace }) }, t("Open this call")));
    return reply;

    function take(event, field) {
      if (event.error) throw new Error(String(event.error.message));
      if (event.usage) reply.usage = { ...reply.usage, ...event.usage };
      const part = event.choices?.[0]?.[field];
      if (!part) return;
      const reasoning = part.reasoning_content ?? part.reasoning;
      if (part.content || reasoning || part.tool_calls) {
        reply.first ??= since();
        reply.last = since();
      }
      if (reasoning) {
        thought.hidden = false;
        thoughts.append(String(reasoning));
        reply.message.reasoning_content = (reply.message.reasoning_content ?? "") + reasoning;
      }
      const text = part.content ?? part.refusal;
      if (text) {
        shown.append(String(text));
        reply.message.content += text;
      }
      for (const call of part.tool_calls ?? []) addToolCall(reply.message, call, shown);
    }
  }
  return { element, run };
}

function addToolCall(message, call, shown) {
  message.tool_calls ??= [];
  const calls = message.tool_calls, place = call.index ?? calls.length;
  const known = calls[place] ??= { function: { name: "", arguments: "" } };
  known.id ??= call.id;
  known.function.name += call.function?.name ?? "";
  known.function.arguments += call.function?.arguments ?? "";
  shown.append(`${call.function?.name ?? ""}${call.function?.arguments ?? ""}`);
}

const failure = (error) => (error.status === 401
  ? h("div", { class: "panel error", role: "alert" }, h("p", {}, t("This key is not valid any more. Sign in again.")), button(t("Sign in"), () => location.reload()))
  : errorPanel(error));

export function rate(reply) {
  const time = reply.last - reply.first;
  return reply.usage && time >= LEAST_SECONDS ? reply.usage.completion_tokens / time : null;
}

function summary(reply) {
  const { usage } = reply;
  return [
    t("First token {time}", { time: seconds(reply.first) }), t("Total {time}", { time: seconds(reply.seconds) }),
    usage && t("{input} → {output} tokens", { input: whole(usage.prompt_tokens), output: whole(usage.completion_tokens) }),
    rate(reply) && t("{rate} tokens a second", { rate: whole(Math.round(rate(reply))) }),
    usage && usage.cost !== undefined && money(usage.cost),
  ].filter(Boolean).join(" · ");
}
