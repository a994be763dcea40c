// Who may manage, for admins: the members of a workspace, and the admin keys.

import { h, replace } from "./dom.js";
import { read } from "./api.js";
import { change, listOf, loading, managesGateway, readAll, secretOf, state, workspacePath } from "./admin.js";
import { button, choice, code, dialog, field, hint, table } from "./parts.js";
import { mayWrite, session, workspaceOf } from "./session.js";
import { dateTime, t } from "./text.js";

const SCOPES = ["read", "write", "content"];

export async function showAccess(main, { query, signal }) {
  const workspace = workspaceOf(query);
  const secret = h("div", { role: "status" }), body = h("div", {}, loading());
  replace(main, h("h1", {}, t("Access")), secret, body);
  const members = workspace && workspacePath(workspace, "/members");

  async function load() {
    const [people, admins] = await Promise.all([workspace ? readAll(members, signal) : [], session.me.whole_gateway ? readAll("/admins", signal) : []]);
    replace(body,
      workspace && [h("div", { class: "row" }, h("h2", {}, t("Members of {workspace}", { workspace })), mayWrite() && button(t("Add a member"), add)),
        people.length === 0 ? hint(t("This workspace has no members."), h("p", {}, t("A member is a person or a service of the issuer whose tokens sign in.")), code(`tidegate workspaces members put ${workspace} ada@example.com --role reader`))
          : table([t("Subject"), t("Role"), t("Since"), ""], people.map((member) => [member.subject, member.role, dateTime(member.created_at), mayWrite() && button(t("Remove"), () => remove(member), { "aria-label": t("Remove {name}", { name: member.subject }) })]))],
      session.me.whole_gateway && [h("div", { class: "row" }, h("h2", {}, t("Admin keys")), managesGateway() && button(t("Create an admin key"), create)),
        table([t("Name"), t("Id"), t("Status"), t("May"), t("Workspaces"), t("Expires"), ""], admins.map((admin) => [
          [admin.name || "–", h("small", {}, `${admin.prefix}…`)], admin.id, state(admin.status), admin.scopes.join(", "), admin.workspace_ids?.join(", ") ?? t("all"), admin.expires_at ? dateTime(admin.expires_at) : t("never"),
          managesGateway() && admin.status === "active" && admin.id !== session.me.id && button(t("Revoke"), () => revoke(admin), { "aria-label": t("Revoke {name}", { name: admin.name || admin.id }) })]))]);
  }

  function add() {
    dialog(t("Add a member"), [field(t("Subject"), h("input", { name: "subject", required: true, maxlength: 200, placeholder: "ada@example.com" }), t("An e-mail address, or the subject of the tokens.")), field(t("Role"), choice("role", ["reader", "admin"].map((role) => [role, role]), "reader"))], t("Save"), async (data) => {
      await read("admin", `${members}/${encodeURIComponent(String(data.get("subject")).trim())}`, { method: "PUT", body: { role: String(data.get("role")) } });
      await load();
    });
  }

  function remove(member) {
    dialog(t("Remove {name}?", { name: member.subject }), h("p", {}, t("The member loses this workspace within a minute.")), t("Remove"), () => change(load, `${members}/${encodeURIComponent(member.subject)}`, member, { method: "DELETE" }));
  }

  function create() {
    const scopes = SCOPES.map((scope) => {
      const box = h("input", { type: "checkbox", name: "scopes", value: scope });
      box.checked = scope === "read";
      return h("label", { class: "row" }, box, { read: t("read"), write: t("change"), content: t("read prompts and answers of traces") }[scope]);
    });
    dialog(t("Create an admin key"), [
      field(t("Name"), h("input", { name: "name", required: true, maxlength: 200 })), h("div", { role: "group", "aria-label": t("May") }, scopes),
      field(t("Workspaces"), h("input", { name: "workspaces", placeholder: "ws_team, ws_shop" }), t("Empty: the whole gateway")),
      field(t("Expires"), h("input", { name: "expires", type: "datetime-local" }), t("Empty: never"))],
    t("Create"), async (data) => {
      const ids = listOf(data.get("workspaces")), expires = data.get("expires");
      const key = await read("admin", "/admins", { method: "POST", body: { name: String(data.get("name")), scopes: data.getAll("scopes").map(String),
        ...(ids ? { workspace_ids: ids } : {}), ...(expires ? { expires_at: new Date(expires).toISOString() } : {}) } });
      replace(secret, secretOf(key));
      await load();
    });
  }

  function revoke(admin) {
    dialog(t("Revoke {name}?", { name: admin.name || admin.id }), h("p", {}, t("It is refused at once. This cannot be undone.")), t("Revoke"), () => change(load, `/admins/${encodeURIComponent(admin.id)}`, admin, { method: "DELETE" }));
  }

  await load();
}
