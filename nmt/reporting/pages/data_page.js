"use strict";
(() => {
  const tip = document.getElementById("tip");
  const status = document.getElementById("status");

  // Browsers show <title> with a delay and not for keyboard focus, so the page has its own tooltip.
  for (const bin of document.querySelectorAll(".bin")) {
    const title = bin.querySelector("title");
    const text = title.textContent;
    bin.setAttribute("role", "img");
    bin.setAttribute("aria-label", text.replaceAll("\n", ", "));
    title.remove();
    bin.addEventListener("pointerenter", () => show(bin, text));
    bin.addEventListener("focus", () => show(bin, text));
    bin.addEventListener("pointerleave", hide);
    bin.addEventListener("blur", hide);
  }
  document.addEventListener("scroll", hide, { passive: true });
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());

  for (const button of document.querySelectorAll(".copy")) {
    button.addEventListener("click", () => copy(button));
  }

  // Commands are copied exactly as they are shown. Some browsers refuse navigator.clipboard to local
  // files: then execCommand copies the command. If that fails, the command stays selected.
  async function copy(button) {
    const code = button.parentElement.querySelector("code");
    let copied = true;
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      getSelection().selectAllChildren(code);
      copied = document.execCommand("copy");
    }
    status.textContent = copied ? "Copied" : "Press Ctrl+C to copy";
    button.textContent = copied ? "Copied" : "Selected";
    setTimeout(() => { button.textContent = "Copy"; status.textContent = ""; }, 2000);
  }

  function show(bin, text) {
    tip.textContent = text;
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
