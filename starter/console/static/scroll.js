// What can be scrolled is a stop of the Tab key, for who scrolls with the arrows, only while there is more than is seen.
// Without scripts it always is one.

const sizes = new ResizeObserver((entries) => entries.forEach(({ target }) => decide(target.closest(REGION) ?? target)));
const REGION = '[role="region"]:is(.table, .scroll, .timeline)';

function decide(region) {
  const more = region.scrollWidth > region.clientWidth && getComputedStyle(region).overflowX !== "visible";
  if (more && !region.hasAttribute("tabindex")) region.tabIndex = 0;
  if (!more && region.hasAttribute("tabindex") && region !== document.activeElement) region.removeAttribute("tabindex");
}

function watch() {
  for (const region of document.querySelectorAll(REGION)) {
    decide(region);
    sizes.observe(region);
    if (region.firstElementChild) sizes.observe(region.firstElementChild);
  }
}

// What comes anew of a page (morph.js) is as without scripts.
const news = { childList: true, subtree: true, attributeFilter: ["tabindex"] };
for (const part of document.querySelectorAll("[data-part]")) new MutationObserver(watch).observe(part, news);
watch();
