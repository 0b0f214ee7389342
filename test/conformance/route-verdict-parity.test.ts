/**
 * The verdicts of Envoy on route configurations, asked again: each is a listener that the file of a real Envoy's listener
 * discovery names, and Envoy takes and refuses listeners one by one.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { verdictRows } from '../../src/proxy/route/testdata/verdicts.ts'
import { RouteConfiguration } from '../../src/xds/proto/generated/envoy/config/route/v3/route.ts'
import { typeUrls } from '../../src/xds/resource-set.ts'
import { messageOf } from '../support/envoy-message.ts'
import { eventually } from '../support/eventually.ts'
import { findEnvoy, skipUnless } from '../support/programs.ts'
import { httpManager, listener } from './parity/bootstrap-parts.ts'

/** What is no JSON of its message would have the whole file refused. */
const asked = verdictRows.filter(({ table }) => {
  try {
    messageOf(typeUrls.route, RouteConfiguration, table)
    return true
  } catch {
    return false
  }
})

const envoy = findEnvoy()

describe("Envoy's verdicts on routes", { skip: skipUnless(envoy, 'envoy') }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-verdicts-'))
  const addressFile = join(folder, 'admin-address')
  let taken: ReadonlySet<string> = new Set()
  let stop = (): void => undefined

  before(async () => {
    const listeners = asked.map(({ table }, index) => ({
      '@type': 'type.googleapis.com/envoy.config.listener.v3.Listener',
      ...listener(`row-${index}`, [
        httpManager({ stat_prefix: 'row', route_config: { validate_clusters: false, ...table } }),
      ]),
      // Nobody listens there; Envoy only wants them to be different.
      address: { socket_address: { address: '127.0.0.1', port_value: 1 + index } },
      bind_to_port: false,
    }))
    writeFileSync(join(folder, 'lds.json'), JSON.stringify({ resources: listeners }))
    writeFileSync(join(folder, 'bootstrap.json'), JSON.stringify(bootstrap(folder)))
    const file = join(folder, 'bootstrap.json')
    const options = ['--concurrency', '1', '--use-dynamic-base-id', '--log-level', 'off']
    const child = spawn(
      envoy ?? '',
      ['-c', file, '--admin-address-path', addressFile, ...options],
      { stdio: 'ignore' },
    )
    stop = () => child.kill('SIGKILL')
    const address = await eventually(() => readFileSync(addressFile, 'utf8').trim() || undefined, {
      deadlineMs: 20_000,
    })
    taken = await eventually(() => listenersOf(address), { deadlineMs: 60_000 })
  })

  after(() => {
    stop()
    rmSync(folder, { recursive: true })
  })

  for (const [index, { name, verdict }] of asked.entries()) {
    test(`${name}: ${verdict}`, () => {
      assert.equal(taken.has(`row-${index}`), verdict !== 'refused')
    })
  }
})

function bootstrap(folder: string): object {
  return {
    admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } },
    node: { id: 'verdicts', cluster: 'verdicts' },
    dynamic_resources: {
      lds_config: {
        path_config_source: { path: join(folder, 'lds.json') },
        resource_api_version: 'V3',
      },
    },
  }
}

/** Names of those that Envoy has taken, once it has read the file. */
async function listenersOf(address: string): Promise<ReadonlySet<string> | undefined> {
  const stats = await get(address, '/stats?filter=listener_manager.lds.update_')
  if (!/update_(?:success|rejected): 1/.test(stats)) return undefined
  const listed = await get(address, '/config_dump?resource=dynamic_listeners')
  const { configs = [] } = JSON.parse(listed) as { configs?: readonly ListenerDump[] } // Envoy's
  return new Set(configs.filter(isTaken).map(({ name }) => name))
}

interface ListenerDump {
  readonly name: string
  readonly active_state?: object
  readonly warming_state?: object
}

function isTaken({ active_state, warming_state }: ListenerDump): boolean {
  return active_state !== undefined || warming_state !== undefined
}

function get(address: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asking = request(`http://${address}${path}`, { agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => resolve(Buffer.concat(chunks).toString()))
    })
    asking.on('error', reject)
    asking.end()
  })
}
