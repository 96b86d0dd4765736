// A form that asks acts as one types or chooses; without scripts its button does.

import { fetched, found, hold, lost, put } from "./news.js";

const TYPING = 180, PAUSE = 3000; // milliseconds
const form = document.querySelector("form[data-filter]");
const told = document.getElementById("told");
let waiting, under_way, release;

function soon(pause) {
  release ??= hold(); // what stands there is old from now on
  clearTimeout(waiting);
  waiting = setTimeout(show, pause);
}

async function show() {
  release ??= hold();
  clearTimeout(waiting);
  under_way?.abort();
  under_way = new AbortController();
  const said = new URLSearchParams([...new FormData(form)].filter(([name, value]) => value !== "" || name === "site"));
  const address = `${form.getAttribute("action")}${said.size ? `?${said}` : ""}`;
  try {
    const coming = await fetched(address, { asked: true, signal: under_way.signal });
    found();
    if (coming) {
      history.replaceState(null, "", address);
      put(coming);
      told.textContent = document.querySelector("[data-told]")?.textContent.trim().replace(/\s+/g, " ") ?? "";
    }
  } catch (error) {
    if (error.name === "AbortError") return; // another one is on its way
    lost();
    soon(PAUSE);
    return;
  }
  release?.();
  release = undefined;
}

if (form) {
  form.querySelector("[data-go]")?.setAttribute("hidden", "");
  form.addEventListener("input", (event) => {
    soon(event.target.matches("select, [type=checkbox], [type=radio]") ? 0 : TYPING);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    show();
  });
}
