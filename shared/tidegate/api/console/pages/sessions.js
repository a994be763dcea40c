// Sessions of a workspace, and one session as a tree: its agents and their calls, with costs.

import { append, h, replace } from "./dom.js";
import { read } from "./api.js";
import { loading } from "./admin.js";
import { address, button, changed, code, hint } from "./parts.js";
import { modelOf, status } from "./calls.js";
import { firstCall } from "./signin.js";
import { workspaceOf } from "./session.js";
import { clock, compact, dateTime, money, percent, seconds, t, whole } from "./text.js";

const RANGES = { "24h": 1, "7d": 7, "30d": 30 };
const FIRST_CALLS = 200;
const OPEN_CALLS = 50; // with more of them, agents are closed at first

export async function showSessions(main, context) {
  if (context.id) return showSession(main, context);
  const { query, go, signal } = context;
  const workspace = workspaceOf(query);
  const range = query.get("range") in RANGES ? query.get("range") : "24h";
  const order = h("select", { "aria-label": t("Order"), change: () => go("sessions", changed(query, { order: order.value })) },
    [["cost", t("the dearest first")], ["calls", t("the most calls first")], ["recent", t("the newest first")]].map(([value, label]) => h("option", { value }, label)));
  order.value = query.get("order") ?? "cost";
  const body = h("div", {}, loading());
  replace(main, h("h1", {}, t("Sessions")), h("div", { class: "row controls" }, Object.keys(RANGES).map((name) =>
    h("a", { class: "choice", href: address("sessions", changed(query, { range: name })), "aria-current": name === range ? "true" : null }, name)), order), body);
  if (!workspace) return replace(body, hint(t("This key may not see any workspace.")));
  const from = new Date(Date.now() - RANGES[range] * 86_400_000).toISOString();
  const found = await read("console", "/sessions", { query: { workspace, from, order: order.value || "cost" }, signal });
  if (found.data.length === 0) return replace(body, hint(t("No sessions in this range."),
    h("p", {}, t("A session groups the calls of one task. Callers name it in the header x-session-id, and an agent in x-claude-code-agent-id; Claude Code does so by itself.")),
    code(firstCall().replace("-H 'Content", "-H 'x-session-id: review-42' -H 'Content"))));
  const rest = (name, sums) => sums && [h("span", { class: "quiet" }, name), figures(sums), "", ""].flat();
  replace(body, sumTable([t("Session"), t("Cost"), t("Calls"), t("Failed"), t("Tokens"), t("Last call"), t("Models")], [
    ...found.data.map((row) => [h("a", { href: address(`sessions/${encodeURIComponent(row.session_id)}`, { workspace }) }, row.session_id),
      ...figures(row), clock(row.last_at), row.models.map((model) => model.name ?? model).join(", ")]),
    rest(t("{count} more sessions", { count: found.more || "…" }), found.other), rest(t("Calls without a session"), found.without_session)].filter(Boolean)));
}

const figures = (row) => [money(row.cost_usd), whole(row.calls), row.calls ? percent(row.failed / row.calls) : "–", compact(row.tokens ?? row.input_tokens + row.output_tokens)];

function sumTable(headings, rows) {
  return h("div", { class: "scroll" }, h("table", { class: "figures" },
    h("thead", {}, h("tr", {}, headings.map((heading) => h("th", { scope: "col" }, heading)))),
    h("tbody", {}, rows.map(([first, ...cells]) => h("tr", {}, h("th", { scope: "row" }, first), cells.map((cell) => h("td", {}, cell)))))));
}

async function showSession(main, { query, id, signal }) {
  const workspace = workspaceOf(query);
  const back = h("p", {}, h("a", { href: address("sessions", { workspace }) }, `← ${t("Sessions")}`));
  const body = h("div", {}, loading());
  replace(main, back, h("h1", {}, id), body);
  const load = async (cursor) => {
    const found = await read("console", `/sessions/${encodeURIComponent(id)}`, { query: { workspace, ...(cursor ? { cursor } : {}) }, signal });
    const total = found.total ?? found;
    replace(body,
      h("dl", { class: "cards" }, [
        [t("Cost"), money(total.cost_usd)], [t("Calls"), whole(total.calls)], [t("Failed"), whole(total.failed)],
        [t("Tokens"), compact(total.tokens ?? total.input_tokens + total.output_tokens)],
        [t("Agents"), whole(found.agents.length)],
      ].map(([name, value]) => h("div", { class: "card panel" }, h("dt", {}, name), h("dd", {}, value)))),
      found.started && h("p", { class: "quiet" }, `${dateTime(found.started)} – ${dateTime(found.ended)}`),
      found.errors?.length > 0 && h("p", {}, `${t("Errors")}: `, found.errors.map((error) => h("a", { class: "chip", href: address("calls", { workspace, session: id, error: error.name }) }, `${error.name} · ${error.calls}`))),
      h("p", {}, h("a", { href: address("calls", { workspace, session: id }) }, t("All calls of this session, live and to filter"))),
      h("ul", { class: "tree" }, h("li", {}, h("strong", {}, id), h("ul", {}, found.agents.map((agent) => branch(agent, workspace, found.calls <= OPEN_CALLS))))),
      found.next_cursor && button(t("Show older calls"), () => load(found.next_cursor)));
  };
  await load("");
}

function branch(agent, workspace, isOpen) {
  const calls = agent.calls_listed;
  const content = h("div", {});
  const show = (number) => replace(content, sumTable(
    [t("Call"), t("Status"), t("Model"), t("Tokens"), t("Cost"), t("First token"), t("Duration")],
    calls.slice(0, number).map((call) => [
      h("a", { href: address(`calls/${encodeURIComponent(call.id)}`, { workspace }), title: dateTime(call.time) }, clock(call.time)), status(call), modelOf(call),
      call.input_tokens === null ? "–" : `${whole(call.input_tokens)} → ${whole(call.output_tokens)}`, money(call.cost_usd), seconds(call.first_event_seconds), seconds(call.seconds)])),
  number < calls.length && button(t("Show all {count}", { count: calls.length }), () => show(calls.length)));
  const details = h("details", { open: isOpen, toggle: () => details.open && !content.firstChild && show(FIRST_CALLS) },
    h("summary", {}, h("strong", {}, agent.agent_id ?? t("without an agent")), " ", h("span", { class: "quiet" },
      [t("{count} calls", { count: whole(agent.calls) }), money(agent.cost_usd), agent.failed > 0 && t("{count} failed", { count: whole(agent.failed) })].filter(Boolean).join(" · "))));
  if (isOpen) show(FIRST_CALLS);
  return h("li", {}, append(details, [content]));
}
