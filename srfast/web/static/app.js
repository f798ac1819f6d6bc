// The page of srfast: images in, REST calls out, before and after. Nothing is loaded from another host.
"use strict";

const $ = (id) => document.getElementById(id);
const main = document.querySelector("main");
const AT_ONCE = 2; // images of this page that the server has at a time
const AGAIN = 5; // seconds until a server that is gone is looked for again
const BUSY = ["waiting", "sending", "queued", "running"];
const items = [];
let shown = null;

// ---------------------------------------------------------------- words

const TEXTS = JSON.parse(main.dataset.texts);
const t = (key, fields = {}) => TEXTS[key].replace(/\{(\w+)\}/g, (_, name) => fields[name]);
const language = document.documentElement.lang;
const number = (n) => n.toLocaleString(language);
const pixels = ([w, h]) => `${number(w)}\u00a0×\u00a0${number(h)}`;
const bytes = (n) => (n < 1e6 ? `${Math.max(1, Math.round(n / 1e3))}\u00a0kB` : `${(n / 1e6).toFixed(1)}\u00a0MB`);
const seconds = (s) => (s < 10 ? `${s.toFixed(1)}\u00a0s` : s < 90 ? `${Math.round(s)}\u00a0s` : `${Math.round(s / 60)}\u00a0min`);
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?。]$/.test(text) ? "" : ".");
const BEGINS = { 413: "too_large", 415: "unreadable", 422: "invalid" };
const begin = (status) => (BEGINS[status] ? t(BEGINS[status]) : "");
const news = (text) => ($("news").textContent = text);
const limit = (name) => Number(main.dataset[name]);

// ---------------------------------------------------------------- calls

// A token is asked for once; what needs it waits.
const plain = (token) => /^[\x21-\x7e]+$/.test(token);
let given = () => {};

function askToken(note) {
  $("token-note").textContent = note;
  if (document.activeElement !== $("token")) $("token").focus();
  return new Promise((done) => (given = done));
}

async function call(path, options = {}) {
  const token = main.dataset.token && sessionStorage.getItem("token");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch(path, { ...options, headers });
  if (answer.ok) return answer;
  let message = answer.statusText || t("no_reason");
  try { message = (await answer.json()).error; } catch { /* no JSON: the status must do */ }
  if (answer.status === 404) message = t("expired");
  const error = new Error(sentence(begin(answer.status) + message));
  error.status = answer.status;
  error.wait = Number(answer.headers.get("Retry-After")) || 1;
  throw error;
}

const pause = (s) => new Promise((done) => setTimeout(done, s * 1000));
const say = (error) => (error.status ? error.message : t("unreachable"));

// Asks until there is an answer: a busy server says when to come again, one that is gone is looked for, a token is asked for.
async function insist(item, ask) {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (error.status === 401 && $("token") && !item.gone) {
        change(item, item.state, t("needs_token"));
        await askToken(sessionStorage.getItem("token") ? t("token_wrong") : "");
        $("token-note").textContent = "";
        continue;
      }
      if (item.gone || (error.status && ![429, 503].includes(error.status))) throw error;
      const why = error.status ? t("busy") : say(error);
      news(`${item.file.name}: ${why}`);
      for (let left = error.wait || AGAIN; left > 0 && !item.gone; left--) {
        change(item, item.state, t("next_try", { why, left }));
        await pause(1);
      }
      if (item.gone) throw error;
    }
  }
}

async function fetchFile(path) {
  const answer = await call(path);
  const message = answer.headers.get("Content-Disposition");
  const long = /filename\*=utf-8''([^;]+)/i.exec(message), plain = /filename="([^"]+)"/.exec(message);
  const blob = await answer.blob();
  return { blob, url: URL.createObjectURL(blob), name: long ? decodeURIComponent(long[1]) : plain[1] };
}

// ---------------------------------------------------------------- the list

