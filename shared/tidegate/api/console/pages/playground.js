// The playground: one conversation to several models, streamed side by side. Its address holds everything but the key and images.

import { append, h, replace } from "./dom.js";
import { read } from "./api.js";
import { liveAnswer } from "./answers.js";
import { address, button, errorPanel, field, hint } from "./parts.js";
import { isAdmin, workspaceOf } from "./session.js";
import { t, whole } from "./text.js";

const MOST = 4;
const LONGEST_ADDRESS = 8_000; // characters; programs that pass addresses on cut longer ones
const LARGEST_IMAGE = 4_000_000; // bytes; Lambda takes requests of 6 MB, and base64 makes a third more of it
const PATH = "/v1/chat/completions";
const NUMBERS = ["temperature", "top_p", "max_tokens", "seed"];
const TEXTS = ["system", ...NUMBERS, "reasoning_effort", "stop", "tools", "other"];
const CHECKS = ["json", "observability"];
const ROLES = ["user", "assistant", "message"];

let draft = null; // a request that another page has opened; its content stays out of the address

export const openInPlayground = (request) => { draft = request; };

export async function showPlayground(main, { query, signal }) {
  replace(main, h("h1", {}, t("Playground")));
  if (isAdmin()) return void main.append(hint(t("The playground makes calls."), h("p", {}, t("Sign in with a virtual key: its limits and its budget apply."))));
  const isTooLong = query.toString().length > LONGEST_ADDRESS;
  const opened = draft ? settingsOf(draft) : isTooLong ? {} : shared(query);
  draft = null;
  const workspace = workspaceOf(query);
  const headers = { "x-workspace-id": workspace };
  const { element, inputs, messages, names } = parameters(opened);
  const columns = h("div", { class: "columns" });
  const notice = h("div", {});
  const done = h("span", { class: "quiet", role: "status" });
  let running = null;
  signal.addEventListener("abort", () => running?.abort());

  const current = () => ({ ...inputs.read(), messages: messages.read() });
  const share = (settings) => {
    const search = searchOf(settings, query.get("workspace"));
    if (search.toString().length > LONGEST_ADDRESS) throw new Error(tooLong(search.toString().length));
    return address("playground", search);
  };
  const stop = button(t("Stop"), () => running?.abort(), { disabled: true });
  const copy = button(t("Copy the address"), async () => {
    replace(notice);
    try {
      const link = new URL(share(current()), location.href).href;
      await navigator.clipboard.writeText(link).then(() => { done.textContent = t("Copied"); }, () => replace(notice, h("p", {}, h("code", {}, link))));
      if (messages.hasImages()) done.textContent += ` ${t("Images are not in the address.")}`;
    } catch (error) {
      replace(notice, errorPanel(error));
    }
  });
  const run = async (event) => {
    event.preventDefault();
    replace(notice);
    const settings = current();
    if (settings.models.length === 0) return inputs.focus();
    let body;
    try {
      body = bodyOf(settings);
    } catch (error) {
      return replace(notice, errorPanel(error));
    }
    try {
      history.replaceState(null, "", share(settings));
    } catch {
      history.replaceState(null, "", address("playground", query.has("workspace") ? { workspace } : {}));
    }
    running?.abort();
    const mine = running = new AbortController();
    stop.disabled = false;
    const results = settings.models.map((model) => [model, liveAnswer(model, t("Answer of {model}", { model }), workspace)]);
    replace(columns, results.map(([, result]) => result.element));
    await Promise.all(results.map(([model, result]) => result.run(PATH, { model, ...body }, headers, mine.signal)));
    if (mine === running) stop.disabled = true;
  };
  main.append(h("form", { submit: run }, isTooLong && errorPanel(new Error(tooLong(query.toString().length))), element,
    h("div", { class: "row" }, h("button", { type: "submit", class: "primary" }, t("Run")), stop, copy, done), notice), columns);
  const { data } = await read("calls", "/models", { headers, signal });
  replace(names, data.map((model) => h("option", { value: model.id })));
  inputs.suggest(data.some((model) => model.id === "demo/echo") ? "demo/echo" : data[0]?.id);
}

// An address that some program may cut is refused, when it is copied and when it is opened.
const tooLong = (length) => t("This address is too long: {length} characters, where {most} are the most that every program passes on. Shorten the texts, or share them as a file.", { length: whole(length), most: whole(LONGEST_ADDRESS) });

