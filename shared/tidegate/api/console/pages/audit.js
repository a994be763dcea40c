// The audit log, for admins: who changed what, and how it was before.

import { h, replace } from "./dom.js";
import { read } from "./api.js";
import { loading, readAll } from "./admin.js";
import { button, changed, field, hint, table } from "./parts.js";
import { session, workspaceOf } from "./session.js";
import { dateTime, t } from "./text.js";

const PAGE = 100;
const MOST_PAGES = 10; // one look reads at most so many pages for a filter that matches little
const FILTERS = ["who", "action", "target"];

export async function showAudit(main, { query, go, signal }) {
  const isWhole = session.me.whole_gateway && !query.has("workspace");
  const path = isWhole ? "/audit" : `/workspaces/${encodeURIComponent(workspaceOf(query))}/audit`;
  const entries = [];
  const body = h("div", {}, loading());
  const names = new Map();
  replace(main, h("h1", {}, t("Audit log")), filterForm(query, go), body);
  if (session.me.whole_gateway) for (const admin of await readAll("/admins", signal)) names.set(admin.id, admin.name);
  const who = (id) => (names.get(id) ? [names.get(id), h("small", {}, id)] : id);
  const matches = (entry) => FILTERS.every((name) => {
    const text = name === "who" ? `${entry.who} ${names.get(entry.who) ?? ""}` : entry[name];
    return text.toLowerCase().includes((query.get(name) ?? "").trim().toLowerCase());
  });

  const more = async (cursor) => {
    const before = entries.length;
    for (let pages = 0; pages < MOST_PAGES && entries.length - before < PAGE && cursor !== null; pages++) {
      const page = await read("admin", path, { query: { limit: PAGE, ...(cursor ? { cursor } : {}) }, signal });
      entries.push(...page.data.filter(matches));
      cursor = page.next_cursor;
    }
    const isFiltered = FILTERS.some((name) => query.get(name));
    replace(body, entries.length === 0 ? hint(isFiltered ? t("No change matches these filters.") : t("Nothing was changed yet."), h("p", {}, t("Each change by an admin key or on the command line is listed here."))) : table(
      [t("Time"), t("Who"), t("Action"), t("What"), t("Change")],
      entries.map((entry) => [dateTime(entry.at), who(entry.who), entry.action, [entry.target, h("small", {}, entry.workspace_ids.join(", "))], difference(entry)])),
    cursor && button(t("Show older changes"), () => more(cursor)));
  };
  await more("");
}

function filterForm(query, go) {
  const labels = { who: t("Who"), action: t("Action"), target: t("What") };
  const examples = { who: "adm_…", action: "update", target: "workspaces/ws_team" };
  const form = h("form", { class: "filters", submit: (event) => {
    event.preventDefault();
    go("audit", changed(query, Object.fromEntries(new FormData(form))));
  } }, FILTERS.map((name) => field(labels[name], h("input", { name, value: query.get(name) ?? "", placeholder: examples[name] }))),
  h("button", { type: "submit", class: "primary" }, t("Filter")),
  button(t("Clear"), () => go("audit", changed(query, Object.fromEntries(FILTERS.map((name) => [name, null]))))));
  return form;
}

function difference({ before, after }) {
  const [old, current] = [flat(before), flat(after)];
  const names = [...new Set([...old.keys(), ...current.keys()])].filter((name) => name !== "version" && old.get(name) !== current.get(name));
  if (names.length === 0) return "–";
  const rows = names.map((name) => [h("code", {}, name), old.has(name) ? h("del", {}, old.get(name)) : "–", current.has(name) ? h("ins", {}, current.get(name)) : "–"]);
  return h("details", { open: names.length < 4 }, h("summary", {}, t("{count} fields", { count: names.length })), table([t("Field"), t("Before"), t("After")], rows));
}

// The values by their paths: "limits.usd_per_month".
function flat(value, prefix = "", found = new Map()) {
  for (const [name, each] of Object.entries(value ?? {})) {
    if (each !== null && typeof each === "object" && !Array.isArray(each)) flat(each, `${prefix}${name}.`, found);
    else found.set(prefix + name, typeof each === "string" ? each : JSON.stringify(each));
  }
  return found;
}
