// A form is looked at as one types: what it says is sent to be checked, nothing is done, and what there is to say about
// it comes back. Without scripts the same is said when the form is sent.

import { morph } from "./morph.js";

const PAUSE = 300; // milliseconds without a key
const ended = document.getElementById("session-ended");

async function sent(form, said, signal) {
  const body = new URLSearchParams([...new FormData(form), ...said]);
  const answer = await fetch(form.dataset.check, { method: "POST", headers: { Accept: "text/html" }, body, signal });
  if (answer.redirected && new URL(answer.url).pathname === "/sign-in") {
    ended.hidden = false;
    return null;
  }
  return answer;
}

// Somebody who signed in again has another secret; what was typed goes on with it.
async function renewed(signal) {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, signal });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("form[data-check] input[name=csrf]");
  for (const field of document.querySelectorAll("input[name=csrf]")) if (fresh) field.value = fresh.value;
  return Boolean(fresh);
}

async function check(form, said, signal) {
  let answer = await sent(form, said, signal);
  if (answer?.status === 403 && (await renewed(signal))) answer = await sent(form, said, signal);
  if (!answer?.ok) return false;
  ended.hidden = true;
  const coming = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of form.querySelectorAll("[data-part]")) {
    const fresh = coming.querySelector(`[data-part="${part.dataset.part}"]`);
    if (fresh) morph(part, fresh);
  }
  form.dataset.checked = "";
  return true;
}

for (const form of document.querySelectorAll("form[data-check]")) {
  let waiting, under_way;

  async function look(said) {
    clearTimeout(waiting);
    under_way?.abort();
    under_way = new AbortController();
    try {
      return await check(form, said, under_way.signal);
    } catch {
      return false; // overtaken, or away: the form is checked again when it is sent
    }
  }

  form.addEventListener("input", ({ target }) => {
    delete form.dataset.checked;
    clearTimeout(waiting);
    const typed = target.matches("textarea, input:not([type=checkbox], [type=radio], [type=date])");
    waiting = setTimeout(look, typed ? PAUSE : 0, typed ? [["typing", target.name]] : []);
  });
  form.addEventListener("change", () => look([]));
  form.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-more]");
    if (!button) return;
    event.preventDefault();
    const before = new Set([...form.elements].map((field) => field.id));
    const added = await look([[button.name, button.value]]);
    const first = [...form.elements].find((field) => field.id.startsWith("number-") && !before.has(field.id));
    if (added) first?.focus();
  });
}
