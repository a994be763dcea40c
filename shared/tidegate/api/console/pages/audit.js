// The audit log, for admins: who changed what, and how it was before.

import { h, replace } from "./dom.js";
import { read } from "./api.js";
import { button, table } from "./parts.js";
import { session, workspaceOf } from "./session.js";
import { dateTime, t } from "./text.js";

const PAGE = 50;

export async function showAudit(main, { query, signal }) {
  const isWhole = session.me.whole_gateway && !query.has("workspace");
  const path = isWhole ? "/audit" : `/workspaces/${encodeURIComponent(workspaceOf(query))}/audit`;
  const entries = [];
  const body = h("div", {});
  replace(main, h("h1", {}, t("Audit log")), body);
  const more = async (cursor) => {
    const page = await read("admin", path, { query: { limit: PAGE, ...(cursor ? { cursor } : {}) }, signal });
    entries.push(...page.data);
    replace(body, entries.length === 0 ? h("p", { class: "quiet" }, t("Nothing was changed yet.")) : table(
      [t("Time"), t("Who"), t("Action"), t("What"), t("Change")],
      entries.map((entry) => [dateTime(entry.at), entry.who, entry.action, entry.target, difference(entry)])),
    page.next_cursor && button(t("Show older changes"), () => more(page.next_cursor)));
  };
  await more("");
}

function difference({ before, after }) {
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
  const text = (value) => (value === undefined ? "–" : JSON.stringify(value));
  const lines = names.filter((name) => name !== "version" && text(before?.[name]) !== text(after?.[name]))
    .map((name) => `${name}: ${text(before?.[name])} → ${text(after?.[name])}`);
  return h("details", {}, h("summary", {}, t("{count} fields", { count: lines.length })), h("pre", {}, lines.join("\n")));
}
