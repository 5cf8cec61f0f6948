// Post-sync actions of an Application, on its page in Argo CD: an item in the status panel with a
// panel behind it, and a tab. It asks by Argo CD's proxy extension `postsync`, so that Argo CD's
// login and RBAC decide who sees what.
((window) => {
  "use strict";
  const { createElement: h, useEffect, useState } = window.React;
  const EVERY = 10000; // milliseconds between two looks while the page is visible
  const BASE = "extensions/postsync/v1/application/syncs";
  const BAD = ["failed", "cancelled"];
  const WAITS = ["held", "waiting", "collecting", "gated", "pending", "due", "running", "active"];
  const COLOURS = { bad: "#e96d76", waits: "#f4c030", well: "#18be94", quiet: "#8fa4b1" };

  const tone = (state) =>
    BAD.includes(state) ? "bad"
      : WAITS.includes(state) ? "waits"
        : state === "succeeded" ? "well" : "quiet";

  // Argo CD may be served below a path: the page's <base> has it.
  const address = (path) => new URL(path, window.document.baseURI).toString();

  async function ask(application, path) {
    const { name, namespace } = application.metadata;
    const answer = await window.fetch(address(BASE + path), {
      credentials: "same-origin",
      headers: {
        "Argocd-Application-Name": `${namespace}:${name}`,
        "Argocd-Project-Name": application.spec.project,
      },
    });
    if (answer.ok) return answer.json();
    const why = await answer.json().then((body) => body.detail, () => "");
    const known = {
      401: "you may not use the extension `postsync`, or Postsync does not know Argo CD's token",
      404: "the proxy extension `postsync` is not configured",
    };
    throw new Error(why || known[answer.status] || `answered ${answer.status}`);
  }

  // What is asked again and again while the page is visible: {data, error}.
  function useAnswer(application, path) {
    const { name, namespace } = application.metadata;
    const finished = ((application.status || {}).operationState || {}).finishedAt;
    const [found, setFound] = useState({});
    useEffect(() => {
      let over = false;
      const look = () => {
        if (window.document.visibilityState === "hidden") return;
        ask(application, path).then(
          (data) => over || setFound({ data }),
          (error) => over || setFound((before) => ({ data: before.data, error: error.message })),
        );
      };
      look();
      const timer = window.setInterval(look, EVERY);
      window.document.addEventListener("visibilitychange", look);
      return () => {
        over = true;
        window.clearInterval(timer);
        window.document.removeEventListener("visibilitychange", look);
      };
    }, [namespace, name, application.spec.project, finished, path]);
    return found;
  }

  const counted = (counts) =>
    Object.entries(counts).map(([state, number]) => `${number} ${state}`).join(", ");

  function added(plans) {
    const counts = {};
    for (const plan of plans) {
      for (const [state, number] of Object.entries(plan.runs)) {
        counts[state] = (counts[state] || 0) + number;
      }
      if (!Object.keys(plan.runs).length) counts[plan.state] = (counts[plan.state] || 0) + 1;
    }
    return counts;
  }

  const worst = (counts) =>
    ["bad", "waits", "well", "quiet"].find((one) => Object.keys(counts).some((s) => tone(s) === one));

  const Dot = ({ tone: which }) =>
    h("span", {
      "aria-hidden": true,
      style: {
        background: COLOURS[which || "quiet"], borderRadius: "50%", display: "inline-block",
        height: 9, marginRight: 6, width: 9,
      },
    });

  const State = ({ state }) => h("span", null, h(Dot, { tone: tone(state) }), state);

  const Problem = ({ error }) =>
    error ? h("div", { role: "alert", style: { color: COLOURS.bad } }, `Post-sync: ${error}`) : null;

  function Panel({ application, openFlyout }) {
    const { data, error } = useAnswer(application, "?limit=1");
    const newest = data && data.syncs[0];
    const counts = newest ? added(newest.plans) : {};
    const text = error ? "cannot be asked"
      : !data ? "…"
        : !newest ? "no sync yet"
          : newest.state === "new" || newest.state === "verifying" ? newest.state
            : Object.keys(counts).length ? counted(counts) : "nothing to do";
    const which = error ? "bad" : worst(counts);
    return h("div", { className: "application-status-panel__item" },
      h("label", { style: { fontSize: 12, fontWeight: 600 } }, "POST-SYNC"),
      h("button", {
        onClick: openFlyout, title: error || "What happened after the newest syncs",
        style: {
          background: "none", border: 0, color: "inherit", cursor: "pointer", font: "inherit",
          padding: 0, textAlign: "left",
        },
        type: "button",
      }, h(Dot, { tone: which }), text));
  }

  const cell = { padding: "4px 12px 4px 0", textAlign: "left", verticalAlign: "top" };
  const Row = ({ cells, head }) =>
    h("tr", null, ...cells.map((one, n) => h(head ? "th" : "td", { key: n, style: cell }, one)));

  // Why it is as it is: what it waits for, and how its last attempt ended.
  const why = (one, tried) =>
    [one.waitsFor && `waits for ${one.waitsFor}`, (!one.waitsFor || tried) && one.reason]
      .filter(Boolean).join("; after: ");

  function Runs({ application, sync }) {
    const { data, error } = useAnswer(application, `/${sync.id}/runs`);
    const rules = Object.fromEntries(sync.plans.map((plan) => [plan.id, plan.rule]));
    if (!data) return error ? h(Problem, { error }) : "…";
    return h("div", null,
      h(Problem, { error }),
      h("table", null,
        h("thead", null, h(Row, { cells: ["Rule", "Run", "State", "Target", "Why"], head: true })),
        h("tbody", null, ...data.runs.map((run) => h(Row, {
          cells: [
            rules[run.plan], `${run.action} (${run.handler})`, h(State, { state: run.state }),
            run.target, why(run, run.attempts),
          ],
          key: run.id,
        })))),
      data.more ? `and ${data.more} more` : null);
  }

  function Sync({ application, page, sync }) {
    const [open, setOpen] = useState(false);
    const changed = sync.changed === null ? "" : `, ${sync.changed} changed`;
    const listed = sync.resources === 1 ? "1 resource" : `${sync.resources} resources`;
    const when = sync.finishedAt || sync.receivedAt;
    return h("section", { style: { borderTop: "1px solid #8884", padding: "10px 0" } },
      h("div", null,
        h("strong", null, `${sync.phase || sync.channel} `),
        h("time", { dateTime: when, title: when }, new Date(when).toLocaleString()),
        ` ${sync.revision.slice(0, 8)}, ${listed}${changed} `,
        page
          ? h("a", { href: `${page}/${sync.id}`, rel: "noopener", target: "_blank" }, sync.id)
          : h("code", null, sync.id)),
      sync.reason ? h("div", null, sync.reason) : null,
      sync.plans.length
        ? h("table", null,
          h("thead", null, h(Row, { cells: ["Rule", "State", "Runs", "Why"], head: true })),
          h("tbody", null, ...sync.plans.map((plan) => h(Row, {
            cells: [
              plan.rule, h(State, { state: plan.state }), counted(plan.runs),
              why(plan, false),
            ],
            key: plan.id,
          }))))
        : h("div", null, sync.state === "planned" ? "no rule matched" : sync.state),
      sync.plans.length
        ? h("button", {
          "aria-expanded": open, className: "argo-button argo-button--base-o",
          onClick: () => setOpen(!open), type: "button",
        }, open ? "Hide runs" : "Show runs")
        : null,
      open ? h(Runs, { application, sync }) : null);
  }

  function Tab({ application }) {
    const { data, error } = useAnswer(application, "?limit=10");
    if (!data) return h("div", { style: { padding: 20 } }, error ? h(Problem, { error }) : "…");
    return h("div", { style: { overflowX: "auto", padding: 20 } },
      h(Problem, { error }),
      data.syncs.length
        ? data.syncs.map((sync) => h(Sync, { application, key: sync.id, page: data.page, sync }))
        : "No sync of this Application has been notified yet.");
  }

  const api = window.extensionsAPI;
  api.registerResourceExtension(Tab, "argoproj.io", "Application", "Post-sync", { icon: "fa-flag-checkered" });
  api.registerStatusPanelExtension(Panel, "Post-sync", "postsync", Tab);
})(window);
