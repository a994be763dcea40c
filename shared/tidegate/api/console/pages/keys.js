// Virtual keys of a workspace, for admins: list, create, rotate, revoke, and their limits.

import { h, replace } from "./dom.js";
import { read } from "./api.js";
import { address, button, code, dialog, field, hint, table } from "./parts.js";
import { limitFields, limitSummary, limitsFrom } from "./limits.js";
import { mayWrite, workspaceOf } from "./session.js";
import { dateTime, t } from "./text.js";

const PAGE = 200;

export async function showKeys(main, { query, signal }) {
  const workspace = workspaceOf(query);
  const secret = h("div", { role: "status" });
  const body = h("div", {}, h("p", { class: "quiet" }, t("Loading…")));
  replace(main, h("div", { class: "row" }, h("h1", {}, t("Keys")), mayWrite() && workspace && button(t("Create a key"), create, { class: "primary" })), secret, body);
  if (!workspace) return replace(body, hint(t("There is no workspace yet."), h("p", {}, h("a", { href: address("workspaces") }, t("Create one first.")))));
  const path = `/workspaces/${encodeURIComponent(workspace)}/keys`;

  async function load() {
    const keys = [];
    let cursor = "";
    do {
      const page = await read("admin", path, { query: { limit: PAGE, ...(cursor ? { cursor } : {}) }, signal });
      keys.push(...page.data);
      cursor = page.next_cursor;
    } while (cursor);
    replace(body, keys.length === 0 ? hint(t("This workspace has no keys yet."), h("p", {}, t("Create one: its secret is shown once."))) : table(
      [t("Name"), t("Key id"), t("Status"), t("Limits"), t("Expires"), ""], keys.map((key) => [
        key.name || "–", h("a", { href: address("calls", { workspace, key: key.id }) }, key.id), h("span", { class: `status ${/^\w+$/.test(key.status) ? key.status : ""}` }, key.status),
        limitSummary(key.limits), key.expires_at ? dateTime(key.expires_at) : t("never"),
        mayWrite() && key.status === "active" && h("div", { class: "row" },
          button(t("Limits"), () => limit(key)), button(t("Rotate"), () => rotate(key)), button(t("Revoke"), () => revoke(key)))])));
  }

  const showSecret = (key) => replace(secret, h("div", { class: "panel hint" },
    h("h2", {}, t("The secret of {name}", { name: key.name || key.id })), h("p", {}, t("It is shown once. Copy it now: nobody can read it later.")), code(key.secret)));

  function create() {
    dialog(t("Create a key"), [
      field(t("Name"), h("input", { name: "name", required: true, maxlength: 100 })),
      field(t("Expires"), h("input", { name: "expires", type: "datetime-local" }), t("Empty: never")),
      h("details", {}, h("summary", {}, t("Limits")), limitFields({}))],
    t("Create"), async (data) => {
      const expires = data.get("expires");
      const key = await read("admin", "/keys", { method: "POST", body: {
        name: String(data.get("name")), workspace_ids: [workspace], limits: limitsFrom(data), ...(expires ? { expires_at: new Date(expires).toISOString() } : {}) } });
      showSecret(key);
      await load();
    });
  }

  const one = (key, rest = "") => `${path}/${encodeURIComponent(key.id)}${rest}`;
  const version = (key) => ({ "if-match": `"${key.version}"` });

  function rotate(key) {
    dialog(t("Rotate {name}", { name: key.name || key.id }), field(t("Hours that the old secret stays valid"), h("input", { name: "hours", type: "number", min: 0, max: 168, step: 1, value: 24, required: true })),
      t("Rotate"), async (data) => {
        showSecret(await read("admin", one(key, "/rotate"), { method: "POST", headers: version(key), body: { overlap_seconds: Number(data.get("hours")) * 3600 } }));
        await load();
      });
  }

  function revoke(key) {
    dialog(t("Revoke {name}?", { name: key.name || key.id }), h("p", {}, t("Its calls are refused within a minute. This cannot be undone.")), t("Revoke"), async () => {
      await read("admin", one(key), { method: "DELETE", headers: version(key) });
      await load();
    });
  }

  function limit(key) {
    dialog(t("Limits of {name}", { name: key.name || key.id }), limitFields(key.limits), t("Save"), async (data) => {
      await read("admin", one(key), { method: "PATCH", headers: version(key), body: { limits: limitsFrom(data) } });
      await load();
    });
  }

  await load();
}
