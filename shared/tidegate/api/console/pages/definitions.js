// Routes or guardrails of a workspace: a readable list; each is edited as JSON, and the server's error stands beside it.

import { h, replace } from "./dom.js";
import { read } from "./api.js";
import { change, loading, managesGateway, noWorkspace, workspacePath } from "./admin.js";
import { button, code, dialog, field, hint } from "./parts.js";
import { workspaceOf } from "./session.js";
import { t } from "./text.js";

// `kind`: name of the field, title, examples by label, what an empty list teaches, the facts of one definition, and the
// names of the fields that these show. All other fields are listed as they are.
export async function showDefinitions(main, { query, signal }, kind) {
  const id = workspaceOf(query);
  const body = h("div", {}, loading());
  replace(main, h("h1", {}, kind.title), h("p", { class: "quiet" }, kind.explanation), body);
  if (!id) return replace(body, noWorkspace());
  let workspace;

  async function load() {
    workspace = await read("admin", workspacePath(id), { signal });
    const list = workspace[kind.field];
    replace(body,
      list.length === 0 && hint(kind.empty, h("p", {}, t("On the command line, with a list of such objects in a file:")), code(`tidegate workspaces set ${id} --${kind.field} @${kind.field}.json`)),
      managesGateway() && h("div", { class: "row" }, h("span", { class: "quiet" }, t("Add:")), Object.entries(kind.examples).map(([label, example]) => button(label, () => edit(example, list.length)))),
      list.map((each, index) => h("article", { class: "panel" },
        h("div", { class: "row" }, h("h2", {}, each.name), managesGateway() && [
          button(t("Change"), () => edit(each, index), { "aria-label": t("Change {name}", { name: each.name }) }),
          button(t("Remove"), () => remove(index), { "aria-label": t("Remove {name}", { name: each.name }) })]),
        h("dl", { class: "facts" }, [...kind.facts(each), ...Object.entries(each).filter(([name]) => !kind.shown.includes(name)).map(([name, value]) => [h("code", {}, name), typeof value === "string" ? value : JSON.stringify(value)])].filter(([, value]) => value !== "").map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
        h("details", {}, h("summary", {}, "JSON"), h("pre", { tabindex: "0" }, JSON.stringify(each, null, 2))))));
  }

  function edit(definition, index) {
    const text = h("textarea", { name: "json", rows: 16, spellcheck: "false", class: "source", required: true, value: JSON.stringify(definition, null, 2) });
    const { version } = workspace;
    dialog(t("{name} as JSON", { name: definition.name }), field(t("Definition"), text, t("Fields: {file}", { file: kind.help })), t("Save"), async (data) => {
      const list = [...workspace[kind.field]];
      list[index] = parse(String(data.get("json")));
      await change(load, workspacePath(id), { version }, { body: { [kind.field]: list } });
    });
  }

  function remove(index) {
    const { name } = workspace[kind.field][index];
    const list = workspace[kind.field].filter((_, place) => place !== index);
    const { version } = workspace;
    dialog(t("Remove {name}?", { name }), h("p", {}, kind.removal), t("Remove"), () => change(load, workspacePath(id), { version }, { body: { [kind.field]: list } }));
  }

  await load();
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(t("This is not valid JSON: {reason}", { reason: error.message }));
  }
}
