// Plans, for admins: named limits that many workspaces share. A change is copied to all of them.

import { h, replace } from "./dom.js";
import { read } from "./api.js";
import { change, loading, managesGateway, readAll } from "./admin.js";
import { address, button, code, dialog, field, hint, table } from "./parts.js";
import { limitFields, limitSummary, limitsFrom } from "./limit_fields.js";
import { t, whole } from "./text.js";

export async function showPlans(main, { signal }) {
  const note = h("p", { class: "quiet", role: "status" });
  const body = h("div", {}, loading());
  replace(main, h("div", { class: "row" }, h("h1", {}, t("Plans")), managesGateway() && button(t("Create a plan"), create, { class: "primary" })), note, body);

  async function load() {
    const [plans, workspaces] = await Promise.all([readAll("/plans", signal), readAll("/workspaces", signal)]);
    const links = (plan) => workspaces.filter((each) => each.plan_id === plan.id).flatMap((each) => [h("a", { href: address("limits", { workspace: each.id }) }, each.name || each.id), " "]);
    replace(body, plans.length === 0 ? hint(t("There are no plans yet."), h("p", {}, t("A plan has limits that many workspaces share; limits of a workspace itself go before those of its plan.")), code("tidegate plans create plan_team --limits usd_per_month=200")) : table(
      [t("Name"), t("Id"), t("Limits"), t("Workspaces"), ""], plans.map((plan) => [
        plan.name, plan.id, limitSummary(plan.limits), links(plan),
        managesGateway() && h("div", { class: "row" }, button(t("Change"), () => update(plan), { "aria-label": t("Change {name}", { name: plan.name }) }), button(t("Delete"), () => remove(plan), { "aria-label": t("Delete {name}", { name: plan.name }) }))])));
  }

  const path = (plan) => `/plans/${encodeURIComponent(plan.id)}`;
  const named = (plan) => field(t("Name"), h("input", { name: "name", required: true, maxlength: 200, value: plan.name ?? "" }));

  function create() {
    dialog(t("Create a plan"), [field(t("Id"), h("input", { name: "id", required: true, pattern: "plan_[A-Za-z0-9_\\-]+", placeholder: "plan_team" })), named({}), limitFields({})], t("Create"), async (data) => {
      await read("admin", "/plans", { method: "POST", body: { id: String(data.get("id")), name: String(data.get("name")), limits: limitsFrom(data) } });
      await load();
    });
  }

  function update(plan) {
    dialog(t("Change {name}", { name: plan.name }), [h("p", {}, t("The limits are copied to all workspaces on this plan, within a minute.")), named(plan), limitFields(plan.limits)], t("Save"), async (data) => {
      const { workspaces } = await change(load, path(plan), plan, { body: { name: String(data.get("name")), limits: limitsFrom(data) } });
      note.textContent = workspaces.pending.length === 0 ? t("{count} workspaces have the new limits.", { count: whole(workspaces.updated) })
        : t("Not yet changed, because calls are running: {names}. Save the plan again in a minute.", { names: workspaces.pending.join(", ") });
    });
  }

  function remove(plan) {
    dialog(t("Delete {name}?", { name: plan.name }), h("p", {}, t("Workspaces on it must have another plan, or none, first.")), t("Delete"), () => change(load, path(plan), plan, { method: "DELETE" }));
  }

  await load();
}
