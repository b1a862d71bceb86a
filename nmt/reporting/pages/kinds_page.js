"use strict";
for (const choice of document.querySelectorAll("#side input")) {
  choice.addEventListener("change", () => { document.body.dataset.side = choice.value; });
  if (choice.checked) document.body.dataset.side = choice.value;
}
