// A form is looked at as one types: what it says is sent to be checked, nothing is done, and what there is to say about
// it comes back. Without scripts the same is said when the form is sent. Whoever leaves with something typed is asked.

import { early } from "./early.js";
import { morph } from "./morph.js";
import { found, lost, signedOut } from "./news.js";

const TYPING = 300, PAUSE = 3000; // milliseconds
const TOO_MUCH = "This is more than can be sent at once, and is not looked at any more. Change fewer lines at a time.";
const forms = [...document.querySelectorAll("form[data-check]")];
let sending;

async function sent(form, more, signal) {
  const body = new URLSearchParams([...new FormData(form), ...more]);
  const answer = await fetch(form.dataset.check, { method: "POST", headers: { Accept: "text/html" }, body, signal });
  found();
  if (answer.status === 401) {
    signedOut(true);
    return null;
  }
  return answer;
}

async function check(form, more, signal) {
  const answer = await sent(form, more, signal);
  form.querySelector(":scope > [data-too-much]")?.remove();
  if (answer?.status === 413) {
    const problem = Object.assign(document.createElement("p"), { className: "problem", textContent: TOO_MUCH });
    problem.setAttribute("role", "alert");
    problem.dataset.tooMuch = "";
    form.prepend(problem);
  }
  if (!answer?.ok) return false;
  signedOut(false);
  const coming = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of form.querySelectorAll("[data-part]")) {
    const fresh = coming.querySelector(`[data-part="${part.dataset.part}"]`);
    if (fresh) morph(part, fresh);
  }
  form.dataset.checked = "";
  return true;
}

for (const form of forms) {
  let waiting, under_way;

  async function look(more) {
    clearTimeout(waiting);
    under_way?.abort();
    under_way = new AbortController();
    try {
      return await check(form, more, under_way.signal);
    } catch (error) {
      if (error.name === "AbortError") return false; // another one is on its way
      lost();
      waiting = setTimeout(look, PAUSE, []);
      return false;
    }
  }

  function changed(field) {
    if (!("find" in field.dataset)) form.dataset.typed = "";
    delete form.dataset.checked;
    clearTimeout(waiting);
    const typed = field.matches("textarea, input:not([type=checkbox], [type=radio], [type=date])");
    waiting = setTimeout(look, typed ? TYPING : 0, typed ? [["typing", field.name]] : []);
  }

  early(form).forEach(changed);
  form.addEventListener("input", ({ target }) => changed(target));
  form.addEventListener("change", () => look([]));
  form.addEventListener("submit", () => {
    sending = form;
    form.querySelector("[name=beside]")?.remove();
    const other = forms.find((it) => it !== form && "typed" in it.dataset);
    if (!other) return; // what was typed there is carried along, and comes back
    const beside = document.createElement("input");
    Object.assign(beside, { type: "hidden", name: "beside", value: new URLSearchParams(new FormData(other)) });
    form.append(beside);
  });
  form.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-more]");
    if (!button) return;
    event.preventDefault();
    const before = new Set([...form.elements].map((field) => field.id));
    const added = await look([[button.name, button.value]]);
    const first = [...form.elements].find((field) => field.id.startsWith("number-") && !before.has(field.id));
    if (added && !button.value.startsWith("part-")) first?.focus();
  });
  addEventListener("pageshow", (event) => {
    sending = undefined;
    if (event.persisted) look([]);
  });
}

addEventListener("beforeunload", (event) => {
  if (!sending && forms.some((form) => "typed" in form.dataset)) event.preventDefault();
});
