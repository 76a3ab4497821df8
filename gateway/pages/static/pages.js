// Enhancements of pages that work without a script: show a password, check its rules during typing, copy, count
// down. Nothing is fetched or stored.
"use strict";

const all = (selector) => document.querySelectorAll(selector);

// --- show and hide a password ---
for (const button of all("[data-reveals]")) {
  const field = document.getElementById(button.dataset.reveals);
  const text = button.textContent;
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = field.type === "password";
    field.type = shown ? "text" : "password";
    button.textContent = shown ? button.dataset.shown : text;
    button.setAttribute("aria-pressed", String(shown));
    field.focus();
  });
}

// --- the rules of a new password ---
// Cognito's symbols (developer guide, "Password requirements"); a space counts, but not at the ends.
const SYMBOL = /[\^$*.[\]{}()?"!@#%&/\\,><':;|_~`=+-]|\S \S/;
const RULES = {
  length: (text, least) => [...text].length >= Number(least),
  uppercase: (text) => /[A-Z]/.test(text),
  lowercase: (text) => /[a-z]/.test(text),
  number: (text) => /[0-9]/.test(text),
  symbol: (text) => SYMBOL.test(text),
};
for (const list of all("[data-rules-of]")) {
  const field = document.getElementById(list.dataset.rulesOf);
  const status = document.getElementById(`${list.id}-status`);
  let timer = 0;
  const check = () => {
    const items = [...list.querySelectorAll("[data-rule]")];
    for (const item of items) {
      const met = RULES[item.dataset.rule](field.value, item.dataset.least);
      item.classList.toggle("met", met);
    }
    // Announced after a pause in typing: otherwise a screen reader would speak on every keystroke.
    clearTimeout(timer);
    timer = setTimeout(() => {
      const open = items.filter((item) => !item.classList.contains("met"));
      status.textContent = !field.value ? "" : open.length
        ? list.dataset.open.replace("{missing}", () => open.map((item) => item.textContent.trim()).join(list.dataset.separator))
        : list.dataset.allMet;
    }, 800);
  };
  field.addEventListener("input", check);
  check();
}

// --- copy ---
const fallback = (field) => {
  field.select();
  return document.execCommand("copy");
};
let restore = () => {};
for (const button of all("[data-copies]")) {
  const field = document.getElementById(button.dataset.copies);
  const status = document.getElementById("copied");
  const text = button.textContent;
  button.addEventListener("click", async () => {
    let done = true;
    try {
      // The clipboard API exists only on https and localhost.
      if (navigator.clipboard) await navigator.clipboard.writeText(field.value);
      else done = fallback(field);
    } catch {
      done = fallback(field);
    }
    // Only the last copy is on the clipboard.
    restore();
    button.textContent = done ? button.dataset.copied : button.dataset.press;
    status.textContent = done ? button.dataset.done : button.dataset.selected;
    const timer = setTimeout(() => restore(), 2000);
    restore = () => {
      clearTimeout(timer);
      button.textContent = text;
      status.textContent = "";
      restore = () => {};
    };
  });
}
for (const field of all("input[readonly], textarea[readonly]")) {
  field.addEventListener("focus", () => field.select());
}

// --- times as the reader's clock shows them ---
// The page's language, as the reader's region writes it.
const page = document.documentElement.lang;
const locale = navigator.languages.find((each) => each.split("-")[0] === page.split("-")[0]) || page;
for (const time of all("time[datetime]")) {
  const at = new Date(time.dateTime);
  if (Number.isNaN(at.getTime())) continue;
  const today = at.toDateString() === new Date().toDateString();
  const shape = today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" };
  time.title = time.textContent;
  time.textContent = new Intl.DateTimeFormat(locale, shape).format(at);
}

// --- the part of an address behind "#", which only the browser knows, survives signing in ---
const mark = location.hash;
if (mark && !document.getElementById(mark.slice(1))) {
  for (const [selector, name] of [["form[method=post]", "action"], ["main a[href*='return_to=']:not([href*='/start?'])", "href"]])
    for (const element of all(selector)) {
      const target = element.getAttribute(name);
      if (!target.includes("#")) element.setAttribute(name, target + mark);
    }
}

// --- count down ---
const spoken = (seconds) => {
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const rest = String(Math.floor(seconds % 60)).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
};
const started = performance.now();
for (const element of all("[data-seconds]")) {
  // A duration from the server, not a time of day: this machine's clock may be wrong.
  const total = Number(element.dataset.seconds);
  const tick = () => {
    const left = Math.max(0, total - (performance.now() - started) / 1000);
    element.textContent = left > 0 ? element.dataset.running.replace("{time}", spoken(left)) : element.dataset.over;
    if (left > 0) setTimeout(tick, Math.min(1000, left * 1000));
    else if (element.dataset.enables) ready(document.getElementById(element.dataset.enables));
  };
  tick();
}
function ready(button) {
  button.removeAttribute("aria-disabled");
  button.removeAttribute("aria-busy");
}

// --- one press of a button is one request ---
for (const form of all("form")) {
  let sent = false;
  form.addEventListener("submit", (event) => {
    const pressed = event.submitter;
    if (sent || (pressed && pressed.getAttribute("aria-disabled") === "true")) {
      event.preventDefault();
      return;
    }
    sent = true;
    if (!pressed) return;
    // Not `disabled`, which would leave out the button's own value.
    pressed.setAttribute("aria-disabled", "true");
    pressed.setAttribute("aria-busy", "true");
  });
  // The page comes back from the browser's own cache, button pressed.
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    sent = false;
    for (const button of form.querySelectorAll("[aria-disabled]")) ready(button);
  });
}
