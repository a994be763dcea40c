// Virtual keys of a workspace, for admins: list, create, change, rotate, revoke, and their limits.

import { h, replace } from "./dom.js";
import { read } from "./api.js";
import { change, listOf, loading, noWorkspace, readAll, secretOf, state, workspacePath } from "./admin.js";
import { address, button, code, dialog, field, hint, table } from "./parts.js";
import { limitFields, limitSummary, limitsFrom } from "./limit_fields.js";
import { mayWrite, workspaceOf } from "./session.js";
import { date, dateMinute, dateTime, localTime, percent, t } from "./text.js";

export async function showKeys(main, { query, signal }) {
  const workspace = workspaceOf(query);
  const secret = h("div", { role: "status" });
  const body = h("div", {}, loading());
  replace(main, h("div", { class: "row" }, h("h1", {}, t("Keys")), mayWrite() && workspace && button(t("Create a key"), create, { class: "primary" })), secret, body);
  if (!workspace) return replace(body, noWorkspace());
  const path = workspacePath(workspace, "/keys");

  async function load() {
    const keys = await readAll(path, signal);
    replace(body, keys.length === 0 ? hint(t("This workspace has no keys yet."), h("p", {}, t("Create one: its secret is shown once.")), code(`tidegate keys create --workspace ${workspace} --name app`)) : table(
      [t("Name"), t("Key id"), t("Status"), t("Limits"), t("Created"), t("Expires"), ""], keys.map((key) => [
        [key.name || "–", h("small", {}, `${key.prefix}…`)], h("a", { href: address("calls", { workspace, key: key.id }) }, key.id), state(key.status),
        [limitSummary(key.limits), restrictions(key).map((text) => h("small", {}, text))],
        [h("span", { title: dateTime(key.created_at) }, date(key.created_at)), h("small", {}, h("a", { href: address("audit", { workspace, target: `keys/${key.id}` }) }, t("by whom")))],
        [key.expires_at ? dateMinute(key.expires_at) : t("never"), key.previous_expires_at && Date.parse(key.previous_expires_at) > Date.now() && h("small", {}, t("The old secret works until {time}.", { time: dateTime(key.previous_expires_at) }))],
        mayWrite() && key.status === "active" && h("div", { class: "row" },
          button(t("Limits"), () => limit(key)), button(t("Settings"), () => settings(key)), button(t("Rotate"), () => rotate(key)), button(t("Revoke"), () => revoke(key)))])));
  }

  const showSecret = (key) => replace(secret, secretOf(key));

  function create() {
    dialog(t("Create a key"), [...fields({}), h("details", {}, h("summary", {}, t("Limits")), limitFields({}))], t("Create"), async (data) => {
      showSecret(await read("admin", "/keys", { method: "POST", body: { workspace_ids: [workspace], limits: limitsFrom(data), ...settingsFrom(data, {}) } }));
      await load();
    });
  }

  const one = (key, rest = "") => `${path}/${encodeURIComponent(key.id)}${rest}`;
  const name = (key) => ({ name: key.name || key.id });

  function settings(key) {
    dialog(t("Settings of {name}", name(key)), fields(key), t("Save"), (data) => change(load, one(key), key, { body: settingsFrom(data, key) }));
  }

  function rotate(key) {
    dialog(t("Rotate {name}", name(key)), field(t("Hours that the old secret stays valid"), h("input", { name: "hours", type: "number", min: 0, max: 168, step: 1, value: 24, required: true })),
      t("Rotate"), async (data) => showSecret(await change(load, one(key, "/rotate"), key, { method: "POST", body: { overlap_seconds: Number(data.get("hours")) * 3600 } })));
  }

  function revoke(key) {
    dialog(t("Revoke {name}?", name(key)), h("p", {}, t("Its calls are refused within a minute. This cannot be undone.")), t("Revoke"), () => change(load, one(key), key, { method: "DELETE" }));
  }

  function limit(key) {
    dialog(t("Limits of {name}", name(key)), limitFields(key.limits), t("Save"), (data, force) => change(load, one(key), key, { query: force, body: { limits: limitsFrom(data) } }));
  }

  await load();
}

const restrictions = (key) => [
  key.endpoints && `${t("Endpoints")}: ${key.endpoints.join(", ")}`, key.networks && `${t("Networks")}: ${key.networks.join(", ")}`,
  key.trace_sample !== null && key.trace_sample !== undefined && `${t("Traced")}: ${percent(key.trace_sample)}`,
].filter(Boolean);

const fields = (key) => [
  field(t("Name"), h("input", { name: "name", required: true, maxlength: 100, value: key.name ?? "" })),
  field(t("Expires"), h("input", { name: "expires", type: "datetime-local", value: localTime(key.expires_at) }), t("Empty: never")),
  h("details", { open: Boolean(key.endpoints || key.networks) }, h("summary", {}, t("Restrictions and traces")),
    field(t("Endpoints"), h("input", { name: "endpoints", value: (key.endpoints ?? []).join(", "), placeholder: "/v1/chat/*, /console/v1/*" }), t("Empty: all. Paths with *, separated by commas.")),
    field(t("Networks"), h("input", { name: "networks", value: (key.networks ?? []).join(", "), placeholder: "192.0.2.0/24" }), t("Empty: all. Addresses or networks of its callers.")),
    field(t("Share of calls that are traced"), h("input", { name: "sample", type: "number", min: 0, max: 1, step: "any", value: key.trace_sample ?? "" }), t("0 to 1; empty: as the workspace"))),
];

function settingsFrom(data, key) {
  const expires = data.get("expires"), sample = data.get("sample");
  const changed = { name: String(data.get("name")), endpoints: listOf(data.get("endpoints")), networks: listOf(data.get("networks")) };
  if (expires !== localTime(key.expires_at)) changed.expires_at = expires ? new Date(expires).toISOString() : null;
  if (sample !== String(key.trace_sample ?? "")) changed.trace_sample = sample === "" ? null : Number(sample);
  return changed;
}
