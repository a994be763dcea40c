// Builds elements. Values become text or attributes, never HTML: escaping is not something a page can forget.

const SVG = "http://www.w3.org/2000/svg";
const ADDRESSES = new Set(["href", "src", "action", "formaction"]);
const ADDRESS = /^(#|\.{0,2}\/|blob:|\w[\w./-]*(\?|$))/;
const IMAGE = /^data:image\/(png|jpe?g|gif|webp|avif);base64,/; // for images alone: a link could lead to such an address

export const h = (tag, properties, ...children) => fill(document.createElement(tag), properties, children);
export const svg = (tag, properties, ...children) => fill(document.createElementNS(SVG, tag), properties, children);

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else if (name.startsWith("on") || name === "style") throw new Error(`${name} is not an attribute that pages set`);
    else if (name === "value") element.value = value;
    else if (ADDRESSES.has(name) && !ADDRESS.test(value) && !(element.tagName === "IMG" && IMAGE.test(value))) continue;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

export function append(element, children) {
  for (const child of [children].flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

export function replace(element, ...children) {
  element.replaceChildren();
  return append(element, children);
}

// Lengths are set on the style object: the Content-Security-Policy refuses style attributes.
export function sized(element, styles) {
  for (const [name, value] of Object.entries(styles)) element.style.setProperty(name, value);
  return element;
}

export function save(name, blob) {
  const address = URL.createObjectURL(blob);
  const link = h("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
