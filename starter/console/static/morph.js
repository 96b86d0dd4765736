// Make one piece of a page look like another, touching only what differs: focus, selection, scroll and open menus stay.

const OURS = new Set(["open", "value", "checked"]); // what a person does to an element is not in the page that came

export function morph(present, coming) {
  if (present.isEqualNode(coming)) return;
  if (present.nodeName !== coming.nodeName || keyOf(present) !== keyOf(coming)) {
    present.replaceWith(coming.cloneNode(true));
  } else if (present.nodeType !== Node.ELEMENT_NODE) {
    present.nodeValue = coming.nodeValue;
  } else {
    attributes(present, coming);
    if (!present.matches("input, select, textarea")) children(present, coming);
  }
}

function keyOf(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.dataset.key : undefined;
}

function attributes(present, coming) {
  for (const { name } of [...present.attributes]) {
    if (!coming.hasAttribute(name) && !OURS.has(name)) present.removeAttribute(name);
  }
  for (const { name, value } of coming.attributes) {
    if (present.getAttribute(name) !== value && !OURS.has(name)) present.setAttribute(name, value);
  }
}

function children(present, coming) {
  const known = new Map([...present.children].filter(keyOf).map((child) => [keyOf(child), child]));
  let place = present.firstChild;
  for (const wanted of [...coming.childNodes]) {
    const same = keyOf(wanted) === undefined ? place : known.get(keyOf(wanted));
    if (same === undefined || same === null || (same === place && keyOf(same ?? wanted) !== keyOf(wanted))) {
      present.insertBefore(wanted.cloneNode(true), place);
      continue;
    }
    if (same !== place) present.insertBefore(same, place);
    else place = place.nextSibling;
    morph(same, wanted);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

// Put the parts of a page that came into this one. Parts are the elements with the attribute data-part.
export function put(coming) {
  for (const part of document.querySelectorAll("[data-part]")) {
    const fresh = coming.querySelector(`[data-part="${part.dataset.part}"]`);
    if (fresh) morph(part, fresh);
  }
}

// The page at an address, or null when it is none of ours any more (signed out, an error). ``asked``: a person wants
// it, and did not merely leave it open.
export async function fetched(address, { asked = false, signal } = {}) {
  const headers = { Accept: "text/html", ...(asked ? {} : { "Connect-Refresh": "1" }) };
  const answer = await fetch(address, { headers, signal });
  if (answer.redirected && new URL(answer.url).pathname === "/sign-in") {
    location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
    return null;
  }
  if (!answer.ok) return null;
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}
