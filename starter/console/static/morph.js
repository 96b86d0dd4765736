// Make one piece of a page look like another, touching only what differs: focus, selection, scroll and open menus stay.

// What a person does to an element is not in the page that came.
function theirs(element, name) {
  if (name === "value") return element.matches("input:not([type=checkbox], [type=radio])");
  return name === "open" || name === "checked";
}

// The node that then stands in the place of ``present``.
export function morph(present, coming) {
  if (present.isEqualNode(coming)) return present;
  if (present.nodeName !== coming.nodeName || keyOf(present) !== keyOf(coming)) {
    const fresh = coming.cloneNode(true);
    present.replaceWith(fresh);
    return fresh;
  }
  if (present.nodeType !== Node.ELEMENT_NODE) {
    if (present.nodeValue !== coming.nodeValue) present.nodeValue = coming.nodeValue;
    return present;
  }
  attributes(present, coming);
  if (present.matches("select")) options(present, coming);
  else if (present.matches("input[type=hidden]")) hiddenInput(present, coming);
  else if (!present.matches("input, textarea")) children(present, coming);
  return present;
}

function keyOf(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.dataset.key : undefined;
}

function attributes(present, coming) {
  for (const { name } of [...present.attributes]) {
    if (!coming.hasAttribute(name) && !theirs(present, name)) present.removeAttribute(name);
  }
  for (const { name, value } of coming.attributes) {
    if (present.getAttribute(name) !== value && !theirs(present, name)) present.setAttribute(name, value);
  }
}

// What there is to choose from may change; what was chosen stays, while it can still be chosen.
function options(present, coming) {
  const chosen = present.value;
  children(present, coming);
  if ([...present.options].some((option) => option.value === chosen)) present.value = chosen;
}

// What a form carries unseen is the server's. But its command stays the one that it was: sent twice, it is done once.
function hiddenInput(present, coming) {
  if (present.name !== "command_id") present.value = coming.value;
}

function children(present, coming) {
  const known = new Map(), unkeyed = [];
  for (const child of present.childNodes) {
    const key = keyOf(child);
    if (key === undefined) unkeyed.push(child);
    else if (!known.has(key)) known.set(key, child);
  }
  const wanted = [...coming.childNodes].map((node) => {
    const key = keyOf(node), same = key === undefined ? unkeyed.shift() : known.get(key);
    known.delete(key);
    return same ? morph(same, node) : node.cloneNode(true);
  });
  const kept = new Set(wanted);
  for (const child of [...present.childNodes]) if (!kept.has(child)) child.remove();
  arrange(present, wanted);
}

// Put the children in order. The one that a person is in stays where it is, and the others go round it: what is moved
// loses focus and selection.
function arrange(present, wanted) {
  const selected = document.getSelection()?.anchorNode;
  const middle = Math.max(0, wanted.findIndex((node) => node.contains(document.activeElement) || node.contains(selected)));
  if (wanted.length && wanted[middle].parentNode !== present) present.prepend(wanted[middle]);
  for (let at = middle - 1; at >= 0; at -= 1) {
    if (wanted[at + 1].previousSibling !== wanted[at]) present.insertBefore(wanted[at], wanted[at + 1]);
  }
  for (let at = middle + 1; at < wanted.length; at += 1) {
    if (wanted[at - 1].nextSibling !== wanted[at]) present.insertBefore(wanted[at], wanted[at - 1].nextSibling);
  }
}
