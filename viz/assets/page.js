const element = (id) => document.getElementById(id);

// Go through `total` pictures by buttons, keys and a slider: `paint(k)` shows one and returns what it is called;
// `period` is the time from one to the next, in milliseconds. Return the function that goes to a picture, of another
// number of them where that is given.
function player(total, paint, period) {
  let count = total;
  let now = 0;
  let timer = null;

  function go(to, of = count) {
    count = of;
    element("slider").max = count - 1;
    now = Math.max(0, Math.min(count - 1, to));
    const heading = paint(now);
    element("slider").value = now;
    element("slider").setAttribute("aria-valuetext", `${now + 1} of ${count}: ${heading}`);
    element("count").textContent = `${now + 1} of ${count}`;
    element("first").disabled = element("back").disabled = now === 0;
    element("last").disabled = element("next").disabled = now === count - 1;
    if (now === count - 1) stop();
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    element("play").textContent = "▶ Play";
    element("play").setAttribute("aria-pressed", "false");
  }

  function play() {
    if (timer !== null) return stop();
    if (now === count - 1) go(0);
    timer = setInterval(() => go(now + 1), period);
    element("play").textContent = "⏸ Pause";
    element("play").setAttribute("aria-pressed", "true");
  }

  const moves = {
    ArrowRight: () => go(now + 1),
    ArrowLeft: () => go(now - 1),
    Home: () => go(0),
    End: () => go(count - 1),
    " ": play,
  };

  document.addEventListener("keydown", (event) => {
    if (!(event.key in moves) || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    // Fields keep their keys, a focused button its space; on a page with tabs another one may be shown.
    if (event.target.closest("input:not(#slider), select, textarea, summary, [role=tab]")) return;
    if (event.target.tagName === "BUTTON" && event.key === " ") return;
    if (element("slider").closest("[hidden]")) return;
    event.preventDefault();
    if (event.key !== " " && timer !== null) stop();
    moves[event.key]();
  });
  element("slider").addEventListener("input", (event) => go(Number(event.target.value)));
  for (const [id, key] of Object.entries({ first: "Home", back: "ArrowLeft", play: " ", next: "ArrowRight", last: "End" })) {
    element(id).addEventListener("click", moves[key]);
  }
  go(0);
  return go;
}