function parameters(opened) {
  const names = h("datalist", { id: "models" });
  const models = Array.from({ length: MOST }, (_, index) => {
    const label = t("Model {number}", { number: index + 1 });
    return h("input", { list: "models", value: opened.models?.[index] ?? "", "aria-label": label, placeholder: label, autocomplete: "off" });
  });
  const number = (name, properties) => h("input", { type: "number", step: "any", ...properties, value: opened[name] ?? "" });
  const area = (name, rows) => h("textarea", { rows, value: opened[name] ?? "", spellcheck: name === "system" ? null : "false" });
  const effort = h("select", {}, ["", "none", "minimal", "low", "medium", "high", "xhigh"].map((value) => h("option", { value }, value || t("the model's own"))));
  effort.value = opened.reasoning_effort ?? "";
  const check = (name) => {
    const box = h("input", { type: "checkbox" });
    box.checked = Boolean(opened[name]);
    return box;
  };
  const fields = {
    system: area("system", 2), temperature: number("temperature", { min: 0, max: 2 }), top_p: number("top_p", { min: 0, max: 1 }),
    max_tokens: number("max_tokens", { min: 1, step: 1 }), seed: number("seed", { step: 1 }), reasoning_effort: effort,
    stop: area("stop", 2), tools: area("tools", 4), other: area("other", 3), json: check("json"), observability: check("observability"),
  };
  const messages = conversation(opened.messages ?? [["user", ""]]);
  const labelled = (name, label) => h("label", { class: "row" }, fields[name], label);
  const isMore = ["tools", "other", "stop", "seed", "top_p", "reasoning_effort", "json"].some((name) => opened[name]);
  const element = h("div", {},
    h("div", { class: "row" }, models), names,
    field(t("System prompt"), fields.system), messages.element,
    h("div", { class: "filters" }, field(t("Temperature"), fields.temperature), field(t("Most tokens"), fields.max_tokens),
      labelled("observability", t("Trace these calls"))),
    h("details", { open: isMore }, h("summary", {}, t("More parameters")),
      h("div", { class: "filters" }, field("top_p", fields.top_p), field(t("Seed"), fields.seed), field(t("Reasoning effort"), effort), labelled("json", t("Answer in JSON"))),
      field(t("Stop at"), fields.stop, t("One text a line.")), field(t("Tools"), fields.tools, t("A list, as JSON.")),
      field(t("Other fields"), fields.other, t("An object, as JSON: these fields are sent as they are."))));
  const inputs = {
    read: () => ({
      models: models.map((input) => input.value.trim()).filter(Boolean),
      ...Object.fromEntries(TEXTS.map((name) => [name, fields[name].value])), ...Object.fromEntries(CHECKS.map((name) => [name, fields[name].checked])),
    }),
    focus: () => models[0].focus(),
    suggest: (model) => { if (document.activeElement !== models[0]) models[0].value ||= model ?? ""; },
  };
  return { element, inputs, messages, names };
}

// A list of messages, each with its role. A message that is more than a text is edited as JSON.
function conversation(opened) {
  const list = h("div", {});
  const entries = [];
  const titles = { user: t("Prompt"), assistant: t("Answer"), message: t("A message as JSON") };

  function add(role, text, images = []) {
    const input = h("textarea", { rows: role === "user" ? 5 : 3, value: text, required: true, "aria-label": titles[role] });
    const choice = h("select", { "aria-label": t("Role"), change: () => { entry.role = choice.value; label(); } }, ROLES.map((value) => h("option", { value }, titles[value])));
    choice.value = role;
    const fault = h("span", { class: "quiet", role: "status" });
    const previews = h("div", { class: "row previews" });
    const file = h("input", { type: "file", accept: "image/png,image/jpeg,image/gif,image/webp", "aria-label": t("Add an image"), change: () => attach() });
    const entry = { role, input, images };
    const label = () => {
      input.setAttribute("aria-label", titles[entry.role]);
      file.hidden = entry.role !== "user";
    };
    const show = () => replace(previews, entry.images.map((image, index) => [
      h("img", { src: image, alt: t("Image {number}", { number: index + 1 }) }),
      button(t("Remove the image"), () => { entry.images.splice(index, 1); show(); }),
    ]));
    async function attach() {
      fault.textContent = "";
      for (const each of file.files) {
        if (each.size > LARGEST_IMAGE) fault.textContent = t("{name} is larger than 4 MB.", { name: each.name });
        else entry.images.push(await dataAddress(each));
      }
      file.value = "";
      show();
    }
    const box = h("fieldset", {}, h("div", { class: "row" }, choice, file, fault,
      button(t("Remove the message"), () => {
        if (entries.length === 1) return void (input.value = "");
        entries.splice(entries.indexOf(entry), 1);
        box.remove();
      })), input, previews);
    entries.push(entry);
    list.append(box);
    label();
    show();
    return input;
  }
  opened.forEach(([role, text, images]) => add(role, text, images));
  if (entries.length === 0) add("user", "");
  const next = () => add(entries.at(-1)?.role === "user" ? "assistant" : "user", "").focus();
  return {
    element: h("div", {}, list, h("p", {}, button(t("Add a message"), next))),
    read: () => entries.map(({ role, input, images }) => [role, input.value, role === "user" ? images : []]),
    hasImages: () => entries.some(({ role, images }) => role === "user" && images.length > 0),
  };
}

