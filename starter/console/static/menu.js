// Menus close as people expect: on Escape, which leads back to their button, and on a click elsewhere.

const opened = () => [...document.querySelectorAll("details.menu[open]")];

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