function add(files) {
  for (const file of files) {
    const li = $("row").content.firstElementChild.cloneNode(true);
    const item = { file, li, url: URL.createObjectURL(file), state: "ready", job: null, made: {}, size: null, saved: false };
    const part = (name) => li.querySelector(name);
    const name = file.name || t("pasted"), thumb = part(".thumb");
    thumb.addEventListener("error", () => (thumb.hidden = true));
    thumb.addEventListener("load", () => measured(item, [thumb.naturalWidth, thumb.naturalHeight]));
    thumb.src = item.url;
    part(".name").textContent = name;
    part(".show").setAttribute("aria-label", t("show_name", { name }));
    part(".again").setAttribute("aria-label", t("again_name", { name }));
    part(".save").setAttribute("aria-label", t("save_name", { name }));
    part(".show").addEventListener("click", () => show(item));
    part(".again").title = t("settings_now");
    part(".again").addEventListener("click", () => $("ask").reportValidity() && start([item]));
    part(".save").addEventListener("click", () => save(item, Object.values(item.made)[0]));
    part(".drop").addEventListener("click", () => remove(item));
    $("list").append(li);
    items.push(item);
    if (file.size > limit("maxUpload")) {
      fail(item, t("too_large") + t("bytes_limit", { most: bytes(limit("maxUpload")), got: bytes(file.size) }));
    } else change(item, "ready");
  }
  if (files.length) news(files.length === 1 ? t("added", { name: files[0].name }) : t("added_many", { count: files.length }));
  tidy();
}

// The browser knows the size of most images before they are sent.
function measured(item, size) {
  item.size = size;
  const got = size[0] * size[1];
  if (got > limit("maxIn") && item.state === "ready") {
    fail(item, t("too_large") + t("pixels_limit", { most: number(limit("maxIn")), got: number(got) }));
  } else if (item.state === "ready") {
    choose();
    change(item, "ready");
  }
}

const failedBefore = (item) => item.state === "failed" && item.settings && item.status !== 415;
const mayAgain = (item) => item.state === "done" || failedBefore(item);

// What the large button does: what is new; else what is shown, with settings it has not had; else what has failed.
function chosen() {
  const ready = items.filter((item) => item.state === "ready");
  if (ready.length) return ready;
  const other = (item) => item.state === "done" && item.asked !== JSON.stringify(settings());
  return (shown ? [shown] : items).filter((item) => failedBefore(item) || other(item));
}

function tidy() {
  document.body.classList.toggle("busy", items.length > 0);
  $("pictures").hidden = !items.length;
  const next = chosen(), again = next.some(mayAgain), count = next.length;
  $("start").setAttribute("aria-disabled", !count); // disabled, it would lose the keyboard's focus
  const what = count > 1 ? t("start_many", { count }) : t("start");
  $("start").textContent = again ? t("again_all", { what }) : what;
  const of = (test) => items.filter(test).length, done = of((item) => item.state === "done");
  $("zip").hidden = done < 2;
  $("retry").hidden = !of(failedBefore);
  $("clear").hidden = !of((item) => !BUSY.includes(item.state));
  const work = items.filter((item) => BUSY.includes(item.state) || (item.settings && ["done", "failed"].includes(item.state)));
  $("whole").hidden = work.length < 2 || !of((item) => BUSY.includes(item.state));
  const share = (item) => (BUSY.includes(item.state) ? (item.state === "running" && item.job.progress) || 0 : 1);
  $("overall").value = work.reduce((sum, item) => sum + share(item), 0) / (work.length || 1);
  const words = t("overall_state", { done: work.filter((item) => !BUSY.includes(item.state)).length, count: work.length });
  if ($("overall-state").textContent !== words) $("overall-state").textContent = words;
  expect();
}

function describe(item) {
  const { job, file } = item;
  if (item.state !== "done") return [item.size && pixels(item.size), bytes(file.size)].filter(Boolean).join(" · ");
  const model = job.chosen ? `${job.model}: ${job.chosen}` : job.model;
  const facts = [t("to", { before: pixels(job.size), after: pixels(job.result_size) }), bytes(job.bytes), seconds(job.seconds), model];
  return facts.join(" · ") + (job.detail ? `, ${t("detail_of", { n: job.detail })}` : "");
}

