// Fetches the page anew every few seconds while somebody looks at it. Without it, reload by hand.
"use strict";

const EVERY = 5000; // milliseconds
const SLOWEST = 60000;
const SHARE = 20; // a page that takes long to make is asked for so many times more seldom
const part = document.querySelector("[data-live]");
const told = document.getElementById("live");

if (part && told) {
  let wait = EVERY, live = true, busy = false, timer = 0;
  const button = document.createElement("button");
  const said = document.createElement("span");
  button.className = "quiet small";
  button.type = "button";
  told.after(button);
  told.append(said);

  const tell = (text) => {
    if (said.textContent !== text) said.textContent = text;
  };
  const inUse = () => {
    const at = document.activeElement;
    const chosen = document.getSelection();
    const marks = chosen && !chosen.isCollapsed && part.contains(chosen.anchorNode);
    return marks || (part.contains(at) && at.matches("input, select, textarea, summary, pre, .line"));
  };

  const replace = (fresh) => {
    if (fresh.innerHTML === part.innerHTML) return;
    const open = new Map([...part.querySelectorAll("details[id]")].map((one) => [one.id, one.open]));
    const focused = document.activeElement;
    const link = part.contains(focused) ? focused.getAttribute("href") || focused.id : null;
    part.replaceChildren(...fresh.childNodes);
    for (const one of part.querySelectorAll("details[id]")) {
      if (open.has(one.id)) one.open = open.get(one.id);
    }
    if (link) {
      const again = [...part.querySelectorAll("a[href], [id]")].find(
        (one) => one.getAttribute("href") === link || one.id === link);
      if (again) again.focus({ preventScroll: true });
    }
  };

  const refresh = async () => {
    if (busy || !live || document.hidden || inUse()) return plan();
    busy = true;
    const begun = performance.now();
    try {
      const answer = await fetch(location.href, { redirect: "manual", headers: { Accept: "text/html" } });
      if (answer.type === "opaqueredirect") {
        live = false;
        tell("The session has ended: reload to log in.");
        button.hidden = true;
        return;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector(`[data-live="${part.dataset.live}"]`);
      if (fresh && !inUse()) replace(fresh);
      wait = Math.min(Math.max(EVERY, (performance.now() - begun) * SHARE), SLOWEST);
      tell("Live.");
    } catch (error) {
      wait = Math.min(wait * 2, SLOWEST);
      tell("Not live: the server does not answer.");
    } finally {
      busy = false;
    }
    plan();
  };
  const plan = () => {
    clearTimeout(timer);
    timer = setTimeout(refresh, wait);
  };
  const show = () => {
    button.textContent = live ? "Stop updates" : "Update live";
    tell(live ? "Live." : "Not live.");
  };

  button.addEventListener("click", () => {
    live = !live;
    show();
    if (live) refresh();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && live) refresh();
  });
  show();
  plan();
}

// Who comes by a link from elsewhere is sent here without his cookie (SameSite=Strict); from here it goes along.
const form = document.querySelector("form.login");
if (form) {
  fetch(location.href, { redirect: "manual" }).then((answer) => {
    if (answer.type === "opaqueredirect") location.replace(form.elements.next.value);
  }).catch(() => {});
}

// j and k go from row to row, / to the filter: links and fields have the focus, Enter opens.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  if (event.key === "/") {
    const field = document.querySelector(".filter input");
    if (field) {
      field.focus();
      event.preventDefault();
    }
  } else if (event.key === "j" || event.key === "k") {
    const rows = [...document.querySelectorAll("[data-row]")];
    const at = rows.indexOf(document.activeElement);
    const next = rows[event.key === "j" ? at + 1 : Math.max(at - 1, 0)];
    if (next) next.focus();
  }
});
