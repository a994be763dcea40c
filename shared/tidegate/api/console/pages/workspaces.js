// Workspaces, for admins: list, create, suspend, resume, their limits, plan and settings.

import { h, replace } from "./dom.js";
import { read } from "./api.js";
import { change, listOf, loading, managesGateway, readAll, state, workspacePath } from "./admin.js";
import { address, button, choice, code, dialog, field, hint, table } from "./parts.js";
import { limitFields, limitSummary, limitsFrom } from "./limit_fields.js";
import { mayWrite, session } from "./session.js";
import { percent, t } from "./text.js";

export async function showWorkspaces(main, { query, signal }) {
  const note = h("p", { class: "quiet", role: "status" });
  const body = h("div", {}, loading());
  let named; // the workspace whose settings the address opens
  replace(main, h("div", { class: "row" }, h("h1", {}, t("Workspaces")), managesGateway() && button(t("Create a workspace"), create, { class: "primary" })), note, body);

  async function load() {
    const workspaces = await readAll("/workspaces", signal);
    named = workspaces.find((each) => each.id === query.get("settings"));
    replace(body, workspaces.length === 0 ? hint(t("There is no workspace yet."), code("tidegate workspaces create ws_team --name Team")) : table(
      [t("Name"), t("Id"), t("Status"), t("Limits"), t("Traces"), t("Provider keys"), ""], workspaces.map((workspace) => [
        workspace.name, h("a", { href: address("overview", { workspace: workspace.id }) }, workspace.id), state(workspace.status),
        [limitSummary(workspace.effective_limits), workspace.plan_id && h("small", { class: "quiet" }, `${t("Plan")}: ${workspace.plan_id}`)],
        traces(workspace), workspace.credentials.map((each) => each.name).join(", "),
        [h("div", { class: "row" }, [["keys", t("Keys")], ["routes", `${t("Routes")} ${workspace.routes.length}`], ["guardrails", `${t("Guardrails")} ${workspace.guardrails.length}`]].map(([page, label]) =>
          h("a", { href: address(page, { workspace: workspace.id }) }, label))),
        h("div", { class: "row" }, managesGateway() && [button(t("Limits"), () => limit(workspace)), button(t("Settings"), () => settings(workspace)),
          button(workspace.status === "active" ? t("Suspend") : t("Resume"), () => toggle(workspace))], mayWrite() && button(t("Destroy traces"), () => destroy(workspace)))]])));
  }

  const path = (workspace, rest = "") => workspacePath(workspace.id, rest);
  const name = (workspace) => ({ name: workspace.name || workspace.id });

  async function create() {
    const plans = await readAll("/plans", signal);
    dialog(t("Create a workspace"), [
      field(t("Id"), h("input", { name: "id", required: true, pattern: "ws_[A-Za-z0-9_\\-]+", placeholder: "ws_team" })),
      field(t("Name"), h("input", { name: "name", required: true, maxlength: 100 })), planChoice(plans), limitFields({})],
    t("Create"), async (data) => {
      await read("admin", "/workspaces", { method: "POST", body: { id: String(data.get("id")), name: String(data.get("name")), limits: limitsFrom(data), plan_id: data.get("plan_id") || null } });
      session.me = await read("console", "/me");
      await load();
    });
  }

  function limit(workspace) {
    dialog(t("Limits of {name}", name(workspace)), limitFields(workspace.limits), t("Save"), (data, force) => change(load, path(workspace), workspace, { query: force, body: { limits: limitsFrom(data) } }));
  }

  async function settings(workspace) {
    const plans = await readAll("/plans", signal);
    dialog(t("Settings of {name}", name(workspace)), [planChoice(plans, workspace.plan_id), settingFields(workspace)], t("Save"), (data, force) => {
      const body = settingsFrom(data, workspace);
      if ((data.get("plan_id") || null) !== workspace.plan_id) body.plan_id = data.get("plan_id") || null;
      return change(load, path(workspace), workspace, { query: force, body });
    });
  }

  function toggle(workspace) {
    const isActive = workspace.status === "active";
    dialog(isActive ? t("Suspend {name}?", name(workspace)) : t("Resume {name}?", name(workspace)),
      h("p", {}, isActive ? t("Its calls are refused within a minute, until it is resumed.") : t("Its keys work again.")),
      isActive ? t("Suspend") : t("Resume"), () => change(load, path(workspace, isActive ? "/suspend" : "/resume"), workspace, { method: "POST" }));
  }

  function destroy(workspace) {
    dialog(t("Destroy all traces of {name}?", name(workspace)), h("p", {}, t("Prompts and answers that were kept cannot be read any more, by nobody. Records stay. This cannot be undone.")), t("Destroy traces"), async () => {
      await read("admin", path(workspace, "/traces"), { method: "DELETE" });
      note.textContent = t("The traces of {name} are destroyed.", name(workspace));
    });
  }

  await load();
  if (named && managesGateway()) await settings(named);
}

