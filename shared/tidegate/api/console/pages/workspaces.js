// Workspaces, for admins: list, create, suspend, resume, and their limits.

import { h, replace } from "./dom.js";
import { read } from "./api.js";
import { address, button, dialog, field, hint, table } from "./parts.js";
import { limitFields, limitSummary, limitsFrom } from "./limits.js";
import { mayWrite, session } from "./session.js";
import { t } from "./text.js";

const PAGE = 200;

export async function showWorkspaces(main, { signal }) {
  const body = h("div", {}, h("p", { class: "quiet" }, t("Loading…")));
  replace(main, h("div", { class: "row" }, h("h1", {}, t("Workspaces")), mayWrite() && session.me.whole_gateway && button(t("Create a workspace"), create, { class: "primary" })), body);

  async function load() {
    const workspaces = [];
    let cursor = "";
    do {
      const page = await read("admin", "/workspaces", { query: { limit: PAGE, ...(cursor ? { cursor } : {}) }, signal });
      workspaces.push(...page.data);
      cursor = page.next_cursor;
    } while (cursor);
    replace(body, workspaces.length === 0 ? hint(t("There is no workspace yet.")) : table(
      [t("Name"), t("Id"), t("Status"), t("Limits"), t("Routes"), t("Guardrails"), t("Provider keys"), ""], workspaces.map((workspace) => [
        workspace.name, h("a", { href: address("overview", { workspace: workspace.id }) }, workspace.id),
        h("span", { class: `status ${workspace.status === "active" ? "active" : "suspended"}` }, workspace.status),
        [limitSummary(workspace.effective_limits), workspace.plan_id && h("small", { class: "quiet" }, ` ${t("Plan")}: ${workspace.plan_id}`)],
        workspace.routes.length, workspace.guardrails.length, workspace.credentials.map((each) => each.name).join(", "),
        h("div", { class: "row" }, h("a", { href: address("keys", { workspace: workspace.id }) }, t("Keys")),
          mayWrite() && [button(t("Limits"), () => limit(workspace)),
            button(workspace.status === "active" ? t("Suspend") : t("Resume"), () => toggle(workspace))])])));
  }

  const path = (workspace, rest = "") => `/workspaces/${encodeURIComponent(workspace.id)}${rest}`;
  const version = (workspace) => ({ "if-match": `"${workspace.version}"` });

  function create() {
    dialog(t("Create a workspace"), [
      field(t("Id"), h("input", { name: "id", required: true, pattern: "[A-Za-z0-9_\\-]+", placeholder: "ws_team" })),
      field(t("Name"), h("input", { name: "name", required: true, maxlength: 100 })), limitFields({})],
    t("Create"), async (data) => {
      await read("admin", "/workspaces", { method: "POST", body: { id: String(data.get("id")), name: String(data.get("name")), limits: limitsFrom(data) } });
      session.me = await read("console", "/me");
      await load();
    });
  }

  function limit(workspace) {
    dialog(t("Limits of {name}", { name: workspace.name || workspace.id }), limitFields(workspace.limits), t("Save"), async (data) => {
      await read("admin", path(workspace), { method: "PATCH", headers: version(workspace), body: { limits: limitsFrom(data) } });
      await load();
    });
  }

  function toggle(workspace) {
    const isActive = workspace.status === "active";
    dialog(isActive ? t("Suspend {name}?", { name: workspace.name }) : t("Resume {name}?", { name: workspace.name }),
      h("p", {}, isActive ? t("Its calls are refused within a minute, until it is resumed.") : t("Its keys work again.")),
      isActive ? t("Suspend") : t("Resume"), async () => {
        await read("admin", path(workspace, isActive ? "/suspend" : "/resume"), { method: "POST", headers: version(workspace) });
        await load();
      });
  }

  await load();
}
