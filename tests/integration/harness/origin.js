// SPDX-License-Identifier: MIT
// An HTTP origin for tests: node origin.js PORT. What a path does is in the table below.
"use strict";
const crypto = require("crypto");
const http = require("http");

// Bytes that do not repeat, the same each time and for everybody who asks for the same size.
const block = crypto.createHash("sha512").update("weir").digest();
const pattern = Buffer.alloc(1 << 20, block);
for (let i = 0; i < pattern.length; i += 64)
	pattern.writeUInt32LE(i, i);

function send(response, size) {
	let left = size;
	function more() {
		while (left > 0) {
			const piece = left < pattern.length ? pattern.subarray(0, left) : pattern;
			left -= piece.length;
			if (!response.write(piece)) {
				response.once("drain", more);
				return;
			}
		}
		response.end();
	}
	more();
}

// What came: method, target, fields in order, size and SHA-256 of the body, trailers.
function report(request, response) {
	const hash = crypto.createHash("sha256");
	let size = 0;
	request.on("data", (piece) => {
		hash.update(piece);
		size += piece.length;
	});
	request.on("end", () => {
		const body = JSON.stringify({
			method: request.method,
			url: request.url,
			fields: request.rawHeaders,
			size,
			sha256: hash.digest("hex"),
			trailers: request.rawTrailers,
			port: request.socket.remotePort,
		});
		response.setHeader("Content-Type", "application/json");
		response.end(body);
	});
}

const paths = {
	report,
	// /bytes/N with Content-Length, /chunked/N without.
	bytes(request, response, n) {
		request.resume();
		response.setHeader("Content-Length", n);
		send(response, Number(n));
	},
	chunked(request, response, n) {
		request.resume();
		send(response, Number(n));
	},
	status(request, response, n) {
		request.resume();
		response.statusCode = Number(n);
		response.end(Number(n) === 204 || Number(n) === 304 ? undefined : `${n}\n`);
	},
	// An answer before the body has come; the rest of it is not wanted.
	early(request, response) {
		response.statusCode = 413;
		response.setHeader("Connection", "close");
		response.end("too large\n");
	},
	hints(request, response) {
		request.resume();
		response.writeEarlyHints({ link: "</style.css>; rel=preload" }, () => response.end("hinted\n"));
	},
	trailers(request, response) {
		request.resume();
		response.setHeader("Trailer", "X-Sum");
		response.write("body\n");
		response.addTrailers({ "X-Sum": "5" });
		response.end();
	},
	sse(request, response, n) {
		request.resume();
		response.setHeader("Content-Type", "text/event-stream");
		let i = 0;
		const timer = setInterval(() => {
			response.write(`data: ${i}\n\n`);
			if (++i === Number(n)) {
				clearInterval(timer);
				response.end();
			}
		}, 20);
		response.on("close", () => clearInterval(timer));
	},
	slow(request, response, ms) {
		request.resume();
		setTimeout(() => response.end("slow\n"), Number(ms));
	},
	// A page and what it needs.
	page(request, response, n) {
		request.resume();
		response.setHeader("Content-Type", "text/html");
		let html = "<!DOCTYPE html><title>page</title><body>";
		for (let i = 0; i < Number(n) / 2; i++)
			html += `<script src="/script/${i}"></script><img src="/image/${i}">`;
		html += `<script>
const images = [...document.images].filter((i) => i.complete && i.naturalWidth === 1).length;
addEventListener("load", () => {
	const all = [...document.images].filter((i) => i.naturalWidth === 1).length;
	document.title = "loaded " + all + " " + (window.scripts || 0);
});</script></body>`;
		response.end(html);
	},
	script(request, response) {
		request.resume();
		response.setHeader("Content-Type", "text/javascript");
		response.end("window.scripts = (window.scripts || 0) + 1;\n");
	},
	image(request, response) {
		request.resume();
		response.setHeader("Content-Type", "image/svg+xml");
		response.end('<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"></svg>');
	},
};

const server = http.createServer((request, response) => {
	const [, name, argument] = new URL(request.url, "http://origin").pathname.split("/");
	const serve = paths[name] || report;
	response.on("error", () => {});
	request.on("error", () => {});
	serve(request, response, argument);
});
server.keepAliveTimeout = 60000;
server.requestTimeout = 0;
server.listen(Number(process.argv[2]), "127.0.0.1");
