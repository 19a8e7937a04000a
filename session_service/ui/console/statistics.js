// The charts of all sessions.

import { chart } from "./charts.js";
import { byId, call, number, time } from "./tools.js";

const REASONS = ["logout", "revoked", "admin", "limit", "replaced", "idle", "expired"];

/** Return how a period is named: its hour or its day, in UTC. */
function label(since, by) {
  return by === "hour" ? `${since.slice(5, 10)} ${since.slice(11, 16)}` : since.slice(0, 10);
}

export async function showStatistics(query) {
  const { by, periods, events_since: recorded, feed_behind_seconds: behind, webhooks } = await call("GET", `/sessions/statistics?${query}`);
  const labels = periods.map(({ since }) => label(since, by));
  const values = (of) => periods.map(of);
  const ended = REASONS.map((reason) => ({ name: reason, values: values((period) => period.ended[reason]) }));
  const created = [
    { name: "by a sign-in", values: values((period) => period.created.sign_in) },
    { name: "adopted", values: values((period) => period.created.adopted) },
  ];
  const limit = values((period) => period.ended.limit);
  byId("recorded").replaceChildren(...(recorded ? ["Changes are on record since ", time(recorded), "."] : ["No change is on record."]));
  byId("behind").textContent = `Backends that read the feed are behind by ${number.format(behind)} s.`;
  byId("webhooks").replaceChildren(
    ...webhooks.map(({ endpoint, behind_seconds: seconds, parked }) => {
      const item = document.createElement("li");
      item.textContent = `Webhook ${endpoint}: behind by ${number.format(seconds)} s, ${number.format(parked)} parked.`;
      return item;
    }),
  );
  byId("charts").replaceChildren(
    chart("Created sessions", labels, created),
    chart("Ended sessions, by reason", labels, ended),
    chart("Active sessions", labels, [{ name: "active at the end", values: values((period) => period.active) }], { line: true }),
    chart("Signed out by the device limit", labels, [{ name: "limit", values: limit }]),
  );
}
