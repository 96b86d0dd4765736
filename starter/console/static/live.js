// What changes elsewhere appears here: the server says that something changed, and the page's parts are fetched anew.
// A tab that nobody sees does not listen: browsers have few connections for all tabs of a host.

import { found, lost, refresh } from "./news.js";

const PATIENCE = 1500, PAUSE = 3000, LONG_PAUSE = 15000; // milliseconds
const ended = document.getElementById("session-ended");
let source, losing, retrying;

function calm() {
  clearTimeout(losing);
  losing = undefined;
}

function quiet() {
  calm();
  clearTimeout(retrying);
  source?.close();
  delete document.body.dataset.listening;
}

function listen() {
  quiet();
  if (document.hidden) return;
  source = new EventSource(document.body.dataset.live);
  source.addEventListener("open", () => {
    calm();
    found();
    document.body.dataset.listening = "";
    refresh();
  });
  source.addEventListener("changed", refresh);
  source.addEventListener("error", async () => {
    losing ??= setTimeout(lost, PATIENCE);
    delete document.body.dataset.listening;
    if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
    await refresh(); // which finds out whether this browser is signed out
    if (!ended.hidden) calm();
    retrying = setTimeout(listen, ended.hidden ? PAUSE : LONG_PAUSE);
  });
}

if (document.body.dataset.live) {
  listen();
  addEventListener("pagehide", quiet);
  addEventListener("pageshow", (event) => event.persisted && listen());
  document.addEventListener("visibilitychange", listen);
}
