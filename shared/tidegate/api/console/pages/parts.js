// Parts that several pages use: panels of errors and hints, dialogs, links that keep the address.

import { append, h, replace } from "./dom.js";
import { t } from "./text.js";

export function address(page, query) {
  const search = query instanceof URLSearchParams ? query.toString() : new URLSearchParams(query ?? {}).toString();
  return `#/${page}${search ? `?${search}` : ""}`;
}

export function changed(query, changes) {
  const copy = new URLSearchParams(query);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") copy.delete(name);
    else copy.set(name, value);
  }
  return copy;
}

export const button = (label, click, properties) => h("button", { type: "button", click, ...properties }, label);

export function errorPanel(error, retry) {
  const advice = {
    0: retry && t("The page tries again when you press the button."),
    403: t("This key may not do this. Sign in with another key, or ask your operator."),
    412: t("Somebody changed it meanwhile. Close this, look at the new state, and repeat your change."),
    404: t("It does not exist, or this key may not see it. Check the workspace above."),
    429: t("There were too many requests. Wait a moment, then try again."),
  }[error.status];
  return h("div", { class: "panel error", role: "alert" },
    h("p", {}, error.message), error.param && h("p", {}, t("Field:"), " ", h("code", {}, error.param)), advice && h("p", {}, advice), retry && button(t("Try again"), retry));
}

export const hint = (title, ...children) => h("div", { class: "panel hint" }, h("h2", {}, title), children);

export function code(text) {
  const done = h("span", { class: "quiet", role: "status" });
  return h("div", { class: "code" }, h("pre", { tabindex: "0" }, text), copyButton(t("Copy"), () => text, done), done);
}

export function copyButton(label, text, status) {
  return button(label, async () => {
    try {
      await navigator.clipboard.writeText(text());
      status.textContent = t("Copied");
    } catch {
      status.textContent = t("Select the text and copy it.");
    }
  });
}

export function table(headings, rows, caption) {
  return h("div", { class: "scroll", tabindex: "0" },
    h("table", {},
      caption && h("caption", {}, caption),
      h("thead", {}, h("tr", {}, headings.map((heading) => h("th", { scope: "col" }, heading)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell) => h("td", {}, cell)))))));
}

// A table of figures: the first cell of a row is its name.
export const figureTable = (headings, rows) => h("div", { class: "scroll", tabindex: "0" }, h("table", { class: "figures" },
  h("thead", {}, h("tr", {}, headings.map((heading) => h("th", { scope: "col" }, heading)))),
  h("tbody", {}, rows.map(([name, ...cells]) => h("tr", {}, h("th", { scope: "row" }, name), cells.map((cell) => h("td", {}, cell)))))));

// A form in a dialog. `submit` gets the form's fields; its errors are shown in the dialog, which stays open if it returns
// false. A limit below what is used is refused, until the user insists: then `submit` gets the query that forces it.
export function dialog(title, content, confirm, submit) {
  const message = h("div", {});
  const opener = document.activeElement;
  const box = h("dialog", { "aria-label": title, close: () => {
    box.remove();
    if (!opener.isConnected) document.getElementById("main")?.focus(); // the list was loaded anew
  } });
  const run = async (query) => {
    replace(message);
    accept.disabled = true;
    try {
      if ((await submit(new FormData(form), query)) !== false) box.close();
    } catch (error) {
      replace(message, errorPanel(error), error.code === "limit_below_used" && button(t("Save all the same"), () => run({ force: true })));
    }
    accept.disabled = false;
  };
  const form = h("form", { submit: (event) => {
    event.preventDefault();
    run();
  } });
  const accept = h("button", { type: "submit", class: "primary" }, confirm);
  append(form, [h("h2", {}, title), content, message,
    h("div", { class: "row" }, accept, button(t("Close"), () => box.close()))]);
  box.append(form);
  document.body.append(box);
  box.showModal();
}

export const field = (label, input, note) => h("label", { class: "field" }, h("span", {}, label), input, note && h("small", {}, note));

export function choice(name, options, value) {
  const select = h("select", { name }, options.map(([word, label]) => h("option", { value: word }, label)));
  select.value = value;
  return select;
}
