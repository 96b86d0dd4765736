// A click anywhere on a row follows the link of its first column: what is selected there can still be copied, and what
// can be used by itself (a link, a button, a tick) does its own.

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-rows] tbody tr")?.querySelector("a.name");
  const used = event.target.closest("a, button, input, label, summary, details, .tick");
  if (!link || used || event.defaultPrevented || !getSelection().isCollapsed) return;
  if (event.ctrlKey || event.metaKey) open(link.href, "_blank", "noopener");
  else location.assign(link.href);
});
