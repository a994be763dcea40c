// The list of calls: the newest first, live, with filters in the address, older pages while scrolling, and CSV.

import { h, replace, save } from "./dom.js";
import { read, request } from "./api.js";
import { address, button, changed, code, hint } from "./parts.js";
import { rangeLinks, rangeOf } from "./ranges.js";
import { rowList } from "./rows.js";
import { firstCall } from "./signin.js";
import { session, workspaceOf } from "./session.js";
import { clock, localTime, money, seconds, t, whole } from "./text.js";

const PAGE = 200;
const LIVE_SECONDS = 2;
const BUSY_LOOKS = 30;
const MOST_ROWS = 10_000; // a page that is open for days keeps so many
const QUIET_FACTOR = 5; // without new calls for a minute, a look takes place every ten seconds: each reads records
const FILTERS = ["status", "model", "key", "app", "session", "error", "slower", "dearer", "from", "to"];
const RANGES = ["today", "yesterday", "7d"];
const MOST_LOOKS = 20; // workspaces in which an id is looked up
const STATUSES = ["ok", "cached", "failed", "cancelled", "lost", "dry_run"];

export async function showCalls(main, { query, go, every, signal }) {
  const filters = new URLSearchParams(FILTERS.filter((name) => query.get(name)).map((name) => [name, query.get(name)]));
  Object.entries({ ...rangeOf(query), workspace: workspaceOf(query) }).forEach(([name, value]) => filters.set(name, value));
  const note = h("span", { class: "quiet", role: "status" });
  const body = h("div", {}, h("p", { class: "quiet" }, t("Loading…")));
  replace(main, h("div", { class: "row" }, h("h1", {}, t("Calls")), note, !filters.has("to") && liveBox(query, go), csvButton(filters, note)),
    h("div", { class: "row controls" }, rangeLinks("calls", query, RANGES), statusLink(query), finder(query, go, note)), filterForm(query, go), body);
  if (!filters.get("workspace")) return replace(body, hint(t("This key may not see any workspace.")));

  let calls = [], cursor = null, isLoading = false, quietLooks = 0;
  const ids = new Set();
  const list = rowList({
    label: t("Calls"),
    headings: [t("Time"), t("Status"), t("Model"), t("Tokens"), t("Cost"), t("First token"), t("Duration"), t("App")],
    height: () => (matchMedia("(max-width: 40rem)").matches ? 64 : 36),
    cells: (call) => cells(call, query),
    open: (call) => go(`calls/${encodeURIComponent(call.id)}`, { workspace: call.workspace_id }),
    nearEnd: () => older(),
  });

  const show = (added) => {
    if (calls.length === 0) return replace(body, empty(query));
    if (!list.element.isConnected) replace(body, list.element);
    list.set(calls, added);
  };
  const add = (page, isOlder) => {
    const fresh = page.filter((call) => !ids.has(call.id));
    fresh.forEach((call) => ids.add(call.id));
    calls = isOlder ? [...calls, ...fresh] : [...fresh, ...calls].sort((one, other) => (one.id < other.id ? 1 : -1));
    return fresh.length;
  };
  async function older() {
    if (isLoading || cursor === null) return false;
    let isDone = false;
    isLoading = true;
    try {
      const page = await read("console", "/calls", { query: changed(filters, { limit: PAGE, cursor }), signal });
      cursor = page.next_cursor;
      add(page.data, true);
      show(0);
      isDone = true;
    } catch (error) {
      if (!signal.aborted) note.textContent = error.message;
    }
    isLoading = false;
    return isDone;
  }
  async function begin() {
    const first = await read("console", "/calls", { query: changed(filters, { limit: PAGE }), signal });
    cursor = first.next_cursor;
    calls = [];
    ids.clear();
    add(first.data, true);
    show(0);
  }
  await begin();
  // A page of a filter that matches few calls may be empty although there are more.
  while (calls.length < 20 && (await older()));

  if (query.get("live") !== "off" && !filters.has("to")) every(LIVE_SECONDS, async () => {
    if (quietLooks > BUSY_LOOKS && ++quietLooks % QUIET_FACTOR) return;
    const after = calls.length > 0 ? { after: calls[0].id } : {};
    const page = await read("console", "/calls", { query: changed(filters, { limit: PAGE, ...after }), signal });
    const isWhole = page.data.length < PAGE;
    if (!isWhole) await begin(); // more have ended than one page has, for example while the tab was hidden
    const added = isWhole ? add(page.data, false) : 0;
    quietLooks = added || !isWhole ? 0 : quietLooks + 1;
    if (calls.length > MOST_ROWS && list.isAtTop()) {
      calls.splice(MOST_ROWS).forEach((call) => ids.delete(call.id));
      cursor = calls.at(-1).id;
    }
    if (added) show(added);
  });
}

