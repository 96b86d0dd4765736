// What no event tells of, ages and attempts and how the workers find the systems, is looked at again now and then.

import { refresh } from "./news.js";

const EVERY = 10000; // milliseconds

setInterval(() => {
  if (document.body.dataset.live && document.querySelector("[data-again]") && !document.hidden) refresh();
}, EVERY);