function dataAddress(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result));
    reader.addEventListener("error", () => reject(reader.error));
    reader.readAsDataURL(file);
  });
}

// What a shared address says, and the address of settings. Messages keep their order.
function shared(query) {
  const messages = [...query].filter(([name]) => name === "prompt" || ROLES.includes(name)).map(([name, text]) => [name === "prompt" ? "user" : name, text]);
  return {
    models: query.getAll("model").slice(0, MOST), ...(messages.length > 0 ? { messages } : {}),
    ...Object.fromEntries([...TEXTS, ...CHECKS].map((name) => [name, query.get(name) ?? ""])),
  };
}

function searchOf(settings, workspace) {
  const search = new URLSearchParams(workspace ? { workspace } : {});
  settings.models.forEach((model) => search.append("model", model));
  settings.messages.forEach(([role, text]) => search.append(role === "user" ? "prompt" : role, text));
  for (const name of TEXTS) if (settings[name]) search.set(name, settings[name]);
  for (const name of CHECKS) if (settings[name]) search.set(name, "on");
  return search;
}

function parsed(label, text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(t("{field} is not valid JSON: {reason}", { field: label, reason: error.message }));
  }
}

// The body of the calls, without the model. Throws an error that says which field is wrong.
function bodyOf(settings) {
  const { system, stop, tools, other, json, observability, reasoning_effort: effort } = settings;
  const stops = stop.split("\n").filter(Boolean);
  return {
    stream: true,
    stream_options: { include_usage: true },
    ...Object.fromEntries(NUMBERS.filter((name) => settings[name] !== "").map((name) => [name, Number(settings[name])])),
    ...(effort && { reasoning_effort: effort }),
    ...(stops.length > 0 && { stop: stops }),
    ...(json && { response_format: { type: "json_object" } }),
    ...(tools.trim() && { tools: parsed(t("Tools"), tools) }),
    ...(observability && { observability: true }),
    ...(other.trim() && parsed(t("Other fields"), other)),
    messages: [...(system ? [{ role: "system", content: system }] : []), ...settings.messages.map(messageOf)],
  };
}

function messageOf([role, text, images]) {
  if (role === "message") return parsed(t("A message as JSON"), text);
  if (!images?.length) return { role, content: text };
  return { role, content: [{ type: "text", text }, ...images.map((url) => ({ type: "image_url", image_url: { url } }))] };
}

// A request as settings of the form. What the form has no field for becomes JSON.
function settingsOf({ model, messages, stream, stream_options, tools, response_format: format, stop, observability, ...others }) {
  const listed = Array.isArray(messages) ? [...messages] : [];
  const system = listed[0]?.role === "system" && typeof listed[0].content === "string" ? listed.shift().content : "";
  const isJson = format?.type === "json_object";
  const stops = stop === undefined || stop === null ? [] : [stop].flat();
  const isPlain = stops.every((each) => typeof each === "string" && !each.includes("\n"));
  const known = {};
  for (const name of [...NUMBERS, "reasoning_effort"]) {
    if (!["number", "string"].includes(typeof others[name])) continue;
    known[name] = String(others[name]);
    delete others[name];
  }
  if (format && !isJson) others.response_format = format;
  if (!isPlain) others.stop = stop;
  return {
    ...known, system, models: [String(model ?? "")], json: isJson, observability: observability === true, stop: isPlain ? stops.join("\n") : "",
    tools: tools ? JSON.stringify(tools, null, 2) : "", other: Object.keys(others).length > 0 ? JSON.stringify(others, null, 2) : "",
    messages: listed.map(entryOf),
  };
}

function entryOf(message) {
  const { role, content, ...others } = message ?? {};
  const isPlain = ["user", "assistant"].includes(role) && Object.values(others).every((value) => value === null || value === undefined);
  if (isPlain && typeof content === "string") return [role, content, []];
  const text = isPlain && role === "user" && Array.isArray(content) && content[0]?.type === "text" ? content[0].text : null;
  const images = text === null ? [] : content.slice(1).map((part) => part?.image_url?.url);
  if (text !== null && images.every((url) => typeof url === "string" && url.startsWith("data:image/"))) return [role, text, images];
  return ["message", JSON.stringify(message, null, 2), []];
}
