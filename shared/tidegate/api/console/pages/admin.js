// What the pages for admins share: whole lists, paths, versions, and changes that may have become stale.

import { h } from "./dom.js";
import { read } from "./api.js";
import { address, code, hint } from "./parts.js";
import { mayWrite, session } from "./session.js";
import { t } from "./text.js";

const PAGE = 200;

// All resources of a list, however many pages it has.
export async function readAll(path, signal) {
  const found = [];
  let cursor = "";
  do {
    const page = await read("admin", path, { query: { limit: PAGE, ...(cursor ? { cursor } : {}) }, signal });
    found.push(...page.data);
    cursor = page.next_cursor;
  } while (cursor);
  return found;
}

export const managesGateway = () => mayWrite() && session.me.whole_gateway;
export const workspacePath = (id, rest = "") => `/workspaces/${encodeURIComponent(id)}${rest}`;
export const versionOf = (resource) => ({ "if-match": `"${resource.version}"` });
export const loading = () => h("p", { class: "quiet" }, t("Loading…"));
export const noWorkspace = () => hint(t("There is no workspace yet."), h("p", {}, h("a", { href: address("workspaces") }, t("Create one first."))));
export const secretOf = (key) => hint(t("The secret of {name}", { name: key.name || key.id }), h("p", {}, t("It is shown once. Copy it now: nobody can read it later.")), code(key.secret));
export const state = (word) => h("span", { class: `status ${/^\w+$/.test(word) ? word : ""}` }, word);
export const listOf = (text) => { const parts = String(text ?? "").split(/[\s,]+/).filter(Boolean); return parts.length ? parts : null; };

// Changes one version of a resource, and loads the list anew: also if somebody else was faster.
export async function change(load, path, resource, options) {
  try {
    const changed = await read("admin", path, { method: "PATCH", headers: versionOf(resource), ...options });
    await load();
    return changed;
  } catch (error) {
    if (error.status === 412) await load();
    throw error;
  }
}
