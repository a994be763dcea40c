// Sessions of a workspace, and one session as a tree: its agents and their calls, with costs.

import { append, h, replace } from "./dom.js";
import { read } from "./api.js";
import { loading } from "./admin.js";
import { address, button, changed, code, figureTable, hint } from "./parts.js";
import { modelOf, status } from "./calls.js";
import { rangeLinks, rangeOf } from "./ranges.js";
import { firstCall } from "./signin.js";
import { workspaceOf } from "./session.js";
import { clock, compact, dateTime, moment, money, percent, seconds, t, whole } from "./text.js";

const RANGES = ["today", "yesterday", "24h", "7d", "30d"];
const DEFAULT_RANGE = "24h";
const FIRST_CALLS = 200;
const OPEN_CALLS = 50; // with more of them, agents are closed at first

export async function showSessions(main, context) {
  if (context.id) return showSession(main, context);
  const { query, go, signal } = context;
  const workspace = workspaceOf(query);
  const order = h("select", { "aria-label": t("Order"), change: () => go("sessions", changed(query, { order: order.value })) },
    [["cost", t("the dearest first")], ["calls", t("the most calls first")], ["recent", t("the newest first")]].map(([value, label]) => h("option", { value }, label)));
  order.value = query.get("order") ?? "cost";
  const body = h("div", {}, loading());
  replace(main, h("h1", {}, t("Sessions")), h("div", { class: "row controls" }, rangeLinks("sessions", query, RANGES, DEFAULT_RANGE), order), body);
  if (!workspace) return replace(body, hint(t("This key may not see any workspace.")));
  const found = await read("console", "/sessions", { query: { workspace, ...rangeOf(query, DEFAULT_RANGE), order: order.value || "cost" }, signal });
  if (found.data.length === 0) return replace(body, hint(t("No sessions in this range."),
    h("p", {}, t("A session groups the calls of one task. Callers name it in the header x-session-id, and an agent in x-claude-code-agent-id; Claude Code does so by itself.")),
    code(firstCall().replace("-H 'Content", "-H 'x-session-id: review-42' -H 'Content"))));
  const rest = (name, sums) => sums && [h("span", { class: "quiet" }, name), figures(sums), "", ""].flat();
  replace(body, figureTable([t("Session"), t("Cost"), t("Calls"), t("Failed"), t("Tokens"), found.step === "day" ? t("Day of the last call") : t("Hour of the last call"), left(t("Models"))], [
    ...found.data.map((row) => [h("a", { href: address(`sessions/${encodeURIComponent(row.session_id)}`, { workspace }) }, row.session_id),
      ...figures(row), moment(row.last_at, found.step, true), names(row.models)]),
    rest(t("{count} more sessions", { count: found.more || "…" }), found.other), rest(t("Calls without a session"), found.without_session)].filter(Boolean)));
}

const left = (content) => h("span", { class: "names" }, content);
const names = (models) => left(models.map((name, index) => [h("span", {}, index < models.length - 1 ? `${name},` : name), " "]));

const figures = (row) => [money(row.cost_usd), whole(row.calls), row.calls ? percent(row.failed / row.calls) : "–", compact(row.tokens ?? row.input_tokens + row.output_tokens)];

