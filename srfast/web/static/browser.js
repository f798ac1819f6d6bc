// Answers the page's REST calls inside the browser: the same page as the server's, with nothing sent anywhere.
"use strict";

(() => {
  const place = new URL(".", document.currentScript.src);
  const fetchFile = window.fetch.bind(window);
  const jobs = new Map(), waiting = new Map();
  const { maxIn, maxOut } = document.currentScript.dataset;
  const worker = new Worker(new URL("engine.js", place), { type: "module" });
  let asked = 0;

  const reply = (body, status = 200) => new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });
  const told = ({ file, blob, began, settings, ...job }) => job;

  worker.onmessage = ({ data: { id, ask, ended, blob, ...news } }) => {
    const job = jobs.get(id);
    if (ended && waiting.has(ask)) {
      waiting.get(ask)({ blob, ...news });
      waiting.delete(ask);
    }
    if (!job || (ended && ask)) return;
    if (news.state === "running") job.began = performance.now();
    Object.assign(job, news);
    if (!ended) return;
    job.state = news.error ? "failed" : "done";
    job.seconds = (performance.now() - job.began) / 1000;
    if (blob) Object.assign(job, { blob, bytes: blob.size, progress: 1 });
  };
  worker.onerror = () => {
    for (const job of jobs.values()) {
      if (["queued", "running"].includes(job.state)) Object.assign(job, { state: "failed", status: 500, error: "the page's worker has stopped; reload the page" });
    }
  };

  function create(form) {
    const file = form.get("picture"), settings = Object.fromEntries([...form].filter(([name]) => name !== "picture"));
    const id = crypto.randomUUID?.() || String(Math.random()).slice(2);
    const job = { id, name: file.name, state: "queued", progress: 0, left: null, model: settings.model, detail: 0, frames: 1 };
    jobs.set(id, { ...job, size: [0, 0], result_size: [0, 0], formats: ["png"], seconds: null, chosen: "", file, settings });
    worker.postMessage({ id, task: "upscale", file, settings, limits: { in: Number(maxIn), out: Number(maxOut) } });
    return reply(state(id), 202);
  }

  function state(id) {
    const queued = [...jobs.values()].filter((job) => job.state === "queued").findIndex((job) => job.id === id);
    return { ...told(jobs.get(id)), position: queued + 1, links: { self: `api/jobs/${id}`, result: `api/jobs/${id}/result` } };
  }

  function forget(id) {
    worker.postMessage({ id, task: "forget" });
    jobs.delete(id);
    return new Response(null, { status: 204 });
  }

  async function result(id, format) {
    const job = jobs.get(id), made = job.formats[0];
    let { blob } = job;
    if (format && format !== made) {
      const ask = ++asked;
      worker.postMessage({ id, task: "convert", format, ask });
      const answer = await new Promise((done) => waiting.set(ask, done));
      if (answer.error) return reply({ error: answer.error }, answer.status);
      ({ blob } = answer);
    }
    const stem = job.name.replace(/\.[^.]*$/, "") || "picture", ending = { jpeg: "jpg" }[format || made] || format || made;
    const name = `${stem}_x${Number((job.result_size[0] / job.size[0]).toPrecision(3))}.${ending}`;
    return new Response(blob, { headers: { "Content-Disposition": `attachment; filename*=utf-8''${encodeURIComponent(name)}` } });
  }

  window.fetch = async (source, options = {}) => {
    const url = new URL(source, place), found = /\/api\/jobs(?:\/([\w-]+)(\/result)?)?$/.exec(url.pathname);
    if (!found) return fetchFile(source, options);
    const [, id, wantsResult] = found, method = options.method || "GET";
    if (!id) return create(options.body);
    if (!jobs.has(id)) return reply({ error: "no such job" }, 404);
    if (method === "DELETE") return forget(id);
    return wantsResult ? result(id, url.searchParams.get("format")) : reply(state(id));
  };

  if ("serviceWorker" in navigator) navigator.serviceWorker.register(new URL("../offline.js", place)).catch(() => {});
})();
