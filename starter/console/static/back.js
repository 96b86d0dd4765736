// From a client one goes back to the list as it was filtered, in this tab.

const KEY = "clients";

if (location.pathname === "/clients") addEventListener("pagehide", () => sessionStorage.setItem(KEY, location.search));

for (const name of ["click", "auxclick"]) {
  document.addEventListener(name, (event) => {
    const link = event.target.closest?.('.crumbs a[href="/clients"]');
    if (link) link.search = sessionStorage.getItem(KEY) ?? "";
  });
}
