/**
 * Entry of `npm run bench`: which bench, and its arguments.
 *
 * npm run bench -- sidecar …         the data plane beside its peers
 * npm run bench -- works …          HTTP/2, new connections, bodies, TCP and memory, beside its peers
 * npm run bench -- routes …         1 to 10 000 routes in a virtual host, 1 000 clusters
 * npm run bench -- mtls …            two sidecars with mutual TLS between them, beside their peers
 * npm run bench -- hop …             what large bodies do to a hop between two sidecars, beside their peers
 * npm run bench -- workers …         two threads of a sidecar against one
 * npm run bench -- control-plane …   the time from a changed VirtualService to the last acknowledgement
 * npm run bench -- scale …           the control plane's longest turn, and a sidecar's memory, with 1 000 services
 * npm run bench                      all, with their defaults
 */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

const benches = ['sidecar', 'works', 'routes', 'mtls', 'hop', 'workers', 'control-plane', 'scale']
const [which, ...args] = process.argv.slice(2)

if (which === undefined) {
  for (const name of benches) runBench(name, [])
} else if (benches.includes(which)) {
  runBench(which, args)
} else {
  process.stderr.write(`unknown bench: ${which}; say ${benches.join(', ')}\n`)
  process.exitCode = 2
}

function runBench(name: string, benchArgs: readonly string[]): void {
  process.stderr.write(`bench: ${name}\n`)
  const script = join(import.meta.dirname, `${name}.ts`)
  execFileSync(process.execPath, [script, ...benchArgs], { stdio: 'inherit' })
}
