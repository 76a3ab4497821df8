// Does the work (work.py) with Node: `fetch`, which is undici's, or `http` with an agent that keeps connections.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { Agent, request } from "node:http";

const [url, token, file, kind] = process.argv.slice(2);
const WORKERS = 4;
const agent = new Agent({ keepAlive: true, maxSockets: WORKERS });

const bodyOf = ({ path, size }) => Buffer.alloc(size, path + "\n");

async function* pieces(work) {
  const body = bodyOf(work);
  for (let at = 0; at < body.length; at += 8192) yield body.subarray(at, at + 8192);
}

async function byFetch(work, headers) {
  const options = { method: work.method, headers };
  if (work.how === "stream") Object.assign(options, { body: ReadableStream.from(pieces(work)), duplex: "half" });
  else if (work.size) options.body = bodyOf(work);
  const answer = await fetch(url + work.path, options);
  return [answer.status, Buffer.from(await answer.arrayBuffer())];
}

function byHttp(work, headers) {
  return new Promise((resolve, reject) => {
    if (work.how !== "stream" && work.size) headers["Content-Length"] = work.size;
    if (work.how === "expect") headers.Expect = "100-continue";
    const asked = request(url + work.path, { method: work.method, headers, agent }, async (answer) => {
      const body = [];
      for await (const piece of answer) body.push(piece);
      resolve([answer.statusCode, Buffer.concat(body)]);
    });
    asked.on("error", reject);
    const send = async () => {
      for await (const piece of pieces(work)) asked.write(piece);
      asked.end();
    };
    if (work.how === "expect") {
      asked.on("continue", send);
      asked.on("response", () => asked.writableEnded || asked.destroy());
      asked.flushHeaders();
    } else send();
  });
}

const waiting = readFileSync(file, "utf8").trim().split("\n").map((line) => {
  const [method, path, size, how, credentials] = line.split(" ");
  return { method, path, size: Number(size), how, credentials };
});
const ask = kind === "fetch" ? byFetch : byHttp;

async function some() {
  for (let work = waiting.shift(); work; work = waiting.shift()) {
    const withToken = { Authorization: `Bearer ${token}` };
    const heads = { none: [{}], token: [withToken], retry: [{}, withToken] }[work.credentials];
    const statuses = [];
    let body;
    for (const head of heads) {
      let status;
      [status, body] = await ask(work, { ...head });
      statuses.push(status);
    }
    console.log(work.path, statuses.join(","), createHash("sha256").update(body).digest("hex"));
  }
}

await Promise.all(Array.from({ length: WORKERS }, some));
agent.destroy();