function change(item, state, message) {
  const words = { ready: "ready", waiting: "waiting", sending: "sending", queued: "waiting", running: "working", done: "done" };
  const { li } = item;
  item.state = state;
  li.className = state + (item === shown ? " shown" : "");
  li.querySelector(".facts").textContent = describe(item);
  li.querySelector(".state").textContent = message === undefined ? (words[state] ? t(words[state]) : "") + (item.note ? ` · ${item.note}` : "") : message;
  const bar = li.querySelector("progress");
  bar.hidden = !BUSY.includes(state);
  if (state === "running" && item.job.progress) bar.value = item.job.progress;
  else if (state === "waiting") bar.value = 0; // nothing happens yet
  else bar.removeAttribute("value");
  li.querySelector(".show").disabled = state !== "done";
  li.querySelector(".again").hidden = !mayAgain(item);
  li.querySelector(".save").hidden = state !== "done";
  if (item === shown) for (const button of $("takes").querySelectorAll("button")) button.setAttribute("aria-disabled", state !== "done");
  const drop = li.querySelector(".drop"), name = item.file.name;
  drop.setAttribute("aria-label", t(bar.hidden ? "remove_name" : "cancel_name", { name }));
  tidy();
}

function fail(item, message, status = 0) {
  item.status = status;
  change(item, "failed", message);
  news(`${item.file.name}: ${message}`);
}

// Removes an image from the server; the page keeps its own.
function forget(item) {
  if (item.job && item.status !== 404) call(`api/jobs/${item.job.id}`, { method: "DELETE", keepalive: true }).catch(() => {});
  item.job = null;
  for (const file of Object.values(item.made)) URL.revokeObjectURL(file.url);
  item.made = {};
}

function remove(item) {
  const place = items.indexOf(item);
  items.splice(place, 1);
  item.gone = true;
  forget(item);
  URL.revokeObjectURL(item.url);
  item.li.remove();
  if (item === shown) hide();
  tidy();
  pump();
  const next = items[Math.min(place, items.length - 1)];
  (next ? next.li.querySelector(".drop") : $("choose")).focus();
}

// ---------------------------------------------------------------- work: one image is sent at a time, so that they keep their order

function settings() {
  const form = new FormData($("ask"));
  const switches = { consistent: form.has("consistent"), ensemble: form.has("ensemble"), metadata: !form.has("private") };
  const found = { model: form.get("model"), detail: form.get("detail") || "0", format: form.get("format") || "auto", ...switches };
  return form.get("size") === "exact" ? { ...found, width: form.get("width"), height: form.get("height") } : { ...found, scale: form.get("size") };
}

// The width and height of a result, null where the size of the image is unknown.
function resultSize(item, { scale, width, height }) {
  if (!item.size) return null;
  const [w, h] = item.size;
  if (scale) return [Math.round(w * scale), Math.round(h * scale)];
  return [Number(width) || Math.round((w * height) / h), Number(height) || Math.round((h * width) / w)];
}

const fits = (item, scale) => !item.size || item.size[0] * item.size[1] * scale * scale <= limit("maxOut");
const SCALES = [8, 4, 3, 2];
const largest = (item, wanted) => SCALES.find((scale) => scale <= wanted && fits(item, scale));

// One image too large for the scale has the largest that fits, and its row says so.
function settingsOf(item) {
  const found = settings(), wanted = Number(found.scale);
  item.note = "";
  if (found.format === "auto" && item.file.type === "image/gif" && $("format")) found.format = "gif";
  if (!wanted || fits(item, wanted)) return found;
  const scale = largest(item, wanted) || Math.floor(100 * Math.sqrt(limit("maxOut") / (item.size[0] * item.size[1]))) / 100;
  if (scale < 1) return null;
  item.note = t("smaller_scale", { scale, wanted });
  return { ...found, scale: String(scale) };
}

// Until somebody chooses, large photographs get the largest scale that fits.
const touched = new Set();

function choose() {
  if (touched.has("size")) return;
  const scales = items.filter((item) => item.state === "ready").map((item) => largest(item, 4) || 2);
  if (scales.length) document.querySelector(`[name=size][value="${Math.min(...scales)}"]`).checked = true;
}

// ---- the expected size and time of what is next

const rates = {}; // seconds for a megapixel, by model and scale

