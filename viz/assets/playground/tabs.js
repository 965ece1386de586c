// The two tabs, and the link to what they show.

const TABS = ["expression", "network"];
let current = "expression";
let is_ready = false;

const changed = () => { if (is_ready) write_address(current, tabs[current].state()); };
const tabs = { expression: expression_tab(changed), network: network_tab(changed) };

function open_tab(name) {
  if (name !== current) tabs[current].hidden?.();
  current = name;
  for (const other of TABS) {
    element(other).hidden = other !== name;
    element(`tab-${other}`).setAttribute("aria-selected", String(other === name));
    element(`tab-${other}`).tabIndex = other === name ? 0 : -1;
  }
  tabs[name].shown();
  changed();
}

TABS.forEach((name, k) => {
  element(`tab-${name}`).addEventListener("click", () => open_tab(name));
  element(`tab-${name}`).addEventListener("keydown", (event) => {
    if (event.key !== "ArrowRight" && event.key !== "ArrowLeft") return;
    const other = TABS[(k + 1) % TABS.length];
    open_tab(other);
    element(`tab-${other}`).focus();
  });
});

element("share").addEventListener("click", async () => {
  changed();
  try {
    await navigator.clipboard.writeText(window.location.href);
    element("shared").textContent = "Copied";
  } catch {
    // Where the browser does not let a page write there, the address line has the link.
    element("shared").textContent = "The address line is the link";
  }
});

function from_address() {
  const { tab, state } = read_address();
  is_ready = false;
  current = TABS.includes(tab) ? tab : "expression";
  // Canvases have no size where they are hidden.
  for (const name of TABS) element(name).hidden = name !== current;
  for (const name of [...TABS.filter((other) => other !== current), current]) {
    for (const other of TABS) element(other).hidden = other !== name;
    tabs[name].open(name === current ? state : {});
  }
  open_tab(current);
  is_ready = true;
}

window.addEventListener("hashchange", from_address);
from_address();
