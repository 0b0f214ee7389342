/** A client in a zone calls what is in its zone, by what the control plane tells its sidecar. */
import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'

import { eventually } from '../support/eventually.ts'
import { failuresOf, Load, shareOf } from '../support/load-client.ts'
import { findEnvoy, skipUnless } from '../support/programs.ts'
import { RunningMesh } from '../support/running-mesh.ts'

const url = 'http://my-go-service:8080/'

/** v1 is in zone a, v2 in zone b; callers are in both, so that half of all requests come from each. */
function twoZones(folder: string): void {
  const file = join(folder, 'mesh-node.yaml')
  const mesh = readFileSync(file, 'utf8')
    .replace(
      '    - name: my-go-service-v1\n',
      '    - name: my-go-service-v1\n      locality: r/a\n',
    )
    .replace(
      '    - name: my-go-service-v2\n',
      '    - name: my-go-service-v2\n      locality: r/b\n',
    )
    .replace('      replicas: 2\n', '      replicas: 1\n')
    .replace(/ {2}workloads:\n {2}- name: load[\s\S]*$/, '')
  assert.match(mesh, /locality: r\/b\n {6}replicas: 1/)
  writeFileSync(file, mesh + callers + ['a', 'b'].map(caller).join(''))
  rmSync(join(folder, 'config'), { recursive: true })
  writeRule(folder, '')
}

const callers = `  - name: callers
    ports: [ { number: 80, name: http, protocol: HTTP } ]
    workloads:
`

function caller(zone: string): string {
  return `    - name: callers-${zone}
      locality: r/${zone}
      cwd: ./node
      command: ['\${TULLE_NODE}', service.ts]
      env: { VERSION: callers }
`
}

function writeRule(folder: string, trafficPolicy: string): void {
  writeFileSync(
    join(folder, 'rule.yaml'),
    `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: my-go-service }
spec: { host: my-go-service${trafficPolicy} }
`,
  )
}

const byZone = (setting: string) =>
  `, trafficPolicy: { loadBalancer: { simple: ROUND_ROBIN, zoneAwareLbSetting: { ${setting} } } }`

const envoy = findEnvoy()
const sidecars = [
  { name: 'our own', flags: [], skip: false },
  {
    name: 'a real Envoy',
    flags: ['--proxy', 'envoy', '--envoy', envoy ?? ''],
    skip: skipUnless(envoy, 'Envoy'),
  },
]

suite('zone-aware routing', () => {
  for (const { name, flags, skip } of sidecars) {
    test(
      `with ${name} as every sidecar, callers stay in their zone while a rule says so`,
      {
        skip,
      },
      async () => {
        await using mesh = await RunningMesh.startChanged(
          (folder) => {
            twoZones(folder)
            const file = join(folder, 'mesh-node.yaml')
            writeFileSync(file, readFileSync(file, 'utf8').replace('./config', './rule.yaml'))
          },
          ...flags,
        )
        const shares = async (zone: string) => {
          const proxy = mesh.proxyOf(`callers-${zone}`)
          const { answers } = await new Load({ proxy, url, connections: 2, total: 200 }).end()
          assert.deepEqual(failuresOf(answers), {})
          return shareOf('v1', answers)
        }
        const isMixed = async () => {
          const share = await shares('a')
          return share > 0.2 && share < 0.8
        }
        const isApart = async () => (await shares('a')) === 1 && (await shares('b')) === 0

        await eventually(isMixed, { deadlineMs: 20_000 })
        writeRule(mesh.folder, byZone('minClusterSize: 2'))
        await eventually(isApart, { deadlineMs: 20_000 })
        writeRule(mesh.folder, byZone('minClusterSize: 3'))
        await eventually(isMixed, { deadlineMs: 20_000 })
        writeRule(mesh.folder, byZone('minClusterSize: 2'))
        await eventually(isApart, { deadlineMs: 20_000 })
        writeRule(mesh.folder, byZone('enabled: false, minClusterSize: 2'))
        await eventually(isMixed, { deadlineMs: 20_000 })
      },
    )
  }
})
