/**
 * Entry of `npm run bench`: which bench, and its arguments.
 *
 * npm run bench -- sidecar …         the data plane beside its peers
 * npm run bench -- open …           latency at fixed rates of requests (an open loop), beside its peers
 * npm run bench -- features …       what each default feature costs
 * npm run bench -- works …          HTTP/2, gRPC streams, new connections, bodies and TCP, beside its peers
 * npm run bench -- memory …         idle, with connections that wait, with 1 000 clusters, with more sidecars in a process
 * npm run bench -- routes …         1 to 10 000 routes in a virtual host, 1 000 clusters
 * npm run bench -- mtls …            two sidecars with mutual TLS between them, beside their peers
 * npm run bench -- hop …             what large bodies do to a hop between two sidecars, beside their peers
 * npm run bench -- workers …         two threads of a sidecar against one
 * npm run bench -- control-plane …   the time from a changed VirtualService to the last acknowledgement
 * npm run bench -- scale …           the control plane's longest turn, and a sidecar's memory, with 1 000 services
 * npm run bench                      all, with their defaults; none takes more than six minutes
 */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

const benches = [
  'sidecar',
  'open',
  'features',
  'works',
  'memory',
  'routes',
  'mtls',
  'hop',
  'workers',
  'control-plane',
  'scale',
]
const [which, ...args] = process.argv.slice(2)

if (which === undefined) {
  for (const name of benches) {
    runBench(name, [])
    if (name === 'mtls') runBench(name, ['--http2'])
  }
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
