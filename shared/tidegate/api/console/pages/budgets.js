// Budgets as bars: what is used, what running calls hold, what remains, and until when.

import { h, sized } from "./dom.js";
import { compact, dateMinute, money, t } from "./text.js";

export const budgetBars = (budgets) => h("div", { class: "budgets" }, budgets.map((budget) => {
  const amount = budget.unit === "usd" ? money : compact;
  const limit = Number(budget.limit), used = Number(budget.used), held = Number(budget.held);
  const share = (part) => `${limit > 0 ? Math.min(100, 100 * part / limit) : 100}%`;
  const time = dateMinute(budget.resets_at);
  const unit = { usd: "USD", tokens: t("Tokens"), words: t("Words") }[budget.unit];
  const span = { day: t("a day"), month: t("a month") }[budget.span];
  return h("div", { class: "panel" },
    h("p", {}, h("strong", {}, `${unit} ${span}`), " ", h("span", { class: "quiet" }, budget.id)),
    h("div", { class: "bar", role: "meter", "aria-label": `${unit} ${span}`, "aria-valuemin": 0, "aria-valuemax": limit, "aria-valuenow": Math.min(used + held, limit) },
      sized(h("i", { class: used + held >= 0.9 * limit ? "full" : "s0" }), { width: share(used) }),
      sized(h("i", { class: "held" }), { width: share(Math.min(held, limit - used)) })),
    h("p", {}, t("{remaining} of {limit} remain. Resets {time}.", { remaining: amount(budget.remaining), limit: amount(budget.limit), time }),
      held > 0 && h("small", {}, t("{held} of it held by running calls", { held: amount(budget.held) }))));
}));
