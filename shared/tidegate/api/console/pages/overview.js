// The overview: figures of a range, charts over time, budgets, and rows by name. All choices are in the address.

import { h, replace, sized } from "./dom.js";
import { read } from "./api.js";
import { budgetBars } from "./budgets.js";
import { timeChart } from "./chart.js";
import { address, button, changed, code, hint } from "./parts.js";
import { rangeLinks, rangeOf } from "./ranges.js";
import { session } from "./session.js";
import { firstCall } from "./signin.js";
import { compact, money, percent, seconds, t, whole } from "./text.js";

const RANGES = ["today", "yesterday", "24h", "7d", "30d", "90d", "month", "last_month"];
const DEFAULT_RANGE = "24h";
const FILTERS = ["model", "provider", "key", "app", "endpoint", "session", "status", "error"];
const FIRST_ROWS = 10;

const titles = () => ({
  model: t("Model"), provider: t("Provider"), key: t("Key"), app: t("App"), endpoint: t("Endpoint"),
  session: t("Session"), status: t("Status"), error: t("Error"),
});

export async function showOverview(main, { query, go, every, signal }) {
  const content = h("div", { "aria-live": "off" }, h("p", { class: "quiet" }, t("Loading…")));
  replace(main, h("h1", {}, t("Overview")), controls(query, go), content);
  const load = async () => {
    const found = await read("console", "/overview", { query: parameters(query), signal });
    const { by = query.get("by") ?? "model", order = "cost_usd" } = content.querySelector("[data-by]")?.dataset ?? {};
    replace(content, ...sections(found, query, by, order));
  };
  await load();
  every(30, load);
}

function parameters(query) {
  const names = ["workspace", ...FILTERS].filter((name) => query.get(name) !== null);
  return { ...Object.fromEntries(names.map((name) => [name, query.get(name)])), ...rangeOf(query, DEFAULT_RANGE) };
}

function controls(query, go) {
  const date = (name, label) => h("input", { type: "date", "aria-label": label, value: (query.get(name) ?? "").slice(0, 10),
    change: (event) => {
      const day = event.target.value && new Date(event.target.value);
      const end = name === "to" && day ? new Date(day.getTime() + 86_400_000) : day;
      go("overview", changed(query, { range: null, [name]: end && end.toISOString() }));
    } });
  const chips = FILTERS.filter((name) => query.has(name)).map((name) =>
    h("a", { class: "chip", href: address("overview", changed(query, { [name]: null })), title: t("Remove this filter") },
      `${titles()[name]}: ${query.get(name) || t("(none)")} ✕`));
  return h("div", { class: "row controls" }, rangeLinks("overview", query, RANGES, DEFAULT_RANGE), date("from", t("From")), date("to", t("To")), chips);
}

function sections(found, query, dimension, order) {
  const { totals, series, step } = found;
  const budgets = found.budgets.length > 0 && budgetSection(found.budgets);
  if (totals.calls === 0) {
    const isFiltered = FILTERS.some((name) => query.has(name));
    return [hint(isFiltered ? t("No calls match these filters.") : t("No calls in this range yet."),
      h("p", {}, t("Make one, with the key in the variable KEY. It appears here a few seconds later, on AWS within five minutes.")),
      code(firstCall())), budgets];
  }
  const values = (name) => series.map((point) => point[name] === null ? null : Number(point[name]));
  const chart = (title, kind, format, ...lines) => timeChart({ title, points: series, step, kind, format,
    series: lines.map(([name, list]) => ({ name, values: list })) });
  const failed = values("failed");
  return [
    h("dl", { class: "cards" }, cards(totals, query).map(([name, value, note]) =>
      h("div", { class: "card panel" }, h("dt", {}, name), h("dd", {}, value), note && h("dd", { class: "quiet" }, note)))),
    budgets,
    h("div", { class: "charts" },
      chart(t("Spend"), "bars", money, [t("Cost"), values("cost_usd")]),
      chart(t("Calls"), "bars", compact, [t("Answered"), values("calls").map((calls, index) => calls - failed[index])], [t("Failed"), failed]),
      chart(t("Tokens"), "bars", compact, [t("Input"), values("input_tokens")], [t("Output"), values("output_tokens")]),
      chart(t("Words"), "bars", compact, [t("Words"), values("words")]),
      chart(t("Time to the first token"), "lines", seconds, [t("median"), values("ttft_p50")], ["95 %", values("ttft_p95")]),
      chart(t("Duration"), "lines", seconds, [t("median"), values("duration_p50")], ["95 %", values("duration_p95")])),
    rowSection(found.by, query, dimension, order),
  ];
}

