// Says how long ago the part of a page that renews itself was renewed, and says it loudly when the node is silent.
"use strict";
(() => {
  const SILENT_SECONDS = 10;
  let renewed = Date.now();
  let refused = false;

  const show = () => {
    const moves = document.querySelector("#live[hx-get]") !== null;
    const age = Math.round((Date.now() - renewed) / 1000);
    const lost = moves && (refused || age > SILENT_SECONDS);
    const notice = document.getElementById("silent");
    const told = document.getElementById("renewed");
    if (!notice || !told) return;
    if (notice.hidden === lost) notice.hidden = !lost;
    told.hidden = !moves;
    told.textContent = age < SILENT_SECONDS && !lost ? "Renewed just now" : `Last renewed ${age} s ago`;
  };
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.target && event.detail.target.id !== "live") return;
    refused = !event.detail.successful;
    if (!refused) renewed = Date.now();
    show();
  });
  setInterval(show, 1000);
})();