async function learnRate(model, scale) {
  const key = `${model} ${scale}`;
  if (key in rates) return;
  rates[key] = 0;
  if (main.dataset.token && !sessionStorage.getItem("token")) return delete rates[key];
  try {
    rates[key] = (await (await call(`api/rate?model=${encodeURIComponent(model)}&scale=${scale}`)).json()).seconds;
    expect();
  } catch { delete rates[key]; }
}

const megapixels = (item) => (item.size ? (item.size[0] * item.size[1]) / 1e6 : 0);
const cost = (item, found, model = found.model) => megapixels(item) * (rates[`${model} ${found.scale || 4}`] || 0) * (found.ensemble ? 8 : 1);

function expect() {
  const next = chosen().filter((item) => item.size), found = settings(), lines = [], wanted = Number(found.scale);
  for (const radio of document.querySelectorAll("[name=size]:not([value=exact])")) {
    const out = next.length > 0 && next.every((item) => !fits(item, Number(radio.value)));
    radio.nextElementSibling.classList.toggle("out", out);
    radio.nextElementSibling.title = out ? t("too_large_here", { scale: radio.value, most: number(limit("maxOut") / 1e6) }) : "";
  }
  if (next.length && next.every((item) => Math.sqrt(limit("maxOut")) < Math.sqrt(item.size[0] * item.size[1]))) lines.push(t("none_fits"));
  else if (next.length) {
    const own = next.map((item) => [item, wanted && !fits(item, wanted) ? { ...found, scale: String(largest(item, wanted) || 1) } : found]);
    const [first, its] = own[0], after = resultSize(first, its);
    const time = own.reduce((sum, [item, set]) => sum + cost(item, set), 0);
    const large = Math.max(...own.map(([item, set]) => cost(item, set)));
    const what = next.length === 1 ? t("to", { before: pixels(first.size), after: pixels(after) }) : t("many", { count: next.length });
    if (after[0] && after[1]) lines.push(time >= 1 ? `${what} · ${t("about", { time: seconds(time) })}` : what);
    if (its.scale !== found.scale) lines.push(`${t("smaller_scale", { scale: its.scale, wanted: found.scale })}.`);
    if (!found.scale && found.width && found.height && Math.abs((after[0] * first.size[1]) / (after[1] * first.size[0]) - 1) > 0.01) lines.push(t("shape"));
    if (large > limit("seconds")) lines.push(t("too_slow"));
    const photo = own.reduce((sum, [item, set]) => sum + cost(item, set, "photo"), 0);
    if (!touched.has("model") && found.model === "photo" && photo > 180 && $("model").querySelector("[value=fast]")) {
      $("model").value = "fast";
      return fields();
    }
    if (!touched.has("model") && found.model === "fast" && photo > 180) lines.push(t("chosen_fast", { time: seconds(photo) }));
    const asked = new Set(own.filter(([item]) => megapixels(item) > 0.2).map(([, set]) => set.scale || "4"));
    for (const scale of asked) learnRate(found.model, scale);
  }
  const text = lines.map(sentence).join(" ");
  if ($("expect").textContent !== text) $("expect").textContent = text;
}

function start(pictures) {
  for (const item of pictures) {
    forget(item);
    item.status = 0;
    item.saved = false;
    item.settings = settingsOf(item);
    item.asked = JSON.stringify(settings());
    if (item.settings) change(item, "waiting");
    else fail(item, t("none_fits"), 413);
  }
  pictures[0]?.li.scrollIntoView({ block: "nearest" });
  pump();
}

function pump() {
  const working = items.filter((item) => ["sending", "queued", "running"].includes(item.state));
  const item = items.find((item) => item.state === "waiting");
  if (!item || working.length >= AT_ONCE || working.some((item) => item.state === "sending")) return;
  item.state = "sending";
  enlarge(item).catch((error) => item.gone || fail(item, say(error), error.status)).finally(pump);
}

async function send(item) {
  await item.file.slice(0, 1).arrayBuffer().catch(() => {
    throw Object.assign(new Error(t("gone")), { status: 415 });
  });
  const form = new FormData();
  for (const [name, value] of Object.entries(item.settings)) form.append(name, value);
  form.append("picture", item.file, item.file.name || "picture");
  change(item, "sending");
  return insist(item, async () => (await call("api/jobs", { method: "POST", body: form })).json());
}

