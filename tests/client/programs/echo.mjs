// Node's http server: reports each request as it sees it, to the client and as a line of the file $SEEN.
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";

const [port] = process.argv.slice(2);

createServer((request, response) => {
  if (request.url.endsWith("/early")) {
    // Answers without reading the body.
    response.writeHead(403, { "Content-Length": 5 }).end("early");
    return;
  }
  const body = [];
  request.on("data", (piece) => body.push(piece));
  request.on("end", () => {
    const headers = [];
    for (let at = 0; at < request.rawHeaders.length; at += 2) {
      headers.push([request.rawHeaders[at].toLowerCase(), request.rawHeaders[at + 1]]);
    }
    // As applications read the path: WHATWG's parser resolves dot segments, encoded ones too.
    const url = new URL(request.url, "http://api.test");
    const line = JSON.stringify({
      id: request.headers["x-request-id"] ?? "",
      method: request.method,
      path: decodeURIComponent(url.pathname),
      target: request.url,
      query: request.url.includes("?") ? request.url.slice(request.url.indexOf("?") + 1) : "",
      script: "",
      user: "",
      headers,
      body: Buffer.concat(body).toString("latin1"),
    });
    appendFileSync(process.env.SEEN, line + "\n");
    response.writeHead(200, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(line) });
    response.end(line);
  });
}).listen(Number(port), "127.0.0.1");
