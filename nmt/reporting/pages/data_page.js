"use strict";
(() => {
  const tip = document.getElementById("tip");

  // A browser shows <title> late and never for the keyboard: the page's own tip takes its place.
  for (const bin of document.querySelectorAll(".bin")) {
    const title = bin.querySelector("title");
    const told = title.textContent;
    bin.setAttribute("role", "img");
    bin.setAttribute("aria-label", told.replaceAll("\n", ", "));
    title.remove();
    bin.addEventListener("pointerenter", () => show(bin, told));
    bin.addEventListener("focus", () => show(bin, told));
    bin.addEventListener("pointerleave", hide);
    bin.addEventListener("blur", hide);
  }
  document.addEventListener("scroll", hide, { passive: true });
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());

  function show(bin, told) {
    tip.textContent = told;
    tip.hidden = false;
    const target = bin.getBoundingClientRect();
    const own = tip.getBoundingClientRect();
    const left = target.left + (target.width - own.width) / 2;
    const above = target.top - own.height - 6;
    tip.style.left = `${Math.max(4, Math.min(left, innerWidth - own.width - 4))}px`;
    tip.style.top = `${above > 4 ? above : target.bottom + 6}px`;
  }

  function hide() {
    tip.hidden = true;
  }
})();
