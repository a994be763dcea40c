// What the calls of a range would have cost on other models: their tokens at list prices.

import { h, replace, sized } from "./dom.js";
import { read } from "./api.js";
import { loading } from "./admin.js";
import { address, figureTable, hint } from "./parts.js";
import { rangeLinks, rangeOf } from "./ranges.js";
import { workspaceOf } from "./session.js";
import { compact, money, percent, t, whole } from "./text.js";

const RANGES = ["24h", "7d", "30d", "month", "last_month"];
const DEFAULT_RANGE = "month";
const MOST_MODELS = 20;

export async function showReprice(main, { query, go, signal }) {
  const workspace = workspaceOf(query);
  const models = query.getAll("model").slice(0, MOST_MODELS);
  const body = h("div", {}, loading());
  replace(main, h("h1", {}, t("Other models")),
    h("p", { class: "quiet" }, t("What the calls of this range would have cost, had one model answered them all.")),
    h("div", { class: "row controls" }, rangeLinks("reprice", query, RANGES, DEFAULT_RANGE), modelForm(query, go, models, signal)), body);
  if (!workspace) return replace(body, hint(t("This key may not see any workspace.")));

  const find = (named) => read("console", "/reprice", { query: parameters(query, workspace, named), signal });
  let found = await find(models);
  if (found.calls === 0) return replace(body, hint(t("No calls in this range yet."), h("p", {}, t("Choose a longer range, or another workspace."))));
  // Without a choice, the models that have answered are compared with each other.
  const used = found.recorded.map((each) => each.model).filter((name) => name.includes("/"));
  if (models.length === 0 && used.length > 0) found = await find(used.slice(0, MOST_MODELS));
  replace(body, sections(found, query, models));
}

function parameters(query, workspace, models) {
  const chosen = new URLSearchParams({ ...rangeOf(query, DEFAULT_RANGE), workspace });
  models.forEach((model) => chosen.append("model", model));
  return chosen;
}

function withModels(query, models) {
  const copy = new URLSearchParams(query);
  copy.delete("model");
  models.forEach((model) => copy.append("model", model));
  return copy;
}

function modelForm(query, go, models, signal) {
  const names = h("datalist", { id: "priced-models" });
  read("gateway", "/public/models", { signal }).then((found) => replace(names, found.map(({ id, pricePerMillionTokens: price }) =>
    h("option", { value: id }, price ? t("{input} in, {output} out", { input: money(price.input), output: money(price.output) }) : "")))).catch(() => replace(names));
  const input = h("input", { list: "priced-models", required: true, autocomplete: "off", "aria-label": t("Model"), placeholder: "openai/gpt-4.1-nano" });
  return h("form", { class: "row", submit: (event) => {
    event.preventDefault();
    go("reprice", withModels(query, [...new Set([...models, input.value.trim()])]));
  } }, input, names, h("button", { type: "submit", class: "primary" }, t("Compare")),
  models.map((model) => h("a", { class: "chip", href: address("reprice", withModels(query, models.filter((each) => each !== model))), title: t("Remove this model") }, `${model} ✕`)));
}

function sections(found, query, models) {
  const paid = Number(found.cost_usd);
  const rows = [...found.models].sort((one, other) => Number(one.cost_usd ?? Infinity) - Number(other.cost_usd ?? Infinity));
  const most = Math.max(paid, ...rows.map((row) => Number(row.cost_usd ?? 0)));
  const bar = (amount) => sized(h("i", { class: "share s0", "aria-hidden": "true" }), { width: `${most > 0 ? 100 * amount / most : 0}%` });
  const tokens = found.tokens.input + found.tokens.output;
  return [
    h("dl", { class: "cards" }, [[t("Charged"), money(paid)], [t("Calls"), whole(found.calls)], [t("Tokens"), compact(tokens)]].map(([name, value]) =>
      h("div", { class: "card panel" }, h("dt", {}, name), h("dd", {}, value)))),
    figureTable([t("All calls on"), t("Cost"), t("Difference"), ""], [
      [[h("strong", {}, t("the models that answered")), bar(paid)], money(paid), "", ""],
      ...rows.map((row) => row.cost_usd === null
        ? [row.model, "–", row.problem === "no_price" ? t("without a price") : t("unknown"), ""]
        : [[row.model, bar(Number(row.cost_usd))], money(row.cost_usd), signed(Number(row.difference_usd), money), paid > 0 ? signed(Number(row.difference_usd) / paid, percent) : ""])]),
    models.length === 0 && h("p", { class: "quiet" }, t("These models have answered in this range. Add any other one above.")),
    h("h2", {}, t("What was charged")),
    figureTable([t("Model"), t("Calls"), t("Tokens"), t("Charged"), t("List price")], found.recorded.map((each) =>
      [each.model, whole(each.calls), compact(each.tokens.input + each.tokens.output), money(each.cost_usd), money(each.list_cost_usd)])),
    h("h2", {}, t("What these amounts do not tell")),
    h("ul", {}, found.cautions.map((caution) => h("li", {}, caution.message))),
  ];
}

const signed = (amount, format) => `${amount > 0 ? "+" : amount < 0 ? "−" : ""}${format(Math.abs(amount))}`;
