// Limits of a workspace and its keys, for admins: budgets as bars, where each limit comes from, and how to change it.

import { h, replace } from "./dom.js";
import { read } from "./api.js";
import { budgetBars } from "./budgets.js";
import { change, loading, managesGateway, noWorkspace, readAll, workspacePath } from "./admin.js";
import { address, button, code, dialog, hint, table } from "./parts.js";
import { limitFields, limitNames, limitSummary, limitValue, limitsFrom } from "./limit_fields.js";
import { mayWrite, workspaceOf } from "./session.js";
import { t } from "./text.js";

export async function showLimits(main, { query, every, signal }) {
  const id = workspaceOf(query);
  const bars = h("div", {}), body = h("div", {}, loading());
  replace(main, h("h1", {}, t("Limits")), bars, body);
  if (!id) return replace(body, noWorkspace());

  const loadBars = async () => {
    const { budgets } = await read("console", "/overview", { query: { workspace: id }, signal });
    replace(bars, budgets.length > 0 && budgetBars(budgets));
  };
  async function load() {
    const [workspace, keys] = await Promise.all([read("admin", workspacePath(id), { signal }), readAll(workspacePath(id, "/keys"), signal), loadBars()]);
    const { effective_limits: effective, limits: own } = workspace;
    const edit = (title, path, resource) => dialog(title, limitFields(resource.limits), t("Save"), (data, force) => change(load, path, resource, { query: force, body: { limits: limitsFrom(data) } }));
    const active = keys.filter((key) => key.status === "active");
    replace(body,
      h("div", { class: "row" }, h("h2", {}, workspace.name || id), managesGateway() && button(t("Change the limits"), () => edit(t("Limits of {name}", { name: workspace.name || id }), workspacePath(id), workspace), { class: "primary" })),
      Object.keys(effective).length === 0 ? hint(t("This workspace has no limits."), h("p", {}, t("A budget refuses calls before they cost more than it has:")), code(`tidegate workspaces set-limits ${id} --limits usd_per_month=100`))
        : table([t("Limit"), t("Value"), t("From")], Object.entries(effective).map(([name, value]) => [
          limitNames()[name] ?? name, limitValue(name, value),
          name in own ? t("this workspace") : h("a", { href: address("plans") }, t("plan {id}", { id: workspace.plan_id }))])),
      h("h2", {}, t("Keys")),
      active.length === 0 ? h("p", { class: "quiet" }, t("This workspace has no keys yet.")) : table([t("Name"), t("Key id"), t("Limits"), ""], active.map((key) => [
        key.name || "–", key.id, limitSummary(key.limits),
        mayWrite() && button(t("Change"), () => edit(t("Limits of {name}", { name: key.name || key.id }), workspacePath(id, `/keys/${encodeURIComponent(key.id)}`), key), { "aria-label": t("Change {name}", { name: key.name || key.id }) })])));
  }
  await load();
  every(10, loadBars);
}
