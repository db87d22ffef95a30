// The page is whole without this. With it: ages go on, news comes without a reload, and a lost connection is said.
"use strict";
(() => {
  const root = document.documentElement;
  const THEMES = ["auto", "dark", "light"];
  const SLOWEST = 30000; // ms between tries
  const SILENT = 25000; // ms without a sign of life: the monitor gives one every 15 s
  const BROKEN = 4000; // ms after which a connection that broke is called lost
  let theme = "auto";
  try {
    theme = THEMES.includes(localStorage.getItem("theme")) ? localStorage.getItem("theme") : "auto";
  } catch {
    // storage is forbidden here: the choice is not remembered
  }
  const paint = () => {
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
  };
  paint();
  root.classList.add("js");

  const span = (seconds) => {
    const whole = Math.max(0, Math.floor(seconds));
    if (whole < 60) return `${whole} s`;
    if (whole < 3600) return `${Math.floor(whole / 60)} min`;
    if (whole < 172800) return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
    return `${Math.floor(whole / 86400)} days`;
  };

  // Make `now` equal to `next` and keep every element that stays: focus, scroll places and what is unfolded stay with it.
  const morph = (now, next) => {
    for (const { name } of [...now.attributes]) {
      if (!next.hasAttribute(name) && !(name === "open" && now.nodeName === "DETAILS")) now.removeAttribute(name);
    }
    for (const { name, value } of next.attributes) {
      if (now.getAttribute(name) !== value) now.setAttribute(name, value);
    }
    const wanted = new Set([...next.children].map((child) => child.id).filter(Boolean));
    let at = now.firstChild;
    for (const child of next.childNodes) {
      const id = child.id || "";
      let same = null;
      if (id) {
        same = [...now.children].find((each) => each.id === id && each.nodeName === child.nodeName) || null;
        while (same && at && at !== same && !wanted.has(at.id || "")) {
          const gone = at;
          at = at.nextSibling;
          gone.remove();
        }
        if (same && at !== same) now.insertBefore(same, at);
        else if (same) at = same.nextSibling;
      } else if (at && at.nodeName === child.nodeName && !at.id) {
        same = at;
        at = at.nextSibling;
      }
      if (!same) now.insertBefore(document.importNode(child, true), at);
      else if (same.nodeType === Node.ELEMENT_NODE) morph(same, child);
      else if (same.data !== child.data) same.data = child.data;
    }
    while (at) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
  };

  const begin = () => {
    const button = document.getElementById("theme");
    const name = () => {
      button.textContent = `Theme: ${theme}`;
    };
    name();
    button.hidden = false;
    button.addEventListener("click", () => {
      theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
      paint();
      name();
      try {
        localStorage.setItem("theme", theme);
      } catch {
        // not remembered
      }
    });
    document.addEventListener("click", (event) => {
      if (event.target instanceof Element && event.target.matches("button.copy")) copy(event.target);
    });
    if (document.body.dataset.live) live(document.body.dataset.live);
  };

  const copy = async (button) => {
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code); // no clipboard without https: ready for the keys
      button.textContent = "Selected";
    }
  };

  const live = (events) => {
    const contact = document.getElementById("contact");
    const spoken = document.getElementById("spoken");
    let heard = Date.now(); // the last sign of life
    let broken = false;
    let ahead = 0; // ms that the monitor's clock is ahead of ours
    let fetching = false;
    let fetched = Date.now(); // the last try
    let got = fetched; // the last that brought a page: events alone make nothing on it newer
    let owed = false;
    let failures = 0;
    let told = "";
    let source = null;

    const text = (element, words) => {
      if (element.textContent !== words) element.textContent = words;
    };
    const synchronise = () => {
      ahead = Date.parse(root.dataset.at) - Date.now();
    };
    const tick = () => {
      const now = Date.now() + ahead;
      for (const time of document.querySelectorAll("time[data-ago]")) {
        text(time, `${span((now - Date.parse(time.dateTime)) / 1000)} ago`);
      }
    };
    const speak = () => {
      const words = `${document.getElementById("word").textContent}: ${document.querySelector(".sentence").textContent}`;
      const gist = words.replace(/\d+(\.\d+)? (ms|s|min|h|days)\b|\d+m\d+s/g, "");
      if (gist === told) return;
      if (told) text(spoken, words); // the first one has been read with the page
      told = gist;
    };
    const watch = () => {
      if (document.hidden) return; // nobody listens there, and nobody looks
      const silence = Date.now() - heard;
      const age = Date.now() - got;
      const gone = silence > (broken ? BROKEN : SILENT);
      const lost = gone || (failures > 0 && age > SILENT);
      root.classList.toggle("lost", lost);
      contact.hidden = !lost;
      if (lost) {
        const asof = document.getElementById("asof").textContent;
        const words = gone
          ? `No contact with the monitor for ${span(silence / 1000)}.`
          : `The monitor answers, but not with this page for ${span(age / 1000)}.`;
        text(contact, `${words} What you see is as of ${asof} UTC and gets older.`);
      }
    };
    const alive = () => {
      heard = Date.now();
      broken = false;
    };

    const fetchPage = async () => {
      fetching = true;
      owed = false;
      try {
        const answer = await fetch(location.href, { credentials: "same-origin", cache: "no-store", signal: AbortSignal.timeout(10000) });
        if (answer.status === 401) {
          location.reload(); // the session is over
          return;
        }
        if (!answer.ok) throw new Error(String(answer.status));
        const next = new DOMParser().parseFromString(await answer.text(), "text/html");
        morph(document.getElementById("main"), next.getElementById("main"));
        morph(document.getElementById("where"), next.getElementById("where"));
        root.dataset.at = next.documentElement.dataset.at;
        document.title = next.title;
        failures = 0;
        got = Date.now();
        alive();
        synchronise();
        speak();
        tick();
      } catch {
        failures += 1;
        owed = true;
      } finally {
        fetched = Date.now();
        fetching = false;
      }
    };
    const pace = () => Math.min(SLOWEST, 1000 * 2 ** failures);
    // A browser has six connections to one monitor: a tab that nobody looks at must not hold one.
    const listen = () => {
      if (document.hidden || source) return;
      source = new EventSource(events);
      source.addEventListener("news", () => {
        alive();
        owed = true;
      });
      source.addEventListener("beat", () => {
        alive();
        owed = true; // what is seen gets old also where nothing happens
      });
      source.onerror = () => {
        broken = true;
        owed = true;
        if (source.readyState !== EventSource.CLOSED) return; // it comes back by itself
        source.close();
        source = null;
        setTimeout(listen, pace());
        failures += 1;
      };
    };

    document.addEventListener("visibilitychange", () => {
      if (document.hidden) {
        if (source) source.close();
        source = null;
        return;
      }
      alive();
      owed = true;
      listen();
    });

    synchronise();
    speak();
    tick();
    listen();
    setInterval(() => {
      tick();
      watch();
      if (owed && !fetching && !document.hidden && Date.now() - fetched >= pace()) void fetchPage();
    }, 500);
  };

  if (document.readyState === "loading") addEventListener("DOMContentLoaded", begin);
  else begin();
})();
