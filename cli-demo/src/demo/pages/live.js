// Owns the updates of an open page. Without this script the page reloads every few seconds.
"use strict";

const events = new EventSource(document.body.dataset.events);

// Each part of the page is sent again when it has changed. A link or a button in it that had the focus keeps it.
const same = (one, other) => ["href", "value"].every((name) => one.getAttribute(name) === other.getAttribute(name));
for (const part of document.querySelectorAll("[data-live]")) {
  events.addEventListener(part.id, ({ data }) => {
    const focused = part.contains(document.activeElement) ? document.activeElement : null;
    part.innerHTML = data;
    if (focused) [...part.querySelectorAll("a, button")].find((found) => same(found, focused))?.focus();
  });
}
events.addEventListener("go", ({ data }) => location.replace(data));

const gone = document.querySelector(".gone");
const alive = (yes) => { if (gone) gone.hidden = yes; };
events.addEventListener("open", () => alive(true));
events.addEventListener("error", () => alive(false));

// A button works without leaving the page, so that it keeps the focus. If that fails, the form is submitted.
document.querySelector(".server form")?.addEventListener("submit", async (submit) => {
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
