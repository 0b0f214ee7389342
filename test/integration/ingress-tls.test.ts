/** `tls` of a Sidecar's ingress listener: callers from outside the mesh meet the application's own certificate. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { translateAll } from '../../src/translate/full.ts'
import { eventually } from '../support/eventually.ts'
import { onAnyPort, openNamedUpstream, openSidecarScene } from '../support/sidecar-scene.ts'
import { createTestAuthority, type TestLeaf } from '../support/test-certificate.ts'
import { readTranslationCase } from '../support/translation-case.ts'

const listener = 'inbound|8443||'

function sceneOf(scene: { readonly folder: string; readonly mode: string; readonly app: number }) {
  const { folder, mode, app } = scene
  return readTranslationCase(`
kind: Scene
client:
  workload: app
  metadata: { MESH_PORTS: [ { name: https, servicePort: 443, appPort: 8443, meshPort: 30000 } ] }
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: app }
spec:
  ingress:
  - port: { number: 8443, protocol: HTTPS, name: https }
    defaultEndpoint: 127.0.0.1:${app}
    tls: { mode: ${mode}, serverCertificate: ${folder}/tls.crt, privateKey: ${folder}/tls.key, caCertificates: ${folder}/ca.crt }
`)
}

/** What the application says, or the error's code. */
function call(port: number, ca: string, client?: TestLeaf): Promise<string> {
  return new Promise((resolve) => {
    const own = client && { cert: client.chainPem, key: client.keyPem }
    const target = { host: '127.0.0.1', port, servername: 'app.test', agent: false as const }
    const sent = request({ ...target, ca, ...own }, (response) => {
      response.setEncoding('utf8').on('data', resolve)
      response.on('error', () => resolve('broken off'))
    })
    sent.on('error', () => resolve('refused'))
    sent.end()
  })
}

const rows = [
  ['SIMPLE', 'without a certificate', false, 'application'],
  ['MUTUAL', 'without a certificate', false, 'refused'],
  ['MUTUAL', 'with a certificate', true, 'application'],
  ['OPTIONAL_MUTUAL', 'without a certificate', false, 'application'],
] as const

for (const [mode, how, hasCertificate, expected] of rows) {
  test(`with ${mode} a caller ${how} meets: ${expected}`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tulle-ingress-tls-'))
    try {
      const authority = await createTestAuthority()
      const leaf = await authority.issue({ dns: ['app.test'] })
      writeFileSync(join(folder, 'tls.crt'), leaf.chainPem)
      writeFileSync(join(folder, 'tls.key'), leaf.keyPem)
      writeFileSync(join(folder, 'ca.crt'), authority.rootPem)
      await using app = await openNamedUpstream('application')
      await using scene = await openSidecarScene({ resources: {} })
      const { input, node } = sceneOf({ folder, mode, app: app.port })
      scene.source.setView(onAnyPort(translateAll(input, node)))
      const port = await eventually(async () => (await scene.portOf(listener)) || undefined)
      const client = hasCertificate ? await authority.issue({ dns: ['client.test'] }) : undefined
      assert.equal(await call(port, authority.rootPem, client), expected)
      const plain = await scene.get(port).catch(() => undefined)
      assert.equal(plain, undefined, 'plaintext is not answered')
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
}
