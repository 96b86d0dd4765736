// What changes elsewhere appears here: the server says that something changed, and the page's parts are fetched anew.

import { fetched, put } from "./morph.js";

const notice = document.getElementById("connection");
let source, busy = false, again = false;

async function refresh() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  try {
    do {
      again = false;
      const coming = await fetched(location.href);
      if (coming) put(coming);
    } while (again);
  } catch {
    // the connection says so itself
  } finally {
    busy = false;
  }
}

function listen() {
  source?.close();
  source = new EventSource(document.body.dataset.live);
  source.addEventListener("open", () => {
    notice.hidden = true;
    document.body.dataset.listening = "";
    refresh();
  });
  source.addEventListener("changed", refresh);
  source.addEventListener("error", () => {
    notice.hidden = false;
    delete document.body.dataset.listening;
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  });
}

if (document.body.dataset.live) {
  listen();
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => event.persisted && listen());
}