const traces = ({ trace_sample: sample, trace_failures: failures, trace_callers: callers, trace_days: days }) =>
  !sample && !failures ? (callers ? t("if a call asks") : "–") : [sample ? percent(sample) : "", failures ? t("failures") : "", t("{count} days", { count: days })].filter(Boolean).join(", ");

const planChoice = (plans, chosen = "") => field(t("Plan"), choice("plan_id", [["", t("no plan")], ...plans.map((plan) => [plan.id, plan.name])], chosen ?? ""));

// Each setting: its name in the API, its kind, its label, and a note. Those without a label are shown by their name.
const SETTINGS = () => [
  ["name", "text", t("Name")],
  ["trace_sample", "number", t("Share of calls that are traced"), t("0 to 1: prompts and answers of these calls are kept, encrypted.")],
  ["trace_days", "number", t("Traces are kept for (days)")],
  ["trace_mask", "list", t("Masked in traces"), "personal-data, secrets"],
  ["trace_failures", "flag", t("Every call that fails is traced")], ["trace_callers", "flag", t("Callers may ask for traces")],
  ["batch_mode", ["calls", "provider_batch"], t("Batches"), t("provider_batch: at half the price")],
  ["batch_webhook", "text", t("Webhook of batches"), "https://…"],
  ["timeout_seconds", "number", t("Timeout of a call (s)"), t("Empty: the gateway's")],
  ["cache_ttl_seconds", "number", t("Replies are cached for (s)"), t("Empty: not cached, unless a call asks")],
  ["words_method", ["tokens", "unicode"]], ["charge_input_words", "flag"], ["allows_unpriced", "flag"], ["lowers_max_tokens", "flag"],
  ["adds_max_tokens", "flag"], ["first_day", "number"], ["shards", "number"],
];

const settingFields = (workspace) => h("div", { class: "limits" }, SETTINGS().filter(([name]) => name in workspace).map(([name, kind, label = name, note]) => {
  const value = workspace[name];
  if (kind === "flag") {
    const box = h("input", { type: "checkbox", name });
    box.checked = value;
    return h("label", { class: "row" }, box, label);
  }
  if (Array.isArray(kind)) return field(label, choice(name, kind.map((word) => [word, word]), value), note);
  return field(label, h("input", { name, value: Array.isArray(value) ? value.join(", ") : value ?? "", type: kind === "number" ? "number" : "text", step: "any", min: kind === "number" && "0" }), note);
}));

// Only what was changed is sent: what somebody else changes meanwhile is refused by its version.
function settingsFrom(data, workspace) {
  const changed = {};
  for (const [name, kind] of SETTINGS()) {
    if (!(name in workspace)) continue;
    const text = String(data.get(name) ?? "").trim();
    const value = kind === "flag" ? data.has(name) : kind === "list" ? listOf(text) ?? [] : text === "" ? null : kind === "number" ? Number(text) : text;
    if (JSON.stringify(value) !== JSON.stringify(workspace[name])) changed[name] = value;
  }
  return changed;
}
