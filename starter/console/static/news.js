// How a page comes by what is new: fetched from the server and put into its parts; and what is said when that fails.

import { morph } from "./morph.js";

const LOST = "Connection lost. What you see may be old; trying again…";
const connection = document.getElementById("connection"), ended = document.getElementById("session-ended");
const waiting = [];
let holding = 0, asked = 0, busy = false, again = false;
let question = () => ({ address: location.href, body: undefined });

// What this page is fetched by, where that is not its address alone: a form that is sent to be looked at.
export function askBy(how) {
  question = how;
}

export function lost() {
  if (connection.textContent !== LOST) connection.textContent = LOST;
}

export function found() {
  if (connection.textContent) connection.textContent = "";
}

// Whether this browser is signed out. What is on the page stays there, and goes on once somebody has signed in again.
export function signedOut(out) {
  if (out) found();
  ended.hidden = !out;
}

// A person has begun to ask for something else: until the function that comes back is called, no news is put.
export function hold() {
  holding += 1;
  asked += 1;
  let held = true;
  return () => {
    if (held) holding -= 1;
    held = false;
    if (!holding) for (const go of waiting.splice(0)) go();
  };
}

const free = () => (holding ? new Promise((go) => waiting.push(go)) : Promise.resolve());

// Parts are the elements with the attribute data-part.
export function put(coming) {
  for (const part of document.querySelectorAll("[data-part]")) {
    const fresh = coming.querySelector(`[data-part="${part.dataset.part}"]`);
    if (fresh) morph(part, fresh);
  }
}

// The page at an address, or what a form that is sent there (``body``) is answered; null when it is none of ours any
// more. ``asked``: a person wants it, and did not merely leave it open: who is signed out is then led to the door, and
// from there to what was asked for; with a form, what is typed stays where it is.
export async function fetched(address, { asked = false, signal, body } = {}) {
  const headers = { Accept: "text/html", ...(asked ? {} : { "Connect-Refresh": "1" }) };
  const answer = await fetch(address, { method: body ? "POST" : "GET", headers, signal, body });
  const out = answer.status === 401 || (answer.redirected && new URL(answer.url).pathname === "/sign-in");
  if (out && asked && !body) {
    const there = new URL(address, location.href);
    location.assign(`/sign-in?next=${encodeURIComponent(there.pathname + there.search)}`);
    return null;
  }
  signedOut(out);
  if (answer.status >= 500) throw new Error(`answered with ${answer.status}`);
  if (out || !answer.ok) return null;
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

// Look at this page again. What comes too late, for a person has asked for something else meanwhile, is not put.
export async function refresh() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  try {
    do {
      again = false;
      await free();
      const before = asked, here = location.href, { address, body } = question();
      const coming = await fetched(address, { body });
      if (before !== asked || here !== location.href) again = true;
      else if (coming) put(coming);
    } while (again);
  } catch {
    // whoever listens notices, and looks again then
  } finally {
    busy = false;
  }
}