const cards = (totals, query) => [
  [t("Spend"), money(totals.cost_usd), [totals.unpriced ? [t("{count} calls without a price", { count: whole(totals.unpriced) }), h("br")] : null,
    h("a", { href: address("reprice", kept(query, ["workspace", "range", "from", "to"])) }, t("on other models"))]],
  [t("Calls"), compact(totals.calls)],
  [t("Failed"), percent(totals.failed / totals.calls), totals.failed > 0 && isOneWorkspace(query)
    ? h("a", { href: address("calls", { ...kept(query, ["workspace", "model", "key", "app", "session", "error", "range", "from", "to"]), ...(query.get("range") || query.get("from") ? {} : { range: DEFAULT_RANGE }), status: "failed" }) }, t("{count} calls", { count: whole(totals.failed) }))
    : t("{count} calls", { count: whole(totals.failed) })],
  [t("Tokens"), compact(totals.input_tokens + totals.output_tokens), t("{input} in, {output} out", { input: compact(totals.input_tokens), output: compact(totals.output_tokens) })],
  [t("Words"), compact(totals.words)],
  [t("Cached"), percent(totals.cached / totals.calls), t("{share} of input at the provider", { share: percent(totals.input_tokens ? totals.cached_tokens / totals.input_tokens : 0) })],
  [t("First token"), seconds(totals.ttft_p50), t("95 %: {time}", { time: seconds(totals.ttft_p95) })],
  [t("Duration"), seconds(totals.duration_p50), t("95 %: {time}", { time: seconds(totals.duration_p95) })],
];

const budgetSection = (budgets) => h("section", {}, h("h2", {}, t("Budgets")), budgetBars(budgets));

const kept = (query, names) => Object.fromEntries(names.filter((name) => query.get(name)).map((name) => [name, query.get(name)]));
const isOneWorkspace = (query) => query.has("workspace") || session.me.workspaces.length < 2;

// The columns of figures: their names in a row, their titles, and how they are written.
const columns = () => [
  ["cost_usd", t("Cost"), money], ["calls", t("Calls"), whole], ["failed", t("Failed"), percent], ["tokens", t("Tokens"), compact], ["words", t("Words"), compact],
  ["ttft_p50", t("First token"), seconds], ["ttft_p95", t("First token, 95 %"), seconds], ["duration_p50", t("Duration"), seconds],
];
const FIGURES = {
  cost_usd: (row) => Number(row.cost_usd), failed: (row) => (row.calls ? row.failed / row.calls : 0), tokens: (row) => row.input_tokens + row.output_tokens,
};
const figure = (row, name) => (FIGURES[name] ? FIGURES[name](row) : row[name]);

function rowSection(by, query, dimension, column) {
  const section = h("section", {});
  const show = (name, all) => {
    Object.assign(section.dataset, { by: name, order: column });
    const rows = [...(by[name] ?? [])].sort((one, other) => (figure(other, column) ?? -1) - (figure(one, column) ?? -1));
    const top = Math.max(...rows.map((row) => Number(row.cost_usd)), 0);
    const most = Math.max(...rows.map((row) => row.calls), 1);
    const shown = all ? rows : rows.slice(0, FIRST_ROWS);
    replace(section,
      h("h2", {}, t("By name")),
      h("div", { class: "row", role: "group", "aria-label": t("By name") }, FILTERS.map((each) =>
        button(titles()[each], () => show(each), { class: "choice", "aria-pressed": String(each === name) }))),
      rows.length === 0 ? h("p", { class: "quiet" }, t("Nothing to list here.")) : h("div", { class: "scroll" },
        h("table", { class: "figures" },
          h("thead", {}, h("tr", {}, h("th", { scope: "col" }, titles()[name]), columns().map(([key, heading]) => h("th", { scope: "col", "aria-sort": key === column ? "descending" : null },
            button(heading, () => { column = key; show(name, all); section.querySelector("[aria-sort] button").focus(); }, { class: "order", title: t("The largest first") }))))),
          h("tbody", {}, shown.map((row) => h("tr", {},
            h("th", { scope: "row" }, nameLink(name, row.name, query),
              sized(h("i", { class: "share s0", "aria-hidden": "true" }), { width: `${top > 0 ? 100 * Number(row.cost_usd) / top : 100 * row.calls / most}%` })),
            columns().map(([key, , format]) => h("td", {}, format(figure(row, key))))))))),
      shown.length < rows.length && button(t("Show all {count}", { count: rows.length }), () => show(name, true)));
  };
  show(dimension);
  return section;
}

function nameLink(dimension, name, query) {
  if (name === "other") return t("other");
  const label = name || t("(none)");
  const calls = ["endpoint", "provider"].includes(dimension) || !name ? null
    : h("a", { class: "quiet", href: address("calls", { ...kept(query, ["workspace", "range", "from", "to"]), [dimension]: name }) }, t("calls"));
  return [h("a", { href: address("overview", changed(query, { [dimension]: name || null, by: dimension })) }, label), " ", calls];
}
