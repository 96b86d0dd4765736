// What no event tells of, ages and how the workers find the systems, is looked at again now and then.

import { fetched, put } from "./morph.js";

const EVERY = 10000; // milliseconds

setInterval(async () => {
  if (document.hidden || !document.body.dataset.live) return;
  try {
    const coming = await fetched(location.href);
    if (coming) put(coming);
  } catch {
    // the connection says so itself
  }
}, EVERY);
