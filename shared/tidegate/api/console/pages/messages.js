// Messages of a chat in a readable form: roles, text with code, images, tool calls, results, reasoning. All of it is text.

import { append, h, replace, save } from "./dom.js";
import { button, copyButton } from "./parts.js";
import { compact, t, whole } from "./text.js";

const SHOWN = 20_000;
const MORE = 200_000;
const FIRST_MESSAGES = 3, LAST_MESSAGES = 27;
const IMAGE = /^data:image\/(png|jpe?g|gif|webp|avif);base64,/;

export const size = (bytes) => (bytes < 1000 ? `${whole(bytes)} B` : bytes < 1e6 ? `${compact(Math.round(bytes / 100) / 10)} KB` : `${compact(Math.round(bytes / 1e5) / 10)} MB`);

// What is folded is made when it is first opened.
export function fold(summary, make) {
  const box = h("details", { toggle: () => { if (box.open && box.childElementCount === 1) append(box, [make()]); } }, h("summary", {}, summary));
  return box;
}

// A long text, of which a page shows the beginning, and more when asked to.
export function longText(text, properties, tag = "pre", shown = SHOWN) {
  const element = h(tag, { tabindex: tag === "pre" ? "0" : null, ...properties }, text.slice(0, shown));
  if (text.length <= shown) return element;
  const rest = h("div", { class: "row" });
  let end = shown;
  const more = () => {
    element.append(text.slice(end, end += MORE));
    if (end >= text.length) replace(rest);
    else count.textContent = t("{shown} of {total} characters", { shown: whole(end), total: whole(text.length) });
  };
  const count = h("span", { class: "quiet" }, t("{shown} of {total} characters", { shown: whole(shown), total: whole(text.length) }));
  append(rest, [count, button(t("Show more"), more), button(t("Save as a file"), () => save("content.txt", new Blob([text])))]);
  return [element, rest];
}

export function json(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value ?? null, null, 2);
  const done = h("span", { class: "quiet", role: "status" });
  return h("div", {}, longText(text), h("div", { class: "row" }, copyButton(t("Copy"), () => text, done), done));
}

// Text in which blocks between fences are code.
export function prose(text) {
  const parts = text.split(/^ {0,3}```([^\n`]*)\n([\s\S]*?)(?:^ {0,3}```[ \t]*$|(?![\s\S]))/m);
  if (parts.length === 1 || text.length > SHOWN) return longText(text, { class: "prose" }, "div");
  const shown = [];
  for (let index = 0; index < parts.length; index += 3) {
    if (parts[index].trim()) shown.push(h("div", { class: "prose" }, parts[index].replace(/^\n|\n$/g, "")));
    if (parts[index + 2] !== undefined) shown.push(h("div", {}, parts[index + 1].trim() && h("small", {}, parts[index + 1].trim()), h("pre", { tabindex: "0" }, parts[index + 2])));
  }
  return shown;
}

// JSON with its indentation; another text as it is.
export function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return String(text);
  }
}

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const note = (...children) => h("p", { class: "quiet" }, children);
const bytesOf = (base64) => size(Math.floor(String(base64).replace(/^data:[^,]*,/, "").length * 3 / 4));

export function messageList(messages) {
  const articles = (listed) => listed.map((each) => message(each));
  const hidden = messages.length - FIRST_MESSAGES - LAST_MESSAGES;
  if (hidden <= 0) return articles(messages);
  const middle = h("div", {});
  let begin = messages.length - LAST_MESSAGES;
  const more = button("", () => {
    const from = Math.max(FIRST_MESSAGES, begin - 100);
    middle.prepend(...articles(messages.slice(from, begin)));
    begin = from;
    label();
  });
  const label = () => {
    more.hidden = begin === FIRST_MESSAGES;
    more.textContent = t("Show earlier messages: {count} more", { count: whole(begin - FIRST_MESSAGES) });
  };
  label();
  return [articles(messages.slice(0, FIRST_MESSAGES)), more, middle, articles(messages.slice(-LAST_MESSAGES))];
}

const roles = () => ({ system: t("System"), developer: t("Developer"), user: t("User"), assistant: t("Assistant"), tool: t("Tool result"), function: t("Tool result") });

export function message(value, title) {
  if (!isObject(value)) return h("article", { class: "message" }, json(value));
  const { role, name, content, tool_calls: calls, function_call: call, tool_call_id: id, reasoning_content, reasoning, reasoning_details: thoughts, refusal, audio, ...others } = value;
  const isResult = role === "tool" || role === "function";
  const known = Object.hasOwn(roles(), role ?? "") ? roles()[role] : String(role ?? "–");
  const thought = reasoning_content ?? reasoning ?? thoughts;
  const rest = Object.fromEntries(Object.entries(others).filter(([, each]) => each !== null && !(Array.isArray(each) && each.length === 0)));
  return h("article", { class: `message ${Object.hasOwn(roles(), role ?? "") ? role : ""}` },
    h("h3", {}, title ?? known, " ", name && h("code", {}, String(name)), " ", id && h("small", {}, String(id))),
    thought && fold(t("Reasoning"), () => (typeof thought === "string" ? prose(thought) : json(thought))),
    isResult && typeof content === "string" ? longText(pretty(content)) : body(content),
    refusal && h("p", {}, h("strong", {}, t("Refusal")), " ", String(refusal)),
    audio && note(t("Audio, not shown ({size})", { size: bytesOf(audio.data ?? "") }), " ", audio.transcript && String(audio.transcript)),
    [calls ?? [], call ? [{ function: call }] : []].flat().map(toolCall),
    Object.keys(rest).length > 0 && fold(t("Other fields"), () => json(rest)));
}

function body(content) {
  if (content === null || content === undefined || content === "") return null;
  if (typeof content === "string") return prose(content);
  return Array.isArray(content) ? content.map(part) : json(content);
}

function part(value) {
  if (!isObject(value)) return json(value);
  if (typeof value.text === "string") return prose(value.text);
  if (value.image_url !== undefined) return image(value.image_url?.url ?? value.image_url);
  if (value.input_audio !== undefined) return note(t("Audio, not shown ({size})", { size: bytesOf(value.input_audio?.data ?? "") }));
  if (value.file !== undefined) return note(t("File, not shown: {name} ({size})", { name: String(value.file?.filename ?? value.file?.file_id ?? "–"), size: bytesOf(value.file?.file_data ?? "") }));
  return json(value);
}

function image(address) {
  const text = String(address);
  if (IMAGE.test(text)) return h("img", { src: text, alt: t("Image of the message, {size}", { size: bytesOf(text) }), loading: "lazy" });
  if (text.startsWith("data:")) return note(t("Image of a kind that is not shown ({size})", { size: bytesOf(text) }));
  return note(t("Image at another address, not loaded:"), " ", h("code", {}, text.slice(0, 2000)));
}

function toolCall(call) {
  if (!isObject(call)) return json(call);
  const { name, arguments: given, input } = call.function ?? call.custom ?? call;
  return h("div", { class: "tool" },
    h("p", {}, h("strong", {}, t("Calls the tool")), " ", h("code", {}, String(name ?? "–")), " ", call.id && h("small", {}, String(call.id))),
    longText(typeof (given ?? input) === "string" ? pretty(given ?? input) : JSON.stringify(given ?? input ?? null, null, 2)));
}
