// The state as the fragment of the page's address, so that a link shows another reader the same.

// Return the name of the tab and its entries.
function read_address() {
  const text = window.location.hash.slice(1);
  const cut = text.indexOf("?");
  const tab = cut < 0 ? text : text.slice(0, cut);
  return { tab, state: Object.fromEntries(new URLSearchParams(cut < 0 ? "" : text.slice(cut + 1))) };
}

function write_address(tab, state) {
  const entries = Object.entries(state).filter(([, value]) => value !== "" && value !== undefined);
  window.history.replaceState(null, "", `#${tab}?${new URLSearchParams(entries)}`);
}

// Doubles as text and back, to the last bit.
function packed(numbers) {
  const bytes = new Uint8Array(Float64Array.from(numbers).buffer);
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function unpacked(text) {
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (sign) => sign.charCodeAt(0));
    return bytes.length % 8 === 0 ? [...new Float64Array(bytes.buffer)] : [];
  } catch (error) {
    if (error instanceof DOMException) return []; // no base64: somebody has cut the link
    throw error;
  }
}
