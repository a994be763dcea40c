// Limits of a key, a workspace or a plan: how they are shown, and the fields that change them.

import { h } from "./dom.js";
import { field } from "./parts.js";
import { t, whole } from "./text.js";

export const limitNames = () => ({
  usd_per_month: t("USD a month"), usd_per_day: t("USD a day"), requests_per_minute: t("Requests a minute"), parallel_calls: t("Parallel calls"),
  tokens_per_minute: t("Tokens a minute"), tokens_per_day: t("Tokens a day"), tokens_per_month: t("Tokens a month"),
  words_per_day: t("Words a day"), words_per_month: t("Words a month"), models: t("Models"), providers: t("Providers"),
});
const LISTS = new Set(["models", "providers"]);
const MONEY = new Set(["usd_per_month", "usd_per_day"]);

export const limitValue = (name, value) => (Array.isArray(value) ? value.join(", ") : MONEY.has(name) ? value : whole(value));

export function limitSummary(limits) {
  const listed = Object.entries(limits).map(([name, value]) => `${limitNames()[name] ?? name}: ${limitValue(name, value)}`);
  return listed.length ? listed.join("; ") : t("no limits");
}

export function limitFields(limits) {
  return h("div", { class: "limits" }, Object.entries(limitNames()).map(([name, label]) => {
    const value = limits[name] ?? "";
    return field(label, LISTS.has(name)
      ? h("input", { name, value: Array.isArray(value) ? value.join(", ") : value, placeholder: "openai/*" })
      : h("input", { name, value, inputmode: MONEY.has(name) ? "decimal" : "numeric", placeholder: t("no limit") }));
  }));
}

// An empty field means no limit. Money stays text: a number would round it.
export function limitsFrom(data) {
  return Object.fromEntries(Object.keys(limitNames()).map((name) => {
    const text = String(data.get(name) ?? "").trim();
    if (!text) return [name, null];
    if (LISTS.has(name)) return [name, text.split(",").map((part) => part.trim()).filter(Boolean)];
    return [name, MONEY.has(name) ? text : Number(text)];
  }));
}
