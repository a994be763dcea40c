// Batches of a workspace: progress, cost, cancel, and the files of results.

import { h, replace, save, sized } from "./dom.js";
import { read, request } from "./api.js";
import { button, code, dialog, hint } from "./parts.js";
import { isAdmin, workspaceOf } from "./session.js";
import { dateTime, money, t, whole } from "./text.js";

const OPEN = new Set(["validating", "in_progress", "finalizing", "cancelling"]);
const PAGE = 50;

export async function showBatches(main, { query, every, signal }) {
  const body = h("div", {}, h("p", { class: "quiet" }, t("Loading…")));
  replace(main, h("h1", {}, t("Batches")), body);
  if (isAdmin()) return replace(body, hint(t("Batches belong to callers."), h("p", {}, t("Sign in with a virtual key to see the batches of its workspace."))));
  const headers = { "x-workspace-id": workspaceOf(query) };
  const note = h("p", { class: "quiet", role: "status" });
  let shown = "";

  const load = async () => {
    const { data } = await read("calls", "/batches", { query: { limit: PAGE }, headers, signal });
    const text = JSON.stringify(data);
    if (text === shown) return;
    shown = text;
    replace(body, note, data.length === 0 ? empty() : data.map((batch) => card(batch)));
  };

  const card = (batch) => {
    const { total, completed, failed } = batch.request_counts ?? { total: 0, completed: 0, failed: 0 };
    const share = (count) => `${total ? 100 * count / total : 0}%`;
    const fault = batch.errors?.data?.[0]?.message;
    return h("article", { class: "panel" },
      h("div", { class: "row" }, h("h2", {}, batch.id), h("span", { class: `status ${/^\w+$/.test(batch.status) ? batch.status : ""}` }, batch.status)),
      h("p", { class: "quiet" }, [batch.endpoint, batch.model, dateTime(new Date(batch.created_at * 1000).toISOString())].filter(Boolean).join(" · ")),
      h("div", { class: "bar", role: "progressbar", "aria-label": t("Progress"), "aria-valuemin": 0, "aria-valuemax": total, "aria-valuenow": completed + failed },
        sized(h("i", { class: "s0" }), { width: share(completed) }), sized(h("i", { class: "full" }), { width: share(failed) })),
      h("p", {}, t("{completed} of {total} lines answered, {failed} failed", { completed: whole(completed), total: whole(total), failed: whole(failed) }),
        batch.tidegate?.cost_usd ? ` · ${money(batch.tidegate.cost_usd)}` : ""),
      batch.tidegate?.pause && h("p", { class: "panel hint" }, t("Paused: {reason}", { reason: String(batch.tidegate.pause) })),
      fault && h("p", { class: "panel error" }, fault),
      h("div", { class: "row" },
        batch.output_file_id && download(t("Results"), batch.output_file_id),
        batch.error_file_id && download(t("Errors"), batch.error_file_id),
        OPEN.has(batch.status) && batch.status !== "cancelling" && button(t("Cancel"), () => cancel(batch.id))));
  };

  const download = (label, file) => button(`${label} (JSONL)`, async () => {
    try {
      const reply = await request("calls", `/files/${encodeURIComponent(file)}/content`, { headers });
      save(`${file}.jsonl`, await reply.blob());
    } catch (error) {
      note.textContent = error.message;
    }
  });
  const cancel = (id) => dialog(t("Cancel this batch?"), h("p", {}, t("Lines that are answered stay answered, and are paid.")), t("Cancel the batch"), async () => {
    await read("calls", `/batches/${encodeURIComponent(id)}/cancel`, { method: "POST", headers });
    await load();
  });

  await load();
  every(3, load);
}

const empty = () => hint(t("No batches yet."),
  h("p", {}, t("A batch answers each line of a file, in OpenAI's form, while you do something else.")),
  code("tidegate batch submit requests.jsonl --wait"));