async function showSession(main, { query, id, signal }) {
  const workspace = workspaceOf(query);
  const back = h("p", {}, h("a", { href: address("sessions", { workspace }) }, `← ${t("Sessions")}`));
  const body = h("div", {}, loading());
  replace(main, back, h("h1", {}, id), body);
  let agents = [], started = null, ended = null;
  const errors = new Map();
  const load = async (cursor) => {
    const found = await read("console", `/sessions/${encodeURIComponent(id)}`, { query: { workspace, ...(cursor ? { cursor } : {}) }, signal });
    agents = withOlder(agents, found.agents);
    [started, ended] = [found.started ?? started, ended ?? found.ended];
    for (const { name, calls } of found.errors ?? []) errors.set(name, (errors.get(name) ?? 0) + calls);
    const listed = agents.reduce((sum, agent) => sum + agent.calls, 0);
    const total = found.total ?? sumOf(agents);
    replace(body,
      h("dl", { class: "cards" }, [
        [t("Cost"), money(total.cost_usd)], [t("Calls"), whole(total.calls)], [t("Failed"), whole(total.failed)],
        [t("Tokens"), compact(total.tokens ?? total.input_tokens + total.output_tokens)], [t("Agents"), whole(agents.length)],
      ].map(([name, value]) => h("div", { class: "card panel" }, h("dt", {}, name), h("dd", {}, value)))),
      started && h("p", { class: "quiet" }, `${dateTime(started)} – ${dateTime(ended)}`),
      errors.size > 0 && h("p", {}, `${t("Errors")}: `, [...errors].map(([name, calls]) => [h("a", { class: "chip", href: address("calls", { workspace, session: id, error: name }) }, `${name} · ${whole(calls)}`), " "])),
      h("p", {}, h("a", { href: address("calls", { workspace, session: id }) }, t("All calls of this session, live and to filter"))),
      h("ul", { class: "tree" }, h("li", {}, h("strong", {}, id), branches(agents, workspace, listed <= OPEN_CALLS))),
      found.next_cursor && h("div", { class: "row" }, button(t("Show older calls"), () => load(found.next_cursor)), h("span", { class: "quiet" }, t("Calls since {time} are listed.", { time: dateTime(found.searched_since) }))),
      !found.next_cursor && found.searched_since && h("p", { class: "quiet" }, t("Calls since {time} were looked up.", { time: dateTime(found.searched_since) })),
      found.hours_left_out > 0 && h("p", { class: "quiet" }, t("{count} hours were left out: they have too many sessions to name all, and are far from the hours of this one.", { count: whole(found.hours_left_out) })));
  };
  await load("");
}

// The agents of a page and of those before it, which have newer calls. The dearest agent comes first.
function withOlder(newer, older) {
  const merged = new Map(newer.map((agent) => [agent.agent_id, agent]));
  for (const agent of older) {
    const known = merged.get(agent.agent_id);
    merged.set(agent.agent_id, known ? { ...sumOf([agent, known]), agent_id: agent.agent_id, parent_agent_id: agent.parent_agent_id ?? known.parent_agent_id, calls_listed: [...agent.calls_listed, ...known.calls_listed] } : agent);
  }
  return [...merged.values()].sort((one, other) => other.cost_usd - one.cost_usd);
}

const sumOf = (agents) => Object.fromEntries(["calls", "failed", "cost_usd", "tokens"].map((name) => [name, agents.reduce((sum, agent) => sum + Number(agent[name]), 0)]));

// Each agent below the one that has started it. Callers name both, so an agent may be above itself, or be missing.
function branches(agents, workspace, isOpen) {
  const placed = new Set();
  const listOf = (some) => some.length > 0 && h("ul", {}, some.map((agent) => {
    if (placed.has(agent)) return false;
    placed.add(agent);
    const item = branch(agent, workspace, isOpen);
    return append(item, [listOf(agents.filter((other) => !placed.has(other) && other.parent_agent_id && other.parent_agent_id === agent.agent_id))]);
  }));
  const known = new Set(agents.map((agent) => agent.agent_id));
  const top = agents.filter((agent) => !agent.parent_agent_id || !known.has(agent.parent_agent_id));
  return [listOf(top), listOf(agents.filter((agent) => !placed.has(agent)))];
}

function branch(agent, workspace, isOpen) {
  const calls = agent.calls_listed;
  const content = h("div", {});
  const show = (number) => replace(content, figureTable(
    [t("Call"), left(t("Status")), left(t("Model")), t("Tokens"), t("Cost"), t("First token"), t("Duration")],
    calls.slice(0, number).map((call) => [
      h("a", { href: address(`calls/${encodeURIComponent(call.id)}`, { workspace }), title: dateTime(call.time) }, clock(call.time)), left(status(call)), left(modelOf(call)),
      call.input_tokens === null ? "–" : `${whole(call.input_tokens)} → ${whole(call.output_tokens)}`, money(call.cost_usd), seconds(call.first_event_seconds), seconds(call.seconds)])),
  number < calls.length && button(t("Show all {count}", { count: calls.length }), () => show(calls.length)));
  const details = h("details", { open: isOpen, toggle: () => details.open && !content.firstChild && show(FIRST_CALLS) },
    h("summary", {}, h("strong", {}, agent.agent_id ?? t("without an agent")), " ", h("span", { class: "quiet" },
      [t("{count} calls", { count: whole(agent.calls) }), money(agent.cost_usd), agent.failed > 0 && t("{count} failed", { count: whole(agent.failed) })].filter(Boolean).join(" · "))));
  if (isOpen) show(FIRST_CALLS);
  return h("li", {}, append(details, [content]));
}
