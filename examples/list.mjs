#!/usr/bin/env node
// Lists what runs under tsm, then prints each event as it happens. Needs `tsm daemon start`, and no package.
import { createConnection } from "node:net";
import { homedir } from "node:os";
import { createInterface } from "node:readline";

const { TSM_DIR, XDG_STATE_HOME } = process.env;
const dir = TSM_DIR || `${XDG_STATE_HOME || `${homedir()}/.local/state`}/tsm`;
const daemon = createConnection(`${dir}/daemon/daemon.sock`);
const ask = (id, method, params = {}) =>
  daemon.write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`);

ask(1, "list");
ask(2, "events.subscribe"); // { since: SEQ } goes on where an earlier connection ended
for await (const line of createInterface({ input: daemon })) {
  const { id, result, error, params } = JSON.parse(line);
  if (error) throw new Error(error.message);
  if (id === 1) result.forEach((one) => console.log(one.id, one.name, one.status, one.ports.join()));
  if (params) console.log(params.event.seq, params.event.name, params.event.event);
}
