/**
 * What a sidecar costs when it does nothing: coarse budgets, well above what docs/decisions/0014-sidecar-footprint.md
 * measured, for what makes a step and not for a trend.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { eventually } from '../support/eventually.ts'

const root = join(import.meta.dirname, '../..')
const idleMbMax = 90
const manyClustersMbMax = 120

const bootstrap = {
  node: { id: 'a', cluster: 'b' },
  admin: { address: addressOf(0) },
}

/** Resolves when it says that it is live. */
async function startSidecar(file: string): Promise<ChildProcess> {
  const child = spawn(join(root, 'bin/tulle'), ['sidecar', '-c', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    log += chunk.toString()
  })
  await eventually(
    () => {
      assert.equal(child.exitCode, null, log)
      return log.includes('sidecar is live')
    },
    { deadlineMs: 30_000 },
  )
  return child
}

async function stopSidecar(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  await exited
}

function residentMb(child: ChildProcess): number {
  const status = readFileSync(`/proc/${String(child.pid)}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1_024
}

/** A thousand clusters that nobody calls, each with an endpoint. */
const manyClusters = {
  ...bootstrap,
  static_resources: {
    clusters: Array.from({ length: 1_000 }, (_, index) => ({
      name: `outbound|8080||service-${index}.default.svc.cluster.local`,
      type: 'STATIC',
      connect_timeout: '10s',
      outlier_detection: { consecutive_5xx: 5 },
      load_assignment: {
        cluster_name: `outbound|8080||service-${index}.default.svc.cluster.local`,
        endpoints: [{ lb_endpoints: [{ endpoint: { address: addressOf(20_000 + index) } }] }],
      },
    })),
  },
}

function addressOf(port: number): object {
  return { socket_address: { address: '127.0.0.1', port_value: port } }
}

for (const { what, config, mbMax } of [
  { what: 'an idle sidecar', config: bootstrap, mbMax: idleMbMax },
  { what: 'an idle sidecar with 1 000 clusters', config: manyClusters, mbMax: manyClustersMbMax },
]) {
  const skip = process.platform !== 'linux' && 'reads /proc'
  test(`${what} comes down to less than ${mbMax} MB`, { skip }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tulle-footprint-'))
    const file = join(folder, 'bootstrap.json')
    writeFileSync(file, JSON.stringify(config))
    try {
      // The first start with changed sources strips their types, and fills the cache at its end.
      await stopSidecar(await startSidecar(file))
      const child = await startSidecar(file)
      try {
        await eventually(
          () => {
            const mb = residentMb(child)
            assert.ok(mb < mbMax, `${mb.toFixed(1)} MB`)
            return true
          },
          { deadlineMs: 20_000, intervalMs: 100 },
        )
      } finally {
        await stopSidecar(child)
      }
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
}

test('a sidecar with a JSON bootstrap loads no parser of YAML, no protobuf reflection and no fetch', () => {
  const program = `
    import { registerHooks } from 'node:module'
    const loaded = []
    registerHooks({
      load(url, context, next) {
        loaded.push(url)
        return next(url, context)
      },
    })
    const { parseBootstrap } = await import('./src/proxy/config/bootstrap.ts')
    await import('./src/cli/main.ts')
    await import('./src/cli/commands/sidecar.ts')
    await import('./src/cli/commands/agent.ts')
    parseBootstrap({ file: 'b', text: ${JSON.stringify(JSON.stringify(bootstrap))} })
    console.log(JSON.stringify([...loaded, ...process.moduleLoadList]))`
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: root,
    encoding: 'utf8',
  })
  const loaded = JSON.parse(output) as string[]
  const unwanted =
    /node_modules\/(?:yaml|@bufbuild\/protobuf\/dist\/esm\/(?:registry|from-json|wkt\/gen))|undici\/undici/
  assert.ok(loaded.some((url) => url.endsWith('src/proxy/sidecar.ts')))
  assert.deepEqual(
    loaded.filter((url) => unwanted.test(url)),
    [],
  )
})
