// Ranges of time with a name, as links. Days and months are those of budgets and sums: in UTC.

import { h } from "./dom.js";
import { address, changed } from "./parts.js";
import { t } from "./text.js";

const HOUR = 3_600_000;
const names = () => ({ today: t("Today"), yesterday: t("Yesterday"), month: t("This month"), last_month: t("Last month") });

function begin(now, days, months = null) {
  const day = new Date(now);
  return Date.UTC(day.getUTCFullYear(), day.getUTCMonth() + (months ?? 0), months === null ? day.getUTCDate() + days : 1);
}

const SPANS = {
  today: (now) => [begin(now, 0)], yesterday: (now) => [begin(now, -1), begin(now, 0)],
  month: (now) => [begin(now, 0, 0)], last_month: (now) => [begin(now, 0, -1), begin(now, 0, 0)],
  "24h": (now) => [now - 24 * HOUR], "7d": (now) => [now - 7 * 24 * HOUR], "30d": (now) => [now - 30 * 24 * HOUR], "90d": (now) => [now - 90 * 24 * HOUR],
};

// The range that the address names: a name, or its own `from` and `to`.
export function rangeOf(query, usual) {
  const own = ["from", "to"].filter((name) => query.get(name)).map((name) => [name, query.get(name)]);
  if (own.length > 0) return Object.fromEntries(own);
  const span = SPANS[query.get("range")] ?? SPANS[usual];
  const [from, to] = span ? span(Date.now()) : [];
  return { ...(from ? { from: new Date(from).toISOString() } : {}), ...(to ? { to: new Date(to).toISOString() } : {}) };
}

export function rangeLinks(page, query, offered, usual) {
  const current = query.get("from") || query.get("to") ? null : query.get("range") in SPANS ? query.get("range") : usual;
  return offered.map((name) => h("a", {
    class: "choice", href: address(page, changed(query, { range: name === current && name !== usual ? null : name, from: null, to: null })),
    "aria-current": name === current ? "true" : null, title: name in names() ? t("In UTC, as budgets") : null,
  }, names()[name] ?? name));
}
