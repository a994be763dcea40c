// The playground: one prompt to several models, streamed side by side. Its address holds everything but the key.

import { h, replace } from "./dom.js";
import { events, read, request } from "./api.js";
import { address, button, copyButton, errorPanel, field, hint } from "./parts.js";
import { isAdmin, workspaceOf } from "./session.js";
import { money, seconds, t, whole } from "./text.js";

const MOST = 4;

export async function showPlayground(main, { query, signal }) {
  replace(main, h("h1", {}, t("Playground")));
  if (isAdmin()) return main.append(hint(t("The playground makes calls."), h("p", {}, t("Sign in with a virtual key: its limits and its budget apply."))));
  const headers = { "x-workspace-id": workspaceOf(query) };
  const names = h("datalist", { id: "models" });
  const chosen = query.getAll("model").slice(0, MOST);
  const models = Array.from({ length: MOST }, (_, index) =>
    h("input", { list: "models", name: "model", value: chosen[index] ?? "", "aria-label": t("Model {number}", { number: index + 1 }), placeholder: t("Model {number}", { number: index + 1 }), autocomplete: "off" }));
  const system = h("textarea", { rows: 2, value: query.get("system") ?? "" });
  const prompt = h("textarea", { rows: 5, required: true, value: query.get("prompt") ?? "" });
  const temperature = h("input", { type: "number", min: 0, max: 2, step: 0.1, value: query.get("temperature") ?? "" });
  const maximum = h("input", { type: "number", min: 1, step: 1, value: query.get("max_tokens") ?? "" });
  const columns = h("div", { class: "columns" });
  const copied = h("span", { class: "quiet", role: "status" });
  let running = null;

  const settings = () => {
    const search = new URLSearchParams(query.has("workspace") ? { workspace: query.get("workspace") } : {});
    models.map((input) => input.value.trim()).filter(Boolean).forEach((model) => search.append("model", model));
    for (const [name, input] of Object.entries({ system, prompt, temperature, max_tokens: maximum })) if (input.value) search.set(name, input.value);
    return search;
  };
  const stop = button(t("Stop"), () => running?.abort(), { disabled: true });
  const form = h("form", { submit: async (event) => {
    event.preventDefault();
    const search = settings();
    if (search.getAll("model").length === 0) return models[0].focus();
    history.replaceState(null, "", address("playground", search));
    running?.abort();
    running = new AbortController();
    signal.addEventListener("abort", () => running.abort());
    stop.disabled = false;
    const results = search.getAll("model").map((model) => column(model));
    replace(columns, results.map((result) => result.element));
    await Promise.all(results.map((result) => result.run(search, headers, running.signal)));
    stop.disabled = true;
  } },
  h("div", { class: "row" }, models), names,
  field(t("System prompt"), system), field(t("Prompt"), prompt),
  h("div", { class: "row" }, field(t("Temperature"), temperature), field(t("Most tokens"), maximum),
    h("button", { type: "submit", class: "primary" }, t("Run")), stop,
    copyButton(t("Copy the address"), () => new URL(address("playground", settings()), location.href).href, copied), copied));
  main.append(form, columns);
  const { data } = await read("calls", "/models", { headers, signal });
  replace(names, data.map((model) => h("option", { value: model.id })));
  if (!models[0].value && data.length) models[0].value = data.some((model) => model.id === "demo/echo") ? "demo/echo" : data[0].id;
}

function column(model) {
  const reasoning = h("pre", { class: "answer quiet" });
  const thought = h("details", { hidden: true }, h("summary", {}, t("Reasoning")), reasoning);
  const answer = h("pre", { class: "answer", tabindex: "0", "aria-label": t("Answer of {model}", { model }) });
  const figures = h("p", { class: "quiet", role: "status" }, t("Waits for the first token…"));
  const fault = h("div", {});
  const element = h("article", { class: "panel" }, h("h2", {}, model), thought, answer, fault, figures);

  async function run(search, headers, signal) {
    const begin = performance.now();
    const since = () => (performance.now() - begin) / 1000;
    let first = null, usage = null;
    try {
      const reply = await request("calls", "/chat/completions", { method: "POST", headers, signal, body: body(model, search) });
      for await (const event of events(reply)) {
        if (event.error) throw new Error(String(event.error.message));
        usage = event.usage ?? usage;
        const delta = event.choices?.[0]?.delta ?? {};
        const thoughts = delta.reasoning_content ?? delta.reasoning;
        if (delta.content || thoughts) first ??= since();
        if (thoughts) {
          thought.hidden = false;
          reasoning.append(String(thoughts));
        }
        if (delta.content) answer.append(String(delta.content));
        if (delta.tool_calls) answer.append(JSON.stringify(delta.tool_calls));
      }
    } catch (error) {
      replace(fault, signal.aborted ? h("p", { class: "quiet" }, t("Stopped.")) : errorPanel(error));
    }
    figures.textContent = [
      t("First token {time}", { time: seconds(first) }), t("Total {time}", { time: seconds(since()) }),
      usage && t("{input} → {output} tokens", { input: whole(usage.prompt_tokens), output: whole(usage.completion_tokens) }),
      usage && usage.cost !== undefined && money(usage.cost),
    ].filter(Boolean).join(" · ");
  }
  return { element, run };
}

function body(model, search) {
  const system = search.get("system");
  return {
    model,
    stream: true,
    stream_options: { include_usage: true },
    ...(search.get("temperature") ? { temperature: Number(search.get("temperature")) } : {}),
    ...(search.get("max_tokens") ? { max_tokens: Number(search.get("max_tokens")) } : {}),
    messages: [...(system ? [{ role: "system", content: system }] : []), { role: "user", content: search.get("prompt") ?? "" }],
  };
}