async function enlarge(item) {
  item.job = await send(item);
  if (item.gone) return forget(item);
  const { id } = item.job;
  for (let wait = 0.15; ; wait = Math.min(1, wait * 1.3)) {
    tell(item);
    pump();
    if (["done", "failed"].includes(item.job.state)) break;
    await pause(wait);
    const now = item.gone || await insist(item, async () => (await call(`api/jobs/${id}`)).json());
    if (item.gone) return;
    item.job = now;
  }
  if (item.job.state === "failed") return fail(item, sentence(begin(item.job.status) + item.job.error), item.job.status);
  const kind = item.settings.format === "auto" ? item.job.formats[0] : item.settings.format;
  item.made[kind] = await insist(item, () => fetchFile(`api/jobs/${id}/result`));
  item.seen = kind === "tiff" && item.job.formats.includes("png") && item.job.frames === 1
    ? await fetchFile(`api/jobs/${id}/result?format=png`).catch(() => item.made[kind]) : item.made[kind];
  if (item.gone) return forget(item);
  change(item, "done");
  news(t("finished", { name: item.file.name, size: pixels(item.job.result_size), time: seconds(item.job.seconds) }));
  if (shown && shown !== item) return;
  const first = !shown;
  show(item, false);
  if (first) $("viewer").scrollIntoView({ block: "nearest" });
}

function tell(item) {
  const { state, position, progress, left } = item.job;
  if (state === "queued") change(item, "queued", position > 1 ? t("place", { n: position }) : t("place_next"));
  if (state === "running") {
    const percent = Math.round(progress * 100), time = left && seconds(Math.ceil(left));
    change(item, "running", !progress || left === null ? undefined : t(left < 1 ? "nearly" : "left", { percent, time }));
  }
}

// ---------------------------------------------------------------- before and after

const view = { zoom: 1, fit: 1, x: 0, y: 0, cut: 50, w: 1, h: 1 };
const stage = $("stage");

function show(item, jump = true) {
  if (shown) shown.li.classList.remove("shown");
  shown = item;
  item.li.classList.add("shown");
  $("viewer").hidden = false;
  $("shown-name").textContent = item.file.name;
  $("shown-facts").textContent = describe(item);
  const said = $("unseen-note");
  said.hidden = true;
  [view.w, view.h] = item.job.result_size;
  $("before-img").hidden = false;
  $("before-img").onerror = () => ($("before-img").hidden = true);
  $("after-img").onerror = () => {
    said.textContent = t("unshown");
    said.hidden = false;
  };
  $("before-img").alt = t("before_name", { name: item.file.name });
  $("after-img").alt = t("after_name", { name: item.file.name });
  const both = [[$("before-img"), item.url], [$("after-img"), item.seen.url]];
  for (const [img, url] of both) img.src = url;
  if (item.job.frames > 1) Promise.allSettled(both.map(([img]) => img.decode())).then(() => both.forEach(([img, url]) => (img.src = `${url}#`))); // in step
  for (const img of [$("before-img"), $("after-img")]) [img.width, img.height] = [view.w, view.h];
  stage.style.aspectRatio = `${view.w} / ${view.h}`;
  offer(item);
  warn("");
  cut(50);
  fit();
  if (jump) {
    $("viewer").focus({ preventScroll: true });
    $("viewer").scrollIntoView({ block: "nearest" });
  }
}

function hide() {
  shown = null;
  $("viewer").hidden = true;
  const next = items.find((item) => item.state === "done");
  if (next) show(next, false);
}

function cut(percent) {
  view.cut = Math.min(100, Math.max(0, percent));
  stage.style.setProperty("--cut", `${view.cut}%`);
  $("cut").value = view.cut;
  $("cut").setAttribute("aria-valuetext", t("cut", { before: Math.round(view.cut), after: Math.round(100 - view.cut) }));
}

