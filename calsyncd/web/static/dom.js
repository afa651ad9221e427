// Elements of the page. What the daemon says goes in as text, never as HTML.

const SVG = "http://www.w3.org/2000/svg";

export const $ = (id) => document.getElementById(id);

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export const el = (tag, attributes = {}, ...children) => filled(document.createElement(tag), attributes, children);
export const svg = (tag, attributes = {}, ...children) => filled(document.createElementNS(SVG, tag), attributes, children);

// Draws only what is not drawn already, so that focus, selection and screen readers are left in peace.
export function redrawn(node, key, children) {
  const text = JSON.stringify(key);
  if (node.dataset.key === text) return false;
  node.dataset.key = text;
  node.replaceChildren(...children().filter((child) => child !== null && child !== undefined));
  return true;
}

export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export const many = (count, one, several = `${one}s`) => `${count.toLocaleString()} ${count === 1 ? one : several}`;
