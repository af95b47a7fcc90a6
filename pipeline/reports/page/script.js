"use strict";
(() => {
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const all = (query, within = document) => [...within.querySelectorAll(query)];

  // A clip that occurs twice has its pictures in the file once. Its other cards get copies.
  for (const spot of all("[data-pictures]")) {
    const pictures = document.getElementById(spot.dataset.pictures);
    if (!pictures) continue;
    const copy = pictures.cloneNode(true);
    copy.removeAttribute("id");
    spot.replaceWith(copy);
  }

  // At the top of the page, links get the frames of their clips.
  for (const link of all("[data-opening]")) {
    const reel = document.querySelector(`#${link.dataset.opening} .reel`);
    if (!reel) continue;
    const copy = reel.cloneNode(true);
    for (const name of ["tabindex", "role", "aria-label"]) copy.removeAttribute(name);
    copy.setAttribute("aria-hidden", "true");
    link.prepend(copy);
  }

  // A strip shows one tile at a time. Without this script, it can be scrolled.
  const prepare = (reel) => {
    const count = Number(reel.dataset.tiles);
    const times = reel.dataset.times.split(" ");
    const strip = reel.firstElementChild;
    const time = document.createElement("span");
    time.className = "at";
    time.setAttribute("aria-hidden", "true");
    const marks = document.createElement("span");
    marks.className = "marks";
    marks.setAttribute("aria-hidden", "true");
    for (let i = 0; i < count; i++) marks.append(document.createElement("i"));
    reel.after(time, marks);
    const middle = count >> 1;
    let tile = middle;
    let timer = 0;
    const show = (wanted) => {
      tile = (wanted + count) % count;
      strip.style.translate = `${(-100 * tile) / count}% 0`;
      time.textContent = times[tile] || "";
      [...marks.children].forEach((each, place) => each.classList.toggle("on", place === tile));
    };
    const stop = () => {
      clearInterval(timer);
      timer = 0;
    };
    const play = () => {
      if (timer || count < 2) return;
      timer = setInterval(() => show(tile + 1), 260);
    };
    reel.addEventListener("pointerenter", (event) => {
      if (event.pointerType === "mouse" && !calm.matches) play();
    });
    reel.addEventListener("pointerleave", () => {
      if (timer) {
        stop();
        show(middle);
      }
    });
    reel.addEventListener("click", () => (timer ? stop() : play()));
    reel.addEventListener("blur", stop);
    reel.addEventListener("keydown", (event) => {
      const steps = { ArrowRight: tile + 1, ArrowLeft: tile - 1, Home: 0, End: count - 1 };
      if (event.key in steps) {
        stop();
        show(steps[event.key]);
      } else if (event.key === " ") reel.click();
      else return;
      event.preventDefault();
    });
    reel.classList.add("live");
    show(middle);
  };
  all(".reel").forEach(prepare);

  // The filter: an item stays if its labels or its URI contain the text, or if an item in it stays.
  const search = document.getElementById("search");
  const shown = document.getElementById("shown");
  const plain = (text) => text.toLowerCase().replace(/\s+/g, " ").trim();
  const items = all("[data-search]").map((item) => ({ item, text: plain(item.dataset.search) }));
  const cards = all("article.clip");
  const filter = () => {
    const wanted = plain(search.value);
    const found = new Set(items.filter(({ text }) => text.includes(wanted)).map(({ item }) => item));
    const isIn = (part) => all("[data-search]", part).some((item) => found.has(item));
    for (const { item } of items) item.hidden = !found.has(item) && !isIn(item);
    for (const part of all(".group, main > section")) part.hidden = wanted !== "" && !isIn(part);
    const left = cards.filter((card) => !card.hidden).length;
    shown.textContent = wanted ? `${left} of ${cards.length} shown` : "";
    document.documentElement.classList.toggle("filtered", wanted !== "");
  };
  const clear = () => {
    search.value = "";
    filter();
  };
  document.getElementById("find").hidden = false;
  search.addEventListener("input", filter);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && search.value) clear();
    else if (event.key === "Escape") search.blur();
    else if (event.key === "/" && document.activeElement !== search && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  });

  // A link to something that the filter hides shows it again.
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    const target = link && document.getElementById(link.getAttribute("href").slice(1));
    if (target && target.closest("[hidden]")) clear();
  });
  if (search.value) filter();
})();
