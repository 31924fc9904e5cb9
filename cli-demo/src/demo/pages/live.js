// Owns how a page that is open keeps itself up to date. Without it the page loads itself again every few seconds.
"use strict";

const events = new EventSource(document.body.dataset.events);

// Each part of the page is told again when it has changed. Whoever stood on a link in it, stays there.
for (const part of document.querySelectorAll("[data-live]")) {
  events.addEventListener(part.id, ({ data }) => {
    const stood = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    part.innerHTML = data;
    if (stood) part.querySelector(`[href="${CSS.escape(stood)}"]`)?.focus();
  });
}
events.addEventListener("go", ({ data }) => location.replace(data));

const gone = document.querySelector(".gone");
const alive = (yes) => { if (gone) gone.hidden = yes; };
events.addEventListener("open", () => alive(true));
events.addEventListener("error", () => alive(false));

// A button does its work without leaving the page, so that the focus stays on it. If that fails, the form is sent after all.
document.querySelector("form.misbehave")?.addEventListener("submit", async (submit) => {
  submit.preventDefault();
  const { target: form, submitter } = submit;
  const body = new URLSearchParams(new FormData(form, submitter));
  const sent = await fetch(form.action, { method: "POST", body, redirect: "manual" }).catch(() => null);
  if (sent?.type !== "opaqueredirect") {
    const what = document.createElement("input");
    Object.assign(what, { type: "hidden", name: submitter.name, value: submitter.value });
    form.append(what);
    form.submit();
  }
});
