#!/usr/bin/env node
// Runs the gateway of the package for this system.
"use strict";

const { spawn } = require("node:child_process");

const name = `llm-gateway-${process.platform}-${process.arch}`;
let program;
try {
  program = require.resolve(`${name}/bin/gateway-server`);
} catch {
  console.error(`llm-gateway: there is no program for this system: the package ${name} is missing`);
  process.exit(1);
}
const gateway = spawn(program, process.argv.slice(2), { stdio: "inherit" });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => gateway.kill(signal));
}
gateway.on("error", (error) => {
  console.error(`llm-gateway: ${error.message}`);
  process.exit(1);
});
gateway.on("exit", (code) => process.exit(code === null ? 1 : code));