function place() {
  const { clientWidth: w, clientHeight: h } = stage;
  const inside = (at, side, room) => (side <= room ? (room - side) / 2 : Math.min(0, Math.max(room - side, at)));
  view.x = inside(view.x, view.w * view.zoom, w);
  view.y = inside(view.y, view.h * view.zoom, h);
  for (const img of [$("before-img"), $("after-img")]) img.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.zoom})`;
  stage.classList.toggle("zoomed", view.zoom > view.fit * 1.001);
  stage.classList.toggle("grid", view.zoom * devicePixelRatio >= 3);
  $("zoom-shown").textContent = `${Math.round(view.zoom * devicePixelRatio * 100)} %`;
}

function fit() {
  view.fit = Math.min(stage.clientWidth / view.w, stage.clientHeight / view.h);
  view.zoom = view.fit;
  place();
}

function zoom(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  const before = view.zoom;
  view.zoom = Math.min(Math.max(8, view.fit), Math.max(Math.min(view.fit, 1), before * factor));
  view.x = x - (x - view.x) * (view.zoom / before);
  view.y = y - (y - view.y) * (view.zoom / before);
  place();
}

const zooms = { in: () => zoom(1.5), out: () => zoom(1 / 1.5), fit, full: () => zoom(1 / (view.zoom * devicePixelRatio)) };
for (const button of document.querySelectorAll("[data-zoom]")) button.addEventListener("click", zooms[button.dataset.zoom]);
$("screen").addEventListener("click", () => (document.fullscreenElement ? document.exitFullscreen() : $("viewer").requestFullscreen()));
if (!document.fullscreenEnabled) $("screen").hidden = true;
$("cut").addEventListener("input", () => cut(Number($("cut").value)));

$("viewer").addEventListener("keydown", (event) => {
  const keys = { "+": zooms.in, "=": zooms.in, "-": zooms.out, 0: fit, 1: zooms.full };
  const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.shiftKey && moves[event.key]) {
    view.x += moves[event.key][0];
    view.y += moves[event.key][1];
    place();
  } else if (keys[event.key]) keys[event.key]();
  else return;
  event.preventDefault();
});

// One finger or the mouse: the border, or the image where it is larger than the window. Two fingers: zoom.
const touches = new Map();
let drags = null;

stage.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  const box = stage.getBoundingClientRect();
  const near = Math.abs(event.clientX - box.left - (box.width * view.cut) / 100) < 28;
  stage.setPointerCapture(event.pointerId);
  touches.set(event.pointerId, event);
  drags = near || !stage.classList.contains("zoomed") ? "cut" : "picture";
  if (drags === "cut") cut(((event.clientX - box.left) / box.width) * 100);
  $("cut").focus({ preventScroll: true });
  event.preventDefault();
});

stage.addEventListener("pointermove", (event) => {
  const last = touches.get(event.pointerId);
  if (!last) return;
  const box = stage.getBoundingClientRect();
  const other = [...touches.values()].find((touch) => touch.pointerId !== event.pointerId);
  touches.set(event.pointerId, event);
  if (other) {
    const apart = (a, b) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) || 1;
    zoom(apart(event, other) / apart(last, other), (event.clientX + other.clientX) / 2 - box.left, (event.clientY + other.clientY) / 2 - box.top);
  } else if (drags === "cut") cut(((event.clientX - box.left) / box.width) * 100);
  else {
    view.x += event.clientX - last.clientX;
    view.y += event.clientY - last.clientY;
    place();
  }
});

for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, (event) => touches.delete(event.pointerId));
stage.addEventListener("dblclick", () => (stage.classList.contains("zoomed") ? fit() : zooms.full()));
stage.addEventListener("wheel", (event) => {
  if (!event.ctrlKey) return;
  event.preventDefault();
  const box = stage.getBoundingClientRect();
  zoom(Math.exp(-event.deltaY / 200), event.clientX - box.left, event.clientY - box.top);
}, { passive: false });
new ResizeObserver(() => (stage.classList.contains("zoomed") ? place() : fit())).observe(stage);

// ---------------------------------------------------------------- download

const TITLES = { png: "PNG", jpeg: "JPEG", webp: "WebP", tiff: "TIFF", gif: "GIF" };

function offer(item) {
  const made = Object.keys(item.made)[0];
  const also = (name) => !["tiff", "gif"].includes(name) || (name === "gif" && item.job.frames > 1) || name === item.job.formats[0];
  const wanted = [made, ...item.job.formats.filter((name) => name !== made && also(name))];
  $("takes").replaceChildren($("takes").firstElementChild, ...wanted.map((name) => {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "button", textContent: TITLES[name] });
    button.addEventListener("click", () => button.ariaDisabled !== "true" && download(item, name, button));
    return button;
  }));
}

function hand(url, name) {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  news(t("downloaded", { name }));
}

function save(item, file) {
  hand(file.url, file.name);
  item.saved = true;
}

// What was fetched once needs no server any more.
async function download(item, format, button) {
  button.setAttribute("aria-disabled", true);
  let message = "";
  try {
    item.made[format] ||= await fetchFile(`api/jobs/${item.job.id}/result?format=${format}`);
    save(item, item.made[format]);
  } catch (error) {
    message = say(error);
    news(message);
  }
  button.setAttribute("aria-disabled", false);
  if (item === shown) warn(message);
}

// All results in one ZIP, stored as they are.
const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n;
});

function checksum(data) {
  let sum = -1;
  for (const byte of data) sum = CRC[(sum ^ byte) & 255] ^ (sum >>> 8);
  return ~sum >>> 0;
}

const little = (...pairs) => {
  const view = new DataView(new ArrayBuffer(pairs.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of pairs) (size === 2 ? view.setUint16(at, value, true) : view.setUint32(at, value, true)), (at += size);
  return view;
};

async function zip(files) {
  const parts = [], ends = [], names = {};
  let at = 0;
  for (const file of files) {
    const data = new Uint8Array(await file.blob.arrayBuffer());
    const count = (names[file.name] = (names[file.name] || 0) + 1), dot = file.name.lastIndexOf(".");
    const name = new TextEncoder().encode(count > 1 ? `${file.name.slice(0, dot)} (${count})${file.name.slice(dot)}` : file.name);
    const common = [[2, 20], [2, 0x800], [2, 0], [2, 0], [2, 0x21], [4, checksum(data)], [4, data.length], [4, data.length], [2, name.length], [2, 0]];
    parts.push(little([4, 0x04034b50], ...common), name, data);
    ends.push(little([4, 0x02014b50], [2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, at]), name);
    at += 30 + name.length + data.length;
  }
  const size = ends.reduce((sum, part) => sum + part.byteLength, 0);
  const last = little([4, 0x06054b50], [2, 0], [2, 0], [2, files.length], [2, files.length], [4, size], [4, at], [2, 0]);
  return new Blob([...parts, ...ends, last], { type: "application/zip" });
}

$("zip").addEventListener("click", async () => {
  const done = items.filter((item) => item.state === "done");
  const url = URL.createObjectURL(await zip(done.map((item) => Object.values(item.made)[0])));
  hand(url, "srfast.zip");
  for (const item of done) item.saved = true;
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
});
$("retry").addEventListener("click", () => $("ask").reportValidity() && start(items.filter(failedBefore)));
// The shown image goes last: otherwise each of the others would be shown for a moment.
$("clear").addEventListener("click", () => {
  const idle = items.filter((item) => !BUSY.includes(item.state) && item !== shown);
  (shown && !BUSY.includes(shown.state) ? [...idle, shown] : idle).forEach(remove);
});

function warn(message) {
  $("take-note").textContent = message;
  $("take-note").hidden = !message;
}

// ---------------------------------------------------------------- adding images

$("choose").addEventListener("change", () => {
  add([...$("choose").files]);
  $("choose").value = "";
});
$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  if (chosen().length) start(chosen());
});

$("sample").addEventListener("click", async () => {
  const file = await (await fetch("static/sample.png")).blob();
  add([new File([file], "sample.png", { type: "image/png" })]);
  start(items.slice(-1));
});

// Only what can be seen is asked for: a width, a height, or both; detail where the model has it.
function fields() {
  const model = $("model").selectedOptions[0], { value } = $("detail"), wanted = Number(settings().scale);
  $("exact").hidden = $("exact").disabled = !document.querySelector("[value=exact]").checked;
  $("width").required = !$("height").value;
  $("details").hidden = $("detail").disabled = !model.dataset.detail;
  $("detail-shown").textContent = value;
  const ends = { 0: `, ${t("faithful")}`, 1: `, ${t("sharp")}` };
  $("detail").setAttribute("aria-valuetext", value + (ends[value] || ""));
  explain(wanted, model.dataset.scales.split(",").map(Number));
  tidy();
}

// How a model gets to a scale that it does not have.
function explain(wanted, scales) {
  const single = scales.find((scale) => scale >= wanted);
  const pairs = scales.flatMap((a) => scales.filter((b) => b <= a && a * b >= wanted).map((b) => [a, b])).sort((x, y) => x[0] * x[1] - y[0] * y[1]);
  const parts = single ? [single] : pairs[0] || [];
  const product = parts.reduce((all, part) => all * part, 1), fields = { scale: wanted, parts: parts.map((part) => `${part}×`).join(" · ") };
  $("steps").hidden = !wanted || !parts.length || single === wanted;
  $("steps").textContent = $("steps").hidden ? "" : t(product === wanted ? "steps" : "reduced", fields);
}

// Settings are remembered, except sizes in pixels.
const KEPT = ["model", "consistent", "ensemble", "private", "format", "detail"].filter($);

function remember(event) {
  touched.add(event.target.name);
  const kept = Object.fromEntries(KEPT.map((name) => [name, $(name).type === "checkbox" ? $(name).checked : $(name).value]));
  if (touched.has("size") && settings().scale) kept.size = settings().scale;
  localStorage.setItem("settings", JSON.stringify(kept));
}

function recall() {
  const kept = JSON.parse(localStorage.getItem("settings") || "{}");
  for (const name of KEPT.filter((name) => name in kept)) {
    if ($(name).type === "checkbox") $(name).checked = kept[name];
    else if ($(name).tagName !== "SELECT" || [...$(name).options].some((option) => option.value === kept[name])) $(name).value = kept[name];
    if (name === "model" && kept.model !== "photo") touched.add("model");
  }
  const radio = kept.size && document.querySelector(`[name=size][value="${CSS.escape(kept.size)}"]`);
  if (radio) radio.checked = true;
}

$("ask").addEventListener("input", (event) => {
  remember(event);
  fields();
});

document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files || [])];
  if (!files.length) return;
  event.preventDefault();
  add(files);
});

let depth = 0;
const over = (change) => document.body.classList.toggle("over", (depth = Math.max(0, depth + change)) > 0);
addEventListener("dragenter", (event) => { event.preventDefault(); over(1); });
addEventListener("dragleave", () => over(-1));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  over(-depth);
  add([...event.dataTransfer.files]);
});

// Leaving asks first while images are in progress or a result was not downloaded; then they are removed from the server.
const unsaved = (item) => BUSY.includes(item.state) || (item.state === "done" && !item.saved);
addEventListener("beforeunload", (event) => items.some(unsaved) && event.preventDefault());
addEventListener("pagehide", (event) => event.persisted || items.forEach(forget));

// With a token the server shows its own models.
async function listOwn() {
  const found = (await (await call("api/models")).json()).models.filter((model) => !model.bundled);
  if (!found.length || $("model").querySelector("[data-own]")) return;
  const group = document.createElement("optgroup");
  group.label = t("own");
  for (const { name, scales, detail } of found) {
    const option = new Option(`${name} · ${scales.map((scale) => `${scale}×`).join(", ")}`, name);
    Object.assign(option.dataset, { own: "yes", scales: scales.join(","), detail: detail ? "yes" : "" });
    group.append(option);
  }
  $("model").append(group);
}

if ($("token")) {
  $("token").value = sessionStorage.getItem("token") || "";
  $("token").addEventListener("input", () => {
    const token = $("token").value.trim();
    $("token-note").textContent = !token || plain(token) ? "" : t("token_signs");
  });
  $("token").addEventListener("change", () => {
    const token = $("token").value.trim();
    if (!plain(token)) return;
    sessionStorage.setItem("token", token);
    given();
    listOwn().catch((error) => error.status === 401 && ($("token-note").textContent = t("token_wrong")));
  });
  $("token").addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    $("token").dispatchEvent(new Event("change"));
  });
  if ($("token").value) listOwn().catch(() => {});
}
recall();
fields();
