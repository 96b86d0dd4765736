// Menus close as people expect: on Escape, which leads back to their button, and on a click elsewhere. That of a row
// lies above the page, beside its button and inside the screen, wherever its table scrolls to.

const opened = () => [...document.querySelectorAll("details.menu[open]")];
const GAP = 4; // pixels between a button, its menu and the edge of the screen

// Where the open one lies is said for the whole page: what comes anew of its row has nothing to undo.
const root = document.documentElement;
let frame;
root.dataset.floating = "";

function place() {
  cancelAnimationFrame(frame);
  const menu = document.querySelector("td .menu[open]");
  if (!menu) return;
  const button = menu.querySelector("summary").getBoundingClientRect();
  const body = menu.querySelector(".menu-body").getBoundingClientRect();
  const above = button.bottom + GAP + body.height > innerHeight && button.top > innerHeight - button.bottom;
  const top = above ? button.top - GAP - body.height : button.bottom + GAP;
  const left = Math.min(button.right, root.clientWidth - GAP) - body.width;
  for (const [name, value] of [["--menu-top", top], ["--menu-left", Math.max(GAP, left)]]) {
    if (root.style.getPropertyValue(name) !== `${value}px`) root.style.setProperty(name, `${value}px`);
  }
  frame = requestAnimationFrame(place); // until it closes: rows come, go and scroll meanwhile
}

addEventListener("toggle", place, true); // it does not bubble

addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of opened()) {
    const inside = menu.contains(document.activeElement);
    menu.open = false;
    if (inside) menu.querySelector("summary").focus();
  }
});

addEventListener("click", (event) => {
  for (const menu of opened()) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