function cells(call, query) {
  const link = h("a", { href: address(`calls/${encodeURIComponent(call.id)}`, { workspace: call.workspace_id }), "data-row": call.id }, clock(call.time));
  const tokens = call.input_tokens === null ? "–" : `${whole(call.input_tokens)} → ${whole(call.output_tokens)}`;
  return [link, status(call), modelOf(call), tokens, money(call.cost_usd), seconds(call.first_event_seconds), seconds(call.seconds), call.app_id ?? ""];
}

export const status = (call) => h("span", { class: `status ${/^\w+$/.test(call.status) ? call.status : ""}` }, call.error_code ? `${call.status}: ${call.error_code}` : call.status);

export const modelOf = (call) =>
  call.provider && call.answered_model ? `${call.provider}/${call.answered_model}` : (call.model ?? "");

// Leads to the calls that failed, and back.
function statusLink(query) {
  const isFailed = query.get("status") === "failed";
  return h("a", { class: "choice", href: address("calls", changed(query, { status: isFailed ? null : "failed" })), "aria-current": isFailed ? "true" : null }, t("Failed"));
}

// Opens a call by its id, in whatever workspace it is.
function finder(query, go, note) {
  const form = h("form", { class: "row finder", submit: async (event) => {
    event.preventDefault();
    const id = String(new FormData(form).get("id")).trim();
    const [here, ...others] = new Set([workspaceOf(query), ...session.me.workspaces.map((each) => each.id)]);
    for (const workspace of [here, ...others.slice(0, MOST_LOOKS)]) {
      try {
        await read("console", `/calls/${encodeURIComponent(id)}`, { query: { workspace } });
        return go(`calls/${encodeURIComponent(id)}`, { workspace });
      } catch (error) {
        note.textContent = error.message;
        if (error.status !== 404) return;
      }
    }
  } }, h("input", { name: "id", required: true, "aria-label": t("Id of a call (x-request-id)"), placeholder: t("Id of a call (x-request-id)"), autocomplete: "off", spellcheck: "false" }),
  h("button", { type: "submit" }, t("Open")));
  return form;
}

function liveBox(query, go) {
  const box = h("input", { type: "checkbox", change: () => go("calls", changed(query, { live: box.checked ? null : "off" })) });
  box.checked = query.get("live") !== "off";
  return h("label", { class: "row" }, box, t("Live"));
}

function csvButton(filters, note) {
  return button(t("Download CSV"), async () => {
    try {
      const reply = await request("console", "/calls.csv", { query: filters });
      save("calls.csv", await reply.blob());
      note.textContent = reply.headers.has("x-next-cursor") ? t("The file has the newest 10,000 calls: choose a shorter range for the others.") : "";
    } catch (error) {
      note.textContent = error.message;
    }
  });
}

function filterForm(query, go) {
  const input = (name, label, properties) => h("label", { class: "field" }, h("span", {}, label), h("input", { name, value: query.get(name) ?? "", ...properties }));
  const choice = h("select", { name: "status" }, h("option", { value: "" }, t("any")), STATUSES.map((name) => h("option", {}, name)));
  choice.value = query.get("status") ?? "";
  const day = (name, label) => input(name, label, { type: "datetime-local", value: localTime(query.get(name)) });
  const form = h("form", { class: "filters", submit: (event) => {
    event.preventDefault();
    const data = new FormData(form);
    const changes = Object.fromEntries(FILTERS.map((name) => [name, String(data.get(name) ?? "").trim()]));
    for (const name of ["from", "to"]) if (changes[name]) changes[name] = new Date(changes[name]).toISOString();
    go("calls", changed(query, changes.from || changes.to ? { ...changes, range: null } : changes));
  } },
  h("label", { class: "field" }, h("span", {}, t("Status")), choice),
  input("model", t("Model"), { placeholder: "openai/gpt-4.1-mini" }), input("key", t("Key id")), input("app", t("App")), input("session", t("Session")),
  input("error", t("Error contains")), input("slower", t("Slower than (s)"), { type: "number", min: 0, step: "any" }),
  input("dearer", t("Dearer than (USD)"), { type: "number", min: 0, step: "any" }), day("from", t("From")), day("to", t("To")),
  h("button", { type: "submit", class: "primary" }, t("Filter")),
  button(t("Clear"), () => go("calls", query.has("workspace") ? { workspace: query.get("workspace") } : {})));
  const isFiltered = FILTERS.some((name) => query.get(name));
  return h("details", { open: isFiltered }, h("summary", {}, t("Filters")), form);
}

function empty(query) {
  const others = session.me.workspaces.filter((each) => each.id !== workspaceOf(query)).slice(0, MOST_LOOKS);
  const elsewhere = others.length > 0 && h("p", {}, t("Calls of another workspace:"), " ", others.map((each) => [h("a", { href: address("calls", changed(query, { workspace: each.id })) }, each.name || each.id), " "]));
  if ([...FILTERS, "range"].some((name) => query.get(name))) return hint(t("No calls match these filters."), h("p", {}, t("Clear a filter, or wait: new calls appear by themselves.")), elsewhere);
  return hint(t("No calls yet."), elsewhere, h("p", {}, t("Make one, with the key in the variable KEY. It appears here by itself:")), code(firstCall()));
}
