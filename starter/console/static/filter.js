// A list's form acts as one types or chooses; without scripts its button does.

import { fetched, put } from "./morph.js";

const form = document.querySelector("form[data-filter]");
let waiting, under_way;

async function show() {
  under_way?.abort();
  under_way = new AbortController();
  const said = new URLSearchParams([...new FormData(form)].filter(([name, value]) => value !== "" || name === "site"));
  const address = `${form.getAttribute("action")}${said.size ? `?${said}` : ""}`;
  try {
    const coming = await fetched(address, { asked: true, signal: under_way.signal });
    if (coming) {
      history.replaceState(null, "", address);
      put(coming);
    }
  } catch (error) {
    if (error.name !== "AbortError") location.assign(address);
  }
}

if (form) {
  form.querySelector("[data-go]")?.setAttribute("hidden", "");
  form.addEventListener("input", (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(show, event.target.matches("select, [type=checkbox], [type=radio]") ? 0 : 180);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(waiting);
    show();
  });
}
