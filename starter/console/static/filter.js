// A form that asks acts as one types or chooses; without scripts its button does. One that is sent by POST shows in the
// address what it asks, but for what is private: a reason stands in no address.

import { early } from "./early.js";
import { askBy, fetched, found, hold, lost, put } from "./news.js";

const TYPING = 180, PAUSE = 3000, PATIENCE = 400; // milliseconds
const form = document.querySelector("form[data-filter]");
const announcement = document.getElementById("announcement"), main = document.getElementById("main");
const posted = form?.method === "post";
let waiting, under_way, release, slow;

// What stands there is old while something else is on its way: it cannot be confirmed until what was asked is previewed,
// and when that takes a while, it is seen.
function begin() {
  release ??= hold();
  for (const button of document.querySelectorAll("[data-confirm] button")) button.disabled = true;
  slow ??= setTimeout(() => main.setAttribute("aria-busy", "true"), TYPING + PATIENCE);
}

function end() {
  release?.();
  clearTimeout(slow);
  release = slow = undefined;
  main.removeAttribute("aria-busy");
}

function soon(pause) {
  begin();
  under_way?.abort(); // what it would show is not what is asked any more
  clearTimeout(waiting);
  waiting = setTimeout(show, pause);
}

const given = (pressed) => [...new FormData(form, pressed)].filter(([name, value]) => value !== "" || name === "site");
const question = (pressed) => ({ address: form.getAttribute("action"), body: new URLSearchParams(given(pressed)) });

async function show(pressed) {
  begin();
  clearTimeout(waiting);
  under_way?.abort();
  under_way = new AbortController();
  const query = new URLSearchParams(given(pressed).filter(([name]) => !form.querySelector(`[data-private][name="${name}"]`)));
  const shown = `${form.dataset.filter || form.getAttribute("action")}${query.size ? `?${query}` : ""}`;
  const { address, body } = posted ? question(pressed) : { address: shown };
  try {
    const coming = await fetched(address, { asked: true, signal: under_way.signal, body });
    found();
    if (coming) {
      history.replaceState(null, "", shown);
      put(coming);
      announcement.textContent = document.querySelector("[data-announce]")?.textContent.trim().replace(/\s+/g, " ") ?? "";
    }
  } catch (error) {
    if (error.name === "AbortError") return; // another one is on its way
    lost();
    soon(PAUSE);
    return;
  }
  end();
}

if (form) {
  if (posted) askBy(question);
  if (early(form).length) soon(0);
  form.querySelector("[data-go]")?.setAttribute("hidden", "");
  form.addEventListener("input", (event) => {
    soon(event.target.matches("select, [type=checkbox], [type=radio]") ? 0 : TYPING);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    show(event.submitter?.name ? event.submitter : undefined);
  });
}
