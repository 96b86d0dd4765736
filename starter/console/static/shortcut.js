// A slash leads to the search of clients, from every page; while one types, it is a slash. Whoever speaks to the machine
// can switch it off in the menu (WCAG 2.1.4), which the browser remembers.

const TYPED_INTO = "input, select, textarea, [contenteditable]", OFF = "connect-no-shortcut";
const box = document.querySelector("[data-shortcut]");

function on() {
  try {
    return localStorage.getItem(OFF) === null;
  } catch {
    return true; // a browser that keeps nothing
  }
}

if (box) {
  box.checked = on();
  box.closest("[hidden]").hidden = false;
  box.addEventListener("change", () => (box.checked ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, "yes")));
  addEventListener("storage", () => (box.checked = on())); // it was changed in another tab
}
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target.closest?.(TYPED_INTO) || !(box?.checked ?? on())) return;
  event.preventDefault();
  const search = document.getElementById("q");
  if (search) search.select();
  else location.assign("/clients#q");
});
